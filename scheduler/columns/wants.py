"""Wants: what kinds of pods want of each resource, as columns, so that one comparison tells which could fit somewhere.

    wants.add("kind", priority, {"cpu": 4000})
    for kind in wants.within(spot): ...

Kinds are told in the order in which they were added.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Mapping

import numpy as np

from scheduler.columns.arrays import IntArray, Mask
from scheduler.columns.spot import Spot

FEWEST_ROWS = 64
# What a kind wants of a resource that it does not speak of: even a node that has less than nothing will do.
ANYTHING, MOST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


class Wants:
    """See the module."""

    def __init__(self) -> None:
        # A kind for each row, in the order of time; None where it is gone.
        self._kinds: list[Hashable | None] = []
        self._row_of: dict[Hashable, int] = {}
        self._priorities: IntArray = np.zeros(FEWEST_ROWS, dtype=np.int64)
        self._columns: dict[str, IntArray] = {}
        self._known: dict[Hashable, tuple[int, Mapping[str, int]]] = {}
        self._by_priority: Counter[int] = Counter()

    def add(self, kind: Hashable, priority: int, wanted: Mapping[str, int]) -> None:
        """A kind that is not there yet."""
        self._known[kind] = (priority, wanted)
        self._by_priority[priority] += 1
        if len(self._kinds) == len(self._priorities):
            self._lay_out()
        else:
            self._write(kind)

    def remove(self, kind: Hashable) -> None:
        """The kind is there no more."""
        priority, _ = self._known.pop(kind)
        self._by_priority[priority] -= 1
        if not self._by_priority[priority]:
            del self._by_priority[priority]
        self._kinds[self._row_of.pop(kind)] = None

    def within(self, spot: Spot) -> list[Hashable]:
        """The kinds that want no more than is left there, or could be if less important pods left."""
        size = len(self._kinds)
        fits: Mask = np.ones(size, dtype=np.bool_)
        ranks = sorted(self._by_priority)
        lowest = bisect_left(ranks, True, key=spot.has_below)
        may_clear = self._priorities[:size] >= ranks[lowest] if lowest < len(ranks) else None
        for resource, column in self._columns.items():
            free = spot.free(resource)
            most = free if may_clear is None else np.where(may_clear, max(free, spot.allocatable(resource)), free)
            fits &= column[:size] <= most
        return [kind for row in np.flatnonzero(fits).tolist() if (kind := self._kinds[row]) is not None]

    def _lay_out(self) -> None:
        """All of them anew, without those that are gone, and with room for as many more."""
        rows = max(FEWEST_ROWS, 2 * len(self._known))
        self._kinds, self._row_of, self._columns = [], {}, {}
        self._priorities = np.zeros(rows, dtype=np.int64)
        for kind in self._known:
            self._write(kind)

    def _write(self, kind: Hashable) -> None:
        row = self._row_of[kind] = len(self._kinds)
        self._kinds.append(kind)
        self._priorities[row], wanted = self._known[kind]
        for resource, amount in wanted.items():
            if resource not in self._columns:
                self._columns[resource] = np.full(len(self._priorities), ANYTHING, dtype=np.int64)
            self._columns[resource][row] = min(amount, MOST)
