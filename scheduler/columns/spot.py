"""Spot: one node as it is now, for the same question about many pods."""

from __future__ import annotations

import numpy as np

from scheduler.columns.window import Columns


class Spot:
    """See the module. Good until something on the node changes."""

    def __init__(self, nodes: Columns, row: int) -> None:
        # The node as plugins see it: a window of one row.
        self.nodes = nodes.at(np.array([row]))
        self._free: dict[str, int] = {}
        self._allocatable: dict[str, int] = {}
        self._has_below: dict[int, bool] = {}

    def free(self, resource: str) -> int:
        """What is left of it."""
        if resource not in self._free:
            self._free[resource] = int(self.nodes.free(resource)[0])
        return self._free[resource]

    def allocatable(self, resource: str) -> int:
        """What the node offers of it."""
        if resource not in self._allocatable:
            self._allocatable[resource] = int(self.nodes.allocatable(resource)[0])
        return self._allocatable[resource]

    def has_below(self, priority: int) -> bool:
        """Whether a pod of a lower priority than this is there."""
        if priority not in self._has_below:
            self._has_below[priority] = bool(self.nodes.evictable("pods", priority)[0])
        return self._has_below[priority]
