"""Ranks: how much pods of each priority hold on each node, for who might have to make way for whom."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from scheduler.columns.arrays import IntArray
from scheduler.columns.census import Census
from scheduler.pods.view import PodView

# A pod counts for no more of anything, so that the sum of a node's pods stays within 64 bits.
MOST_COUNTED = 2**50


class _Holding(NamedTuple):
    resource: str
    priority: int


class Ranks:
    """See the module. Written by the snapshot; `placed` gives the pods and their nodes when somebody first asks."""

    def __init__(self, placed: Callable[[], Iterable[tuple[PodView, str]]] = tuple) -> None:
        self._placed = placed
        self._row_of: Mapping[str, int] = {}
        # Where everything fits nobody asks, and nothing is counted.
        self._is_counting = False
        self._held: Census[_Holding] = Census()

    def count(self, pod: PodView, node: str, change: int) -> None:
        """Note that a pod was placed on a node (1), or taken from it (-1)."""
        if self._is_counting:
            self._count(pod, node, self._row_of.get(node), change)

    def rows_changed(self, row_of: Mapping[str, int]) -> None:
        """Nodes have other rows now."""
        self._row_of = row_of
        self._held.forget_answers()

    def held_below(self, priority: int, resource: str) -> IntArray:
        """What the pods of lower priorities ask for, for each row."""
        if not self._is_counting:
            self._is_counting = True
            for pod, node in self._placed():
                self._count(pod, node, None, 1)
        return self._held.numbers(
            (priority, resource),
            lambda holding: holding.resource == resource and holding.priority < priority,
            self._row_of,
        )

    def _count(self, pod: PodView, node: str, row: int | None, change: int) -> None:
        for resource, size in pod.requests.items():
            self._held.count(_Holding(resource, pod.spec.priority), node, row, change * min(size, MOST_COUNTED))
