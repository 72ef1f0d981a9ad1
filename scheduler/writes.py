"""What the scheduler writes: bindings, and the condition of pods that found no node. Values only, no I/O."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from wherry.api.core.pod import Pod
from wherry.api.meta import find_condition
from wherry.machinery.time import time_text

SCHEDULED = "PodScheduled"
UNSCHEDULABLE = "Unschedulable"


def binding(pod: Pod, node: str) -> dict[str, Any]:
    """The body of `POST …/pods/NAME/binding`; the uid makes it fail for another pod of the same name."""
    metadata = {"name": pod.metadata.name, "namespace": pod.metadata.namespace, "uid": pod.metadata.uid}
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    return {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}


def unschedulable(pod: Pod, message: str, now: datetime) -> dict[str, Any] | None:
    """The strategic merge patch of the pod's status that says so; None if it is said already."""
    before = find_condition(pod.status.conditions, SCHEDULED)
    if before and (before.status, before.reason, before.message) == ("False", UNSCHEDULABLE, message):
        return None
    since = before.last_transition_time if before and before.status == "False" else None
    condition = {
        "type": SCHEDULED,
        "status": "False",
        "reason": UNSCHEDULABLE,
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": time_text(since or now),
        "observedGeneration": pod.metadata.generation,
    }
    return {"metadata": {"uid": pod.metadata.uid}, "status": {"conditions": [condition]}}
