"""Clear away pods that nobody else will: those on nodes that are gone, never placed but ending, or long finished.

Kubernetes: the pod garbage collector, with its 40 s for a node to come back and its 12,500 finished pods.
`shells/sweeping.py` calls it now and then.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from controllers.parts.node_health import Silence
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.meta import Condition, with_condition
from wherry.client.plan import Delete, Plan, SetStatus
from wherry.client.world import World

QUARANTINE_SECONDS = 40.0
MOST_FINISHED = 12_500


def doomed(world: World, silence: Silence, most_finished: int = MOST_FINISHED) -> Iterator[Pod]:
    """The pods to clear away."""
    pods = world.list(Pod)
    nodes = {node.metadata.name for node in world.list(Node)}
    gone = {
        name for name in {pod.spec.node_name for pod in pods} - nodes if name and silence(name) >= QUARANTINE_SECONDS
    }
    finished = [pod for pod in pods if pod.is_finished and pod.metadata.deleted_at is None]
    finished.sort(key=lambda pod: (str(pod.metadata.created_at), pod.key))
    surplus = {pod.key for pod in finished[: max(0, len(finished) - most_finished)]}
    for pod in pods:
        never_placed = pod.metadata.deleted_at is not None and not pod.spec.node_name
        if pod.spec.node_name in gone or never_placed or pod.key in surplus:
            yield pod


def cleared(pod: Pod, world: World) -> Plan:
    """Tell how the pod ended, then delete it without waiting for a kubelet."""
    if not pod.is_finished and pod.spec.node_name:
        yield SetStatus(_failed(pod, world.now))
    yield Delete(pod, grace_seconds=0)


def _failed(pod: Pod, now: datetime) -> Pod:
    message = "PodGC: node no longer exists"
    target = Condition(type="DisruptionTarget", status="True", reason="DeletionByPodGC", message=message)
    return pod.with_status(phase="Failed", conditions=with_condition(pod.status.conditions, target, now))
