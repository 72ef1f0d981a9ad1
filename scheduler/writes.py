"""What the scheduler writes: bindings, and the condition of pods that found no node. Values only, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from wherry.api.core.pod import Pod
from wherry.api.meta import find_condition
from wherry.machinery.time import time_text

SCHEDULED = "PodScheduled"
UNSCHEDULABLE = "Unschedulable"


def binding(pod: Pod, node: str, record: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The body of `POST …/pods/NAME/binding`; the uid makes it fail for another pod of the same name.

    The `record` becomes annotations of the pod, in the same write.
    """
    metadata: dict[str, Any] = {"name": pod.metadata.name, "namespace": pod.metadata.namespace, "uid": pod.metadata.uid}
    if record:
        metadata["annotations"] = dict(record)
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    return {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}


class News(NamedTuple):
    """What became of a pod: the `message` why it has no node, the node it is `nominated` for; None: as before."""

    message: str | None = None
    nominated: str | None = None

    def after(self, earlier: News) -> News:
        """Both in one."""
        return News(_later(self.message, earlier.message), _later(self.nominated, earlier.nominated))


def _later(now: str | None, before: str | None) -> str | None:
    return before if now is None else now


def status_patch(pod: Pod, news: News, now: datetime) -> dict[str, Any] | None:
    """The strategic merge patch of the pod's status that tells the news; None if it is said already."""
    status: dict[str, Any] = {}
    if news.message is not None and (condition := _unschedulable(pod, news.message, now)):
        status["conditions"] = [condition]
    # What is told by itself is written whatever this copy says, for it may be older than what we wrote last.
    if news.nominated is not None and (news.message is None or news.nominated != pod.status.nominated_node_name):
        status["nominatedNodeName"] = news.nominated or None
    return {"metadata": {"uid": pod.metadata.uid}, "status": status} if status else None


def _unschedulable(pod: Pod, message: str, now: datetime) -> dict[str, Any] | None:
    before = find_condition(pod.status.conditions, SCHEDULED)
    if before and (before.status, before.reason, before.message) == ("False", UNSCHEDULABLE, message):
        return None
    since = before.last_transition_time if before and before.status == "False" else None
    return {
        "type": SCHEDULED,
        "status": "False",
        "reason": UNSCHEDULABLE,
        "message": message,
        "lastProbeTime": None,
        "lastTransitionTime": time_text(since or now),
        "observedGeneration": pod.metadata.generation,
    }
