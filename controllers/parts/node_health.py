"""How nodes are doing: which are up, and whether so many are down that the fault may be ours.

`Silence` tells how many seconds ago a node was last heard of (`shells/heartbeats.py`).

Kubernetes: node_lifecycle_controller's zone states. Differs: instead of evicting slowly (0.1 nodes a second, 0.01 in a
large zone that is partly down) node after node is marked at once, and none in a zone that is partly down, large ones
included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from wherry.api.core.node import Node

Silence = Callable[[str], float]

# Kubernetes: UnhealthyZoneThreshold, and never on account of one or two nodes.
PARTLY_DOWN, FEW_NODES = 0.55, 2
_ZONE_LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


def is_up(node: Node, silence: Silence, grace_seconds: float) -> bool:
    """Whether it says it is ready and was heard of within half the grace.

    Half, because of nodes that all fall silent in one instant the first one is found dead while the last heartbeat of
    the others is but little younger.
    """
    return node.is_ready and silence(node.metadata.name) < grace_seconds / 2


def may_evict(node: Node, nodes: Iterable[Node], silence: Silence, grace_seconds: float) -> bool:
    """Whether a node that is down may lose its pods: not when all are down, nor when most of its zone is."""
    nodes = list(nodes)
    if not any(is_up(other, silence, grace_seconds) for other in nodes):
        return False
    zone = [other for other in nodes if _zone(other) == _zone(node)]
    down = sum(not other.is_ready or silence(other.metadata.name) >= grace_seconds for other in zone)
    return down <= FEW_NODES or down < PARTLY_DOWN * len(zone)


def is_anyone_up(nodes: Iterable[Node], silence: Silence, grace_seconds: float) -> bool:
    """Whether at least one node is."""
    return any(is_up(node, silence, grace_seconds) for node in nodes)


def _zone(node: Node) -> tuple[str, ...]:
    return tuple(node.metadata.labels.get(label, "") for label in _ZONE_LABELS)
