"""Sums over the nodes that share a label's value: what is in a rack, a zone, or on one host."""

from __future__ import annotations

import numpy as np

from scheduler.columns.arrays import FloatArray, IntArray, Mask
from scheduler.columns.interned import Interned

HOST = "kubernetes.io/hostname"


class Domains:
    """The values of one label, over all rows; rows without the label belong to none."""

    def __init__(self, labels: Interned[str | None]) -> None:
        self._ids = labels.ids
        self.has: Mask = ~labels.is_in([None])
        without = np.flatnonzero(~self.has)
        self._nowhere = int(self._ids[without[0]]) if len(without) else None
        self._rows: dict[int, IntArray] = {}

    def of(self, row: int) -> int:
        """The number of a row's domain."""
        return self._ids.item(row)

    def rows(self, domain: int) -> IntArray:
        """The rows of a domain."""
        if domain not in self._rows:
            self._rows[domain] = np.flatnonzero(self._ids == domain)
        return self._rows[domain]

    def totals(self, numbers: IntArray) -> FloatArray:
        """The sum of `numbers` over each domain."""
        return np.bincount(self._ids, weights=numbers).astype(np.float64, copy=False)

    def over(self, totals: FloatArray) -> FloatArray:
        """For each row what its domain has; zero where it belongs to none."""
        if not len(self._ids):
            return np.zeros(0)
        if self._nowhere is not None:
            totals = totals.copy()
            totals[self._nowhere] = 0.0
        found: FloatArray = totals[self._ids]
        return found

    def summed(self, numbers: IntArray) -> FloatArray:
        """For each row the sum of `numbers` over its domain; zero where it belongs to none."""
        return self.over(self.totals(numbers))

    def number(self, rows: Mask) -> int:
        """How many domains have one of these rows."""
        return int(np.count_nonzero(np.bincount(self._ids[rows & self.has], minlength=1)))
