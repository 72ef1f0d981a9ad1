"""Which pods of one node must go so that another fits: no more than that, and the important ones last.

First all of lower priority are thought away. Then one after the other comes back, if the pod still fits with it: those
whose eviction would break a budget first, each time the most important one first.

Kubernetes: SelectVictimsOnNode.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property

import numpy as np

from scheduler.cycle.decision import Refusal
from scheduler.cycle.panel import Panel
from scheduler.pods import PodView
from scheduler.preemption.budgets import Budgets
from scheduler.snapshot import Snapshot

NEVER_STARTED = datetime.max.replace(tzinfo=UTC)
# As in Kubernetes: of two nodes with priorities below zero, fewer victims must not be the greater sum.
LIFT = 2**31


@dataclass(frozen=True)
class Candidate:
    """A node and the pods that would have to go, the most important first; `broken` budgets are counted by victim."""

    node: str
    victims: tuple[PodView, ...]
    broken: int = 0

    @cached_property
    def price(self) -> tuple[float, ...]:
        """The less, the better: Kubernetes' order of what counts between nodes."""
        priorities = [victim.spec.priority for victim in self.victims]
        highest = max(priorities, default=-LIFT)
        started = min((_started(victim) for victim in self.victims if victim.spec.priority == highest), default=0.0)
        return self.broken, highest, sum(each + LIFT for each in priorities), len(priorities), -started


def by_importance(pods: Collection[PodView]) -> list[PodView]:
    """The most important first: by priority, then by how long they have run."""
    return sorted(pods, key=lambda pod: (-pod.spec.priority, _started(pod), pod.key))


def _started(pod: PodView) -> float:
    return (pod.pod.status.start_time or NEVER_STARTED).timestamp()


def choose(node: str, lower: Collection[PodView], budgets: Budgets, fits: Callable[[PodView], bool]) -> Candidate:
    """Let all come back that can: `fits` says whether the pod still fits with one more, and remembers that it came."""
    pods = by_importance(lower)
    breaking = budgets.broken_by(pods)
    order = sorted(pods, key=lambda pod: pod.uid not in breaking)
    victims = frozenset([pod.uid for pod in order if not fits(pod)])
    return Candidate(node, tuple(pod for pod in pods if pod.uid in victims), len(victims & breaking))


class Spare:
    """What would be left on a node beside the pod, of what it lacks now; negative: it does not fit even so."""

    def __init__(self, lacking: Sequence[Refusal], row: int, lower: Collection[PodView]) -> None:
        self._spare = {
            each.resource: int(each.free[row]) - each.wanted + sum(pod.requests.get(each.resource, 0) for pod in lower)
            for each in lacking
            if each.free is not None
        }

    @property
    def suffices(self) -> bool:
        """Whether the pod fits once all of lower priority are gone."""
        return all(spare >= 0 for spare in self._spare.values())

    def takes_back(self, pod: PodView) -> bool:
        """Give a pod its part again, if the other fits nevertheless."""
        if any(pod.requests.get(name, 0) > spare for name, spare in self._spare.items()):
            return False
        for name in self._spare:
            self._spare[name] -= pod.requests.get(name, 0)
        return True


class Trial:
    """Asks all plugins whether a pod fits on a node as it would be; the snapshot is left as it was found."""

    def __init__(self, pod: PodView, snapshot: Snapshot, panel: Panel) -> None:
        self._pod, self._snapshot, self._panel = pod, snapshot, panel

    def refusals(self, node: str) -> Iterator[str]:
        """What the first plugin that refuses says of the node as it is now; nothing if the pod fits."""
        columns = self._snapshot.columns
        look = self._panel.look(self._pod, columns.at(np.array([columns.row_of(node)])))
        refused = [(plugin, verdict.reason) for plugin, verdict in look.verdicts if not verdict.mask[0]]
        return (reason for plugin, reason in refused if plugin == refused[0][0])

    def victims(self, node: str, lower: Collection[PodView], budgets: Budgets) -> Candidate | list[str]:
        """The victims, or why the pod would not fit without all of them either."""
        for each in lower:
            self._snapshot.remove(each.uid)
        try:
            refusals = list(self.refusals(node))
            return refusals or choose(node, lower, budgets, lambda pod: self._fits_with(pod, node))
        finally:
            for each in lower:
                self._snapshot.place(each, node)

    def fits_without(self, candidate: Candidate) -> bool:
        """Whether the pod fits on the node when the victims are gone."""
        for each in candidate.victims:
            self._snapshot.remove(each.uid)
        try:
            return not list(self.refusals(candidate.node))
        finally:
            for each in candidate.victims:
                self._snapshot.place(each, candidate.node)

    def _fits_with(self, pod: PodView, node: str) -> bool:
        self._snapshot.place(pod, node)
        fits = not list(self.refusals(node))
        if not fits:
            self._snapshot.remove(pod.uid)
        return fits
