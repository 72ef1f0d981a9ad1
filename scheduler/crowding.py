"""Crowding: how many of a pod's like are where each node is, as a score; kept true as they come and go.

The score of topology spread constraints that are wishes: higher where more of its like are. Kubernetes: the Score of
PodTopologySpread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from math import log

import numpy as np

from scheduler.columns import Columns, FloatArray, IntArray, Mask
from scheduler.columns.inclusion import included
from scheduler.columns.topology import HOST, Domains
from scheduler.pods import PodView
from scheduler.pods.spreading import Constraint

# The score of nodes without a label that a constraint is about: the worst, whatever the others have.
LEFT_OUT = -1.0


class Crowding:
    """See the module. Of nodes that lack a label `leaves_out` says whether they are left out.

    What is placed may change, and `follow` takes it in. Other nodes to choose from, labels or taints need a new one.
    """

    def __init__(self, pod: PodView, constraints: Sequence[Constraint], nodes: Columns, *, leaves_out: bool) -> None:
        wished = [(each, nodes.domains(each.topology_key)) for each in constraints]
        self._nodes, self._namespace = nodes, pod.group.namespace
        self._has_all: Mask = np.logical_and.reduce([domains.has | (not leaves_out) for _, domains in wished])
        self._has_everywhere = bool(self._has_all.all())
        candidates = nodes.candidates & self._has_all
        self._parts = [
            _Part(each, domains, self._has_all & included(each, pod, nodes.everywhere), candidates)
            for each, domains in wished
        ]
        for part, alike in self._counted():
            part.begin(alike)

    def follow(self, rows: Iterable[int]) -> None:
        """Take note that something on these rows came or went."""
        for part, alike in self._counted():
            part.follow(rows, alike)

    def scores(self) -> FloatArray:
        """For all rows of the table."""
        total = reduce(np.add, (part.values for part in self._parts))
        return total if self._has_everywhere else np.where(self._has_all, total, LEFT_OUT)

    def _counted(self) -> Iterator[tuple[_Part, IntArray]]:
        """Each part with how many it counts on each row; mostly all parts count the same."""
        selector, alike = self._parts[0].constraint.selector, None
        for part in self._parts:
            if alike is None or part.constraint.selector is not selector:
                selector = part.constraint.selector
                alike = self._nodes.neighbours.selected(self._namespace, selector)
            yield part, alike


class _Part:
    """What one constraint adds: `values` by row."""

    def __init__(self, constraint: Constraint, domains: Domains, counted: Mask, candidates: Mask) -> None:
        self.constraint, self._domains, self._counted = constraint, domains, counted
        number = domains.number(candidates) + bool((candidates & ~domains.has).any())
        self._weight, self._least = log(number + 2), constraint.max_skew - 1
        # On a host all of them count, elsewhere those on nodes that count.
        self._is_host = constraint.topology_key == HOST
        self.values: FloatArray = np.zeros(0)
        self._alike: IntArray = np.zeros(0, dtype=np.int64)
        self._held: FloatArray = np.zeros(0)

    def begin(self, alike: IntArray) -> None:
        """So many are on each row."""
        self._alike = alike.copy()
        if self._is_host:
            self.values = self._domains.has * self._worth(alike)
        else:
            self._held = self._domains.totals(alike * self._counted)
            self.values = self._domains.over(self._worth(self._held))

    def follow(self, rows: Iterable[int], alike: IntArray) -> None:
        """On these rows there may be others."""
        for row in rows:
            more = alike.item(row) - self._alike.item(row)
            if not more:
                continue
            self._alike[row] += more
            if self._is_host:
                self.values[row] = self._domains.has.item(row) * (alike.item(row) * self._weight + self._least)
            elif self._counted.item(row) and self._domains.has.item(row):
                domain = self._domains.of(row)
                self._held[domain] += more
                self.values[self._domains.rows(domain)] = self._held.item(domain) * self._weight + self._least

    def _worth(self, held: IntArray | FloatArray) -> FloatArray:
        return (held * self._weight + self._least).astype(np.float64, copy=False)
