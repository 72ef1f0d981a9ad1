"""Claims: which claims placed pods use where, and how many volumes of each driver a node may have."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from scheduler.columns.arrays import IntArray
from scheduler.pods.requests import LARGEST


class Claims:
    """See the module. A claim counts once on a node, however many pods there use it."""

    def __init__(self) -> None:
        # How many pods on each node use a claim, by the key of the claim.
        self._users: dict[str, dict[str, int]] = {}
        self._drivers: dict[str, str] = {}
        self._limits: dict[str, Mapping[str, int]] = {}
        # How many volumes each node has of each driver: as many as claims in use there.
        self._held: Counter[tuple[str, str]] = Counter()

    def count(self, node: str, claim: str, change: int) -> None:
        """Note that one pod more (1) or less (-1) on a node uses a claim."""
        nodes = self._users.setdefault(claim, {})
        before = nodes.get(node, 0)
        nodes[node] = before + change
        if not before or not nodes[node]:
            self._held[node, self._drivers.get(claim, "")] += change
        if not nodes[node]:
            del nodes[node]
        if not nodes:
            del self._users[claim]

    def users(self, claim: str) -> Mapping[str, int]:
        """How many pods use it, by node."""
        return self._users.get(claim, {})

    def set_driver(self, claim: str, driver: str) -> bool:
        """Take over of which driver the claim's volume is, empty if of none; whether that changes a sum."""
        before = self._drivers.pop(claim, "")
        if driver:
            self._drivers[claim] = driver
        nodes = self.users(claim) if driver != before else {}
        for node in nodes:
            self._held[node, before] -= 1
            self._held[node, driver] += 1
        return bool(nodes)

    def set_limits(self, node: str, limits: Mapping[str, int]) -> bool:
        """Take over how many volumes the node may have, by driver; whether that is news."""
        before = self._limits.pop(node, {})
        if limits:
            self._limits[node] = limits
        return before != limits

    def room(self, driver: str, nodes: Sequence[str]) -> IntArray:
        """How many volumes more of a driver each of these nodes may have."""
        nothing: Mapping[str, int] = {}
        free = (self._limits.get(node, nothing).get(driver, LARGEST) - self._held[node, driver] for node in nodes)
        return np.fromiter(free, dtype=np.int64, count=len(nodes))

    def missing(self, claims: Iterable[str], nodes: Sequence[str]) -> IntArray:
        """How many of these claims are not in use on each of these nodes."""
        used = [self.users(claim) for claim in claims]
        return np.fromiter((sum(node not in users for users in used) for node in nodes), np.int64, count=len(nodes))
