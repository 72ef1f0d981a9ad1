"""How nodes are doing: which are up, how fast those that are down may lose their pods, and whose turn it is.

`Silence` tells how many seconds ago a node was last heard of (`shells/heartbeats.py`).

Kubernetes: node_lifecycle_controller's zone states and its rate limited queues, a burst of one. What was done last is
read from the taints' own times, so a new leader goes on at the same pace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime

from wherry.api.core.node import Node, Taint

Silence = Callable[[str], float]

PREFIX = "node.kubernetes.io/"
NOT_READY, UNREACHABLE = f"{PREFIX}not-ready", f"{PREFIX}unreachable"

# Kubernetes: UnhealthyZoneThreshold, and never on account of one or two nodes.
PARTLY_DOWN, FEW_NODES = 0.55, 2
# Nodes a second; the second for zones that are partly down, if they have more nodes than the third says.
EVICTION_RATE, SECONDARY_RATE, LARGE_ZONE = 0.1, 0.01, 50
_ZONE_LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


class Turns:
    """Who was marked last in each zone, as far as decided here: the copies that plans see lag behind that."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, ...], tuple[str, datetime]] = {}

    def take(self, node: Node, now: datetime) -> None:
        """This node is marked now."""
        self._last[_zone(node)] = (node.metadata.name, now)

    def last_of_others(self, node: Node) -> datetime | None:
        """When another node of this node's zone was marked."""
        name, at = self._last.get(_zone(node), ("", None))
        return None if name == node.metadata.name else at


class Health:
    """All nodes at one moment, seen by one plan. Nodes that are silent for `grace_seconds` count as down."""

    def __init__(
        self, nodes: Iterable[Node], silence: Silence, grace_seconds: float, now: datetime, turns: Turns
    ) -> None:
        self._nodes, self._silence, self._grace_seconds, self._now = list(nodes), silence, grace_seconds, now
        self._turns = turns

    @property
    def is_anyone_up(self) -> bool:
        """Whether at least one node says it is ready and was heard of within half the grace.

        Half, because of nodes that all fall silent in one instant the first one is found dead while the last heartbeat
        of the others is but little younger.
        """
        return any(
            node.is_ready and self._silence(node.metadata.name) < self._grace_seconds / 2 for node in self._nodes
        )

    def seconds_until_eviction(self, node: Node) -> float | None:
        """How long until a node that is down may be marked to lose its pods; None if not at all, as things are."""
        zone = [other for other in self._nodes if _zone(other) == _zone(node)]
        rate = self._rate(zone)
        if not rate or not self.is_anyone_up:
            return None
        waiting = [other.metadata.name for other in zone if self._is_down(other) and _marked_at(other) is None]
        known = (*map(_marked_at, zone), self._turns.last_of_others(node))
        marks = [at for at in known if at is not None]
        passed = (self._now - max(marks)).total_seconds() if marks else float("inf")
        # One after the other by name: plans that run side by side must not all take the same turn.
        place = sum(name < node.metadata.name for name in waiting)
        return max(0.0, 1 / rate - passed) + place / rate

    def _rate(self, zone: list[Node]) -> float:
        """Kubernetes: ComputeZoneState. A zone that is down as a whole is evicted at full speed, if others are not."""
        down = sum(map(self._is_down, zone))
        if down == len(zone) or down <= FEW_NODES or down < PARTLY_DOWN * len(zone):
            return EVICTION_RATE
        return SECONDARY_RATE if len(zone) > LARGE_ZONE else 0.0

    def _is_down(self, node: Node) -> bool:
        return not node.is_ready or self._silence(node.metadata.name) >= self._grace_seconds


def mark_in(taints: Iterable[Taint]) -> Taint | None:
    """The taint by which a node is marked to lose its pods, if it is."""
    return next((one for one in taints if one.effect == "NoExecute" and one.key in (NOT_READY, UNREACHABLE)), None)


def _marked_at(node: Node) -> datetime | None:
    mark = mark_in(node.spec.taints)
    return mark.time_added if mark is not None else None


def _zone(node: Node) -> tuple[str, ...]:
    return tuple(node.metadata.labels.get(label, "") for label in _ZONE_LABELS)
