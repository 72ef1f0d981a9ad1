"""PriorityClass: a name for how much a pod matters. Resolved at admission, used by the scheduler."""

from __future__ import annotations

from wherry.machinery.resource import Resource


class PriorityClass(Resource, group="scheduling.k8s.io", version="v1", scope="Cluster", short=("pc",)):
    """A name for how much a pod matters."""

    value: int = 0
    global_default: bool = False
    description: str = ""
    preemption_policy: str = "PreemptLowerPriority"

    counts_generations = True
