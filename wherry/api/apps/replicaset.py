"""ReplicaSet: a fixed number of interchangeable pods. Behaviour: controllers/replicaset.py."""

from __future__ import annotations

from wherry.api.core.pod import PodTemplate
from wherry.api.meta import Conditions, Selector
from wherry.machinery.resource import Resource
from wherry.machinery.view import View


class ReplicaSetSpec(View):
    """How many pods, which ones, made how."""

    selector: Selector = Selector()
    template: PodTemplate = PodTemplate()
    replicas: int = 1
    min_ready_seconds: int = 0


class ReplicaSetStatus(View):
    """How many pods there are, and how far along."""

    replicas: int = 0
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    terminating_replicas: int | None = None
    observed_generation: int = 0
    conditions: Conditions = ()


class ReplicaSet(
    Resource, group="apps", version="v1", short=("rs",), categories=("all",), subresources=("scale", "status")
):
    """A fixed number of interchangeable pods."""

    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()

    counts_generations = True
