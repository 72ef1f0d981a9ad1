"""Claims: which claims placed pods use where, and how many volumes of each driver a node has, and may have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from scheduler.columns.arrays import IntArray
from scheduler.pods.attachable import Attachable
from scheduler.pods.requests import LARGEST


class _Limits(NamedTuple):
    """How many volumes a node may have, by driver, and the plugins from which drivers took over there."""

    most: Mapping[str, int] = {}
    taken_over: frozenset[str] = frozenset()

    def heeds(self, volume: Attachable) -> bool:
        return not volume.plugin or volume.plugin in self.taken_over


_UNLIMITED = _Limits()


class Claims:
    """See the module. A volume counts once on a node, however many pods there use it, and if it is attached too."""

    def __init__(self) -> None:
        # How many pods on each node use a claim, by the key of the claim.
        self._users: dict[str, dict[str, int]] = {}
        self._volumes: dict[str, Attachable] = {}
        self._limits: dict[str, _Limits] = {}
        # For how many reasons each node has a volume, and how many volumes by driver, and plugin if it was one's.
        self._reasons: Counter[tuple[str, Attachable]] = Counter()
        self._held: Counter[tuple[str, str, str]] = Counter()

    def count(self, node: str, claim: str, change: int) -> None:
        """Note that one pod more (1) or less (-1) on a node uses a claim."""
        nodes = self._users.setdefault(claim, {})
        nodes[node] = nodes.get(node, 0) + change
        if not nodes[node]:
            del nodes[node]
        if not nodes:
            del self._users[claim]
        volume = self._volumes.get(claim)
        if volume is not None:
            self.hold(node, volume, change)

    def hold(self, node: str, volume: Attachable, change: int) -> bool:
        """Note that a node has a volume for so many reasons more or less; whether it got or lost it."""
        before = self._reasons[node, volume]
        self._reasons[node, volume] += change
        if not before + change:
            del self._reasons[node, volume]
        gained = bool(before + change) - bool(before)
        if gained:
            self._held[node, volume.driver, volume.plugin] += gained
        return bool(gained)

    def users(self, claim: str) -> Mapping[str, int]:
        """How many pods use it, by node."""
        return self._users.get(claim, {})

    def set_volume(self, claim: str, volume: Attachable | None) -> bool:
        """Take over which volume the claim has, None if it is no driver's; whether that changes a sum."""
        before = self._volumes.pop(claim, None)
        if volume is not None:
            self._volumes[claim] = volume
        users = self.users(claim) if volume != before else {}
        for node, pods in users.items():
            if before is not None:
                self.hold(node, before, -pods)
            if volume is not None:
                self.hold(node, volume, pods)
        return bool(users)

    def set_limits(self, node: str, most: Mapping[str, int], taken_over: frozenset[str]) -> bool:
        """Take over how many volumes the node may have, by driver, and which plugins' count; whether that is news."""
        before = self._limits.pop(node, _UNLIMITED)
        limits = _Limits(most, taken_over)
        if most:
            self._limits[node] = limits
        return before != self._limits.get(node, _UNLIMITED)

    def room(self, driver: str, nodes: Sequence[str]) -> IntArray:
        """How many volumes more of a driver each of these nodes may have."""
        return np.fromiter((self._room(driver, node) for node in nodes), dtype=np.int64, count=len(nodes))

    def _room(self, driver: str, node: str) -> int:
        most, taken_over = self._limits.get(node, _UNLIMITED)
        held = sum(self._held[node, driver, plugin] for plugin in taken_over)
        return most.get(driver, LARGEST) - self._held[node, driver, ""] - held

    def unused(self, claims: Iterable[str], nodes: Sequence[str]) -> IntArray:
        """How many of these claims are not in use on each of these nodes."""
        used = [self.users(claim) for claim in claims]
        return np.fromiter((sum(node not in users for users in used) for node in nodes), np.int64, count=len(nodes))

    def missing(self, volumes: Sequence[Attachable], nodes: Sequence[str]) -> IntArray:
        """How many of these volumes each of these nodes would have to be given, of those that count there."""
        return np.fromiter((self._missing(volumes, node) for node in nodes), np.int64, count=len(nodes))

    def _missing(self, volumes: Sequence[Attachable], node: str) -> int:
        limits = self._limits.get(node, _UNLIMITED)
        return sum((node, volume) not in self._reasons and limits.heeds(volume) for volume in volumes)
