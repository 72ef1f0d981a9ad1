"""Neighbours: which pods are placed where, as far as selectors can tell them apart, and what they say about others.

Every array has one element per row of the table, whatever the window: these are questions about all nodes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import numpy as np

from scheduler.columns.arrays import IntArray
from scheduler.columns.census import Census
from scheduler.pods.terms import Group, Term
from scheduler.pods.view import PodView
from wherry.machinery.selectors import Requirements

# Groups of pods for which it is kept which terms speak of them.
MOST_KNOWN = 4096


class Neighbours:
    """See the module. Written by the snapshot; `placed` gives the pods and their nodes when somebody first asks."""

    def __init__(self, placed: Callable[[], Iterable[tuple[PodView, str]]] = tuple) -> None:
        self._placed = placed
        self._row_of: Mapping[str, int] = {}
        # Most clusters' pods say nothing about each other: they are counted only from the first question on.
        self._is_counting = False
        self._groups: Census[Group] = Census()
        self._terms: Census[Term] = Census()
        self._namespaces: dict[str, Mapping[str, str]] = {}
        self._asking: dict[Group, tuple[Term, ...]] = {}
        self._asking_version = 0

    def count(self, pod: PodView, node: str, change: int) -> None:
        """Note that a pod was placed on a node (1), or taken from it (-1)."""
        if self._is_counting:
            self._groups.count(pod.group, node, self._row_of.get(node), change)
        for term in pod.terms:
            self._terms.count(term, node, self._row_of.get(node), change)

    def rows_changed(self, row_of: Mapping[str, int]) -> None:
        """Nodes have other rows now."""
        self._row_of = row_of
        self._groups.forget_answers()
        self._terms.forget_answers()

    def set_namespace(self, name: str, labels: Mapping[str, str] | None) -> bool:
        """Take over the labels of a namespace, None if it is gone; whether that is news."""
        if self._namespaces.get(name) == labels:
            return False
        self._namespaces[name] = labels or {}
        if labels is None:
            del self._namespaces[name]
        self._groups.forget_answers()
        self._asking.clear()
        return True

    def selected(self, namespace: str, selector: Requirements) -> IntArray:
        """How many pods of a namespace the selector selects, but for those that are being deleted.

        As in Kubernetes, a selector that selects every pod counts none.
        """
        if selector.selects_everything:
            return np.zeros(len(self._row_of), dtype=np.int64)
        return self._counted().numbers(
            (namespace, selector),
            lambda group: group.namespace == namespace and not group.is_going and selector.matches(dict(group.labels)),
            self._row_of,
        )

    def wanted(self, *terms: Term) -> IntArray:
        """How many pods all these terms speak of."""
        return self._counted().numbers(
            terms, lambda group: all(self.wants(term, group) for term in terms), self._row_of
        )

    def asking(self, pod: PodView) -> tuple[Term, ...]:
        """The terms of placed pods that speak of this one, or one of its group."""
        if not len(self._terms):
            return ()
        group = pod.group
        if self._asking_version != self._terms.version or len(self._asking) > MOST_KNOWN:
            self._asking_version = self._terms.version
            self._asking.clear()
        terms = self._asking.get(group)
        if terms is None:
            terms = self._asking[group] = tuple(term for term in self._terms if self.wants(term, group))
        return terms

    def holders(self, term: Term) -> IntArray:
        """How many pods have this term."""
        return self._terms.numbers(term, lambda other: other == term, self._row_of)

    def wants(self, term: Term, group: Group) -> bool:
        """Whether the term speaks of pods of this group."""
        return term.wants(group, self._namespaces.get(group.namespace, {}))

    def _counted(self) -> Census[Group]:
        if not self._is_counting:
            self._is_counting = True
            for pod, node in self._placed():
                self._groups.count(pod.group, node, None, 1)
        return self._groups
