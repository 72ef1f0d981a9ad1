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

    def summed(self, numbers: IntArray) -> FloatArray:
        """For each row the sum of `numbers` over its domain; zero where it belongs to none."""
        if not len(numbers):
            return np.zeros(0)
        totals: FloatArray = np.bincount(self._ids, weights=numbers).astype(np.float64, copy=False)
        return totals[self._ids] * self.has

    def number(self, rows: Mask) -> int:
        """How many domains have one of these rows."""
        return int(np.count_nonzero(np.bincount(self._ids[rows & self.has], minlength=1)))
