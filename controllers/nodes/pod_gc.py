"""Clear away pods that nobody else will: those on nodes that are gone, never placed but ending, or long finished; and
those that cannot end, because their node is down and somebody said that it is out of service.

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
# Whoever puts this taint on a node promises that nothing runs there any more.
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"


def doomed(world: World, silence: Silence, most_finished: int = MOST_FINISHED) -> Iterator[Pod]:
    """The pods to clear away."""
    pods = world.list(Pod)
    nodes = {node.metadata.name for node in world.list(Node)}
    switched_off = {node.metadata.name for node in world.list(Node) if _is_switched_off(node)}
    gone = {
        name for name in {pod.spec.node_name for pod in pods} - nodes if name and silence(name) >= QUARANTINE_SECONDS
    }
    finished = [pod for pod in pods if pod.is_finished and pod.metadata.deleted_at is None]
    finished.sort(key=lambda pod: (str(pod.metadata.created_at), pod.key))
    surplus = {pod.key for pod in finished[: max(0, len(finished) - most_finished)]}
    for pod in pods:
        never_placed = pod.metadata.deleted_at is not None and not pod.spec.node_name
        cannot_end = pod.metadata.deleted_at is not None and pod.spec.node_name in switched_off
        if pod.spec.node_name in gone or never_placed or cannot_end or pod.key in surplus:
            yield pod


def cleared(pod: Pod, world: World) -> Plan:
    """Tell how the pod ended, then delete it without waiting for a kubelet."""
    if not pod.is_finished and pod.spec.node_name:
        is_orphan = world.get(Node, pod.spec.node_name) is None
        yield SetStatus(_failed(pod, world.now) if is_orphan else pod.with_status(phase="Failed"))
    yield Delete(pod, grace_seconds=0)


def _is_switched_off(node: Node) -> bool:
    return not node.is_ready and any(taint.key == OUT_OF_SERVICE for taint in node.spec.taints)


def _failed(pod: Pod, now: datetime) -> Pod:
    message = "PodGC: node no longer exists"
    target = Condition(type="DisruptionTarget", status="True", reason="DeletionByPodGC", message=message)
    return pod.with_status(phase="Failed", conditions=with_condition(pod.status.conditions, target, now))
