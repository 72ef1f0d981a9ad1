"""Who moves where, so that pods fit that do not fit now: all of them, or nobody moves. Pure.

    found = consolidate(pods, needed, Site(snapshot, panel, board, budgets, most_moves))
    found.places, found.moves

Each pod gets a place in thought: where there is room, or else on the node from which the fewest pods must move, each of
which must find another place now. No disruption budget is broken. In the end the snapshot is as it was found.

Kubernetes has no such thing in its scheduler; the descheduler evicts without knowing for whom.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from scheduler.cycle.decision import Decision
from scheduler.cycle.panel import Panel
from scheduler.gangs.groups import group_of
from scheduler.gangs.making_way import Clearing
from scheduler.gangs.plan import by_size
from scheduler.pods import PodView
from scheduler.preemption.budgets import Budgets
from scheduler.preemption.victims import Candidate, Trial
from scheduler.snapshot import Snapshot

# Their controllers make them anew, and they are not far into something that would be lost.
REPLACEABLE = ("ReplicaSet", "ReplicationController", "StatefulSet")
STAYS = "cluster-autoscaler.kubernetes.io/safe-to-evict"
# Nodes on which it is tried; those with the fewest pods that could move come first.
MOST_NODES = 50


class Site(NamedTuple):
    """What a consolidation is planned on."""

    snapshot: Snapshot
    panel: Panel
    board: Clearing
    budgets: Budgets
    most_moves: int


class Moved(NamedTuple):
    """A pod that leaves a node, and another node that would take it now."""

    pod: PodView
    node: str
    to: str


class Regrouping(NamedTuple):
    """Where the pods go, and who moves for that."""

    places: tuple[tuple[PodView, str], ...]
    moves: tuple[Moved, ...]


def is_movable(pod: PodView, priority: int) -> bool:
    """Whether one may move this pod for one of that priority."""
    owner = next((owner.kind for owner in pod.metadata.owner_references if owner.controller), "")
    is_free = pod.metadata.annotations.get(STAYS) != "false" and not group_of(pod.pod)
    is_settled = pod.metadata.deleted_at is None and bool(pod.spec.node_name)
    return owner in REPLACEABLE and is_free and is_settled and pod.spec.priority <= priority


def consolidate(pods: Sequence[PodView], needed: int, site: Site) -> Regrouping | None:
    """See the module; None if it cannot be done with so few moves."""
    return _Attempt(site).result(pods, needed)


class _Attempt:
    """One attempt; what it thinks up is undone at its end, the last thing first."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._places: list[tuple[PodView, str]] = []
        self._moves: list[Moved] = []

    def result(self, pods: Sequence[PodView], needed: int) -> Regrouping | None:
        try:
            for pod in by_size(pods):
                if len(self._places) < needed:
                    self._find_place(pod)
            is_done = len(self._places) >= needed and bool(self._moves)
            if not is_done or self._site.budgets.broken_by([move.pod for move in self._moves]):
                return None
            return Regrouping(tuple(self._places), tuple(self._moves))
        finally:
            for pod, _ in self._places:
                self._site.board.lift(pod)
            self._undo(0)

    def _find_place(self, pod: PodView) -> None:
        choice, decision, _ = self._site.board.find(pod)
        if choice is not None:
            self._put(pod, choice.node)
        elif decision is not None:
            for candidate in sorted(self._candidates(pod, decision), key=_price):
                if self._clear(pod, candidate):
                    return

    def _candidates(self, pod: PodView, decision: Decision) -> Iterator[Candidate]:
        trial = Trial(pod, self._site.snapshot, self._site.panel)
        rows = {decision.nodes[row]: self._movable(decision.nodes[row], pod) for row in _lacking_amounts(decision)}
        for node, movable in sorted(rows.items(), key=lambda one: (len(one[1]), one[0]))[:MOST_NODES]:
            found = trial.victims(node, movable, self._site.budgets) if movable else []
            if isinstance(found, Candidate) and not found.broken:
                yield found

    def _movable(self, node: str, pod: PodView) -> list[PodView]:
        # Where another scheduler, or another profile, would put its pods is not ours to say.
        there = self._site.snapshot.pods_on(node).values()
        here = [other for other in there if other.spec.scheduler_name == pod.spec.scheduler_name]
        # Who has moved in thought already has a place that others count on.
        moved = {move.pod.uid for move in self._moves}
        return [other for other in here if is_movable(other, pod.spec.priority) and other.uid not in moved]

    def _clear(self, pod: PodView, candidate: Candidate) -> bool:
        """Move the pods that are in the way; False if one of them finds no other place, and all stay."""
        before = len(self._moves)
        if before + len(candidate.victims) > self._site.most_moves:
            return False
        self._site.board.send_away(candidate.victims)
        self._site.board.put(pod, candidate.node)
        for victim in by_size(candidate.victims):
            choice, _, _ = self._site.board.find(_made_anew(victim))
            if choice is None:
                self._site.board.lift(pod)
                self._undo(before)
                self._site.board.call_back(candidate.victims, candidate.node)
                return False
            self._moves.append(Moved(victim, candidate.node, choice.node))
            self._site.board.call_back([victim], choice.node)
        self._places.append((pod, candidate.node))
        return True

    def _put(self, pod: PodView, node: str) -> None:
        self._site.board.put(pod, node)
        self._places.append((pod, node))

    def _undo(self, number: int) -> None:
        """All but the first so many moves are not made, in thought."""
        while len(self._moves) > number:
            move = self._moves.pop()
            self._site.board.call_back([move.pod], move.node)


def _made_anew(pod: PodView) -> PodView:
    """The pod as its owner makes it: without a node."""
    return PodView(pod.pod.replace(spec=pod.spec.replace(node_name="")).with_status(nominated_node_name=""))


def _lacking_amounts(decision: Decision) -> list[int]:
    """The rows where nothing is in the way but others."""
    rows = np.ones(len(decision.nodes), dtype=np.bool_)
    for refusal in decision.refusals:
        if refusal.free is None or refusal.may_yield is None:
            rows &= ~refusal.nodes
        else:
            rows &= ~refusal.nodes | refusal.may_yield
    found: list[int] = np.flatnonzero(rows).tolist()
    return found


def _price(candidate: Candidate) -> tuple[int, int, str]:
    size = sum(sum(pod.requests.values()) for pod in candidate.victims)
    return len(candidate.victims), size, candidate.node
