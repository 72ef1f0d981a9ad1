"""How nodes are doing: which are up, how fast those that are down may lose their pods, and whose turn it is.

`Silence` tells how many seconds ago a node was last heard of (`shells/heartbeats.py`).

Kubernetes: node_lifecycle_controller's zone states and its rate limited queues, a burst of one. What was done last is
read from the taints' own times, so a new leader goes on at the same pace.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime

from wherry.api.core.node import Node, Taint
from wherry.client.world import World

Silence = Callable[[str], float]

PREFIX = "node.kubernetes.io/"
NOT_READY, UNREACHABLE = f"{PREFIX}not-ready", f"{PREFIX}unreachable"

# Kubernetes: UnhealthyZoneThreshold, and never on account of one or two nodes.
PARTLY_DOWN, FEW_NODES = 0.55, 2
# Nodes a second; the second for zones that are partly down, if they have more nodes than the third says.
EVICTION_RATE, SECONDARY_RATE, LARGE_ZONE = 0.1, 0.01, 50
_ZONE_LABELS = ("topology.kubernetes.io/region", "topology.kubernetes.io/zone")


@dataclass
class _Zone:
    """A zone at one moment: how many nodes it has, and how many are down; the names of those that wait to be marked, in
    order; and when one was marked last.
    """

    nodes: int = 0
    down: int = 0
    waiting: list[str] = field(default_factory=list)
    marked_at: datetime | None = None

    @property
    def rate(self) -> float:
        """Kubernetes: ComputeZoneState. A zone that is down as a whole is evicted at full speed, if others are not."""
        if self.down == self.nodes or self.down <= FEW_NODES or self.down < PARTLY_DOWN * self.nodes:
            return EVICTION_RATE
        return SECONDARY_RATE if self.nodes > LARGE_ZONE else 0.0


class Turns:
    """Who was marked last in each zone, as far as decided here: the copies that plans see lag behind that."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, ...], tuple[str, datetime]] = {}
        self._looked: tuple[int, datetime] | None = None
        self._health: Health | None = None

    def take(self, node: Node, now: datetime) -> None:
        """This node is marked now."""
        self._last[_zone(node)] = (node.metadata.name, now)

    def last_of_others(self, node: Node) -> datetime | None:
        """When another node of this node's zone was marked."""
        name, at = self._last.get(_zone(node), ("", None))
        return None if name == node.metadata.name else at

    def health(self, world: World, silence: Silence, grace_seconds: float) -> Health:
        """All nodes of this world; looked at once a second and after each change, however many of them are down."""
        looks = world.version(Node), world.now
        if self._health is None or self._looked != looks:
            self._looked, self._health = looks, Health(world.list(Node), silence, grace_seconds, world.now, self)
        return self._health


class Health:
    """All nodes at one moment. Nodes that are silent for `grace_seconds` count as down.

    `is_anyone_up` is whether at least one node says it is ready and was heard of within half the grace: of nodes that
    all fall silent in one instant the first is found dead while the last heartbeat of the others is but little younger.
    """

    def __init__(
        self, nodes: Iterable[Node], silence: Silence, grace_seconds: float, now: datetime, turns: Turns
    ) -> None:
        self.is_anyone_up = False
        self._now, self._turns = now, turns
        self._zones: dict[tuple[str, ...], _Zone] = {}
        for node in nodes:
            seconds = silence(node.metadata.name)
            is_ready, marked_at = node.is_ready, _marked_at(node)
            self.is_anyone_up = self.is_anyone_up or (is_ready and seconds < grace_seconds / 2)
            zone = self._zones.setdefault(_zone(node), _Zone())
            zone.nodes += 1
            if not is_ready or seconds >= grace_seconds:
                zone.down += 1
                if marked_at is None:
                    zone.waiting.append(node.metadata.name)
            zone.marked_at = _later(zone.marked_at, marked_at)
        for zone in self._zones.values():
            zone.waiting.sort()

    def seconds_until_eviction(self, node: Node) -> float | None:
        """How long until a node that is down may be marked to lose its pods; None if not at all, as things are."""
        zone = self._zones.get(_zone(node), _Zone())
        rate = zone.rate
        if not rate or not self.is_anyone_up:
            return None
        last = _later(zone.marked_at, self._turns.last_of_others(node))
        passed = (self._now - last).total_seconds() if last is not None else float("inf")
        # One after the other by name: plans that run side by side must not all take the same turn.
        place = bisect_left(zone.waiting, node.metadata.name)
        return max(0.0, 1 / rate - passed) + place / rate


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((at for at in (one, other) if at is not None), default=None)


def mark_in(taints: Iterable[Taint]) -> Taint | None:
    """The taint by which a node is marked to lose its pods, if it is."""
    return next((one for one in taints if one.effect == "NoExecute" and one.key in (NOT_READY, UNREACHABLE)), None)


def _marked_at(node: Node) -> datetime | None:
    mark = mark_in(node.spec.taints)
    return mark.time_added if mark is not None else None


def _zone(node: Node) -> tuple[str, ...]:
    return tuple(node.metadata.labels.get(label, "") for label in _ZONE_LABELS)
