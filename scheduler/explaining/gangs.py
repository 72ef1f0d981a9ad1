"""Gangs in thought: what would become of pods that get their nodes together, and what they wait for.

gang = gang_of(picture, pod)           # None: the pod is looked at by itself
gang.waits_for, gang.outcome(picture)
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from scheduler.cycle.plan import Choice
from scheduler.devices.grants import Kept
from scheduler.explaining.picture import Judgement, Picture
from scheduler.gangs.groups import group_of
from scheduler.gangs.making_way import Move, Offer, make_way
from scheduler.gangs.plan import Assembly, Found, Place, assemble, by_size
from scheduler.pods import PodView
from wherry.api.core.pod import Pod


class Thought:
    """The picture as the board on which a gang is planned."""

    def __init__(self, picture: Picture) -> None:
        self._picture = picture

    def find(self, pod: PodView) -> Found:
        """The best node now."""
        decision = self._picture.judged(self._view(pod), preempts=False).decision
        return Found(Choice(decision.winner, 0.0, "", 0.0) if decision.winner else None, decision)

    def options(self, pod: PodView) -> Sequence[str]:
        """All nodes that can hold the pod now, the best first."""
        decision = self._picture.judged(self._view(pod), preempts=False).decision
        order = np.argsort(-decision.totals, kind="stable").tolist()
        return [decision.nodes[row] for row in order if decision.feasible[row]]

    def put(self, pod: PodView, node: str) -> bool:
        """From now on the pod is there."""
        return self._picture.put(pod, node)

    def lift(self, pod: PodView) -> None:
        """The pod is not there any more."""
        self._picture.lift(pod)

    def held(self, places: Sequence[Place]) -> Mapping[str, Kept]:
        """What these pods, who all fit, would have of devices there: nothing is kept in thought."""
        return {}

    def offer(self, pod: PodView) -> Offer:
        """What there is for a pod now."""
        decision, preemption = self._picture.judged(self._view(pod))
        return Offer(decision.winner, decision, preemption)

    def send_away(self, victims: Iterable[PodView]) -> None:
        """From now on these are gone."""
        for victim in victims:
            self._picture.snapshot.remove(victim.uid)

    def call_back(self, victims: Iterable[PodView], node: str) -> None:
        """From now on these are on the node again."""
        for victim in victims:
            self._picture.snapshot.place(victim, node)

    def _view(self, pod: PodView) -> PodView:
        return self._picture.view(pod.pod)


@dataclass(frozen=True)
class Gang:
    """Pods of one group that have no node yet; `there` counts those that have one, or had."""

    name: str
    min_count: int
    there: int
    pods: tuple[PodView, ...]

    @property
    def needed(self) -> int:
        """How many more must get a node at the same time."""
        return self.min_count - self.there

    @property
    def lacking(self) -> int:
        """How many pods must still be made before any is looked at."""
        return max(0, self.needed - len(self.pods))

    def assembled(self, picture: Picture) -> Assembly:
        """The places that there are for it now."""
        return assemble(self.pods, self.needed, Thought(picture))

    def moves(self, picture: Picture) -> tuple[Move, ...]:
        """The places that there are for it if others make way."""
        return make_way(self.pods, self.needed, Thought(picture))

    def lines(self, picture: Picture) -> Iterator[str]:
        """What it waits for, as people read it; room that is kept for it is there for itself."""
        if self.lacking:
            there = self.there + len(self.pods)
            yield f"waiting for {self.lacking} more pods of group {self.name}: {there} of {self.min_count}"
            return
        found = self.assembled(picture)
        if found.places:
            yield f"there is room for group {self.name}: {self.there + len(found.places)} of {self.min_count} fit now"
            return
        fit = self.there + found.fitting
        yield f"group {self.name} gets its nodes together or not at all: {fit} of {self.min_count} would fit now"
        if victims := sorted(victim.key for move in self.moves(picture) for victim in move.victims):
            yield f"group {self.name} is more important than others, and fits if {', '.join(victims)} make way"
        if (most := self._most(picture, found)) is not None:
            yield f"even with nobody else there only {self.there + most} of {self.min_count} would fit"
        if room := sorted({pod.pod.status.nominated_node_name for pod in self.pods} - {""}):
            yield f"room is kept for group {self.name} on {', '.join(room)}"

    def _most(self, picture: Picture, found: Assembly) -> int | None:
        """How many would fit were nobody else there, if that is not enough; None if it is, or cannot be told."""
        is_about_room = found.decision is not None and not any(each.is_about_pod for each in found.decision.refusals)
        if not is_about_room or any(pod.spec.resource_claims or pod.gpu_share for pod in self.pods):
            return None
        if any(True for node in picture.nodes for _ in picture.cards_taken_on(node)):
            return None
        with picture.without_others({pod.uid for pod in self.pods}):
            then = self.assembled(picture)
        return None if then.places else then.fitting

    @contextmanager
    def all_but_the_next(self, picture: Picture) -> Iterator[tuple[PodView, Judgement] | None]:
        """The first pod that has no place beside those that would have one, and why; meanwhile these have theirs."""
        board, placed = Thought(picture), list[PodView]()
        lacks: tuple[PodView, Judgement] | None = None
        for pod in by_size(self.pods):
            choice, _, _ = board.find(pod)
            if choice is None:
                lacks = pod, picture.judged(picture.view(pod.pod))
                break
            board.put(pod, choice.node)
            placed.append(pod)
        try:
            yield lacks
        finally:
            for pod in placed:
                board.lift(pod)


def gang_of(picture: Picture, pod: Pod, others: Iterable[PodView] = ()) -> Gang | None:
    """The gang of a pod without a node, with `others` that do not exist yet; None if it is looked at by itself.

    Room that is kept for it is free in the picture from then on: it is there for the gang itself.
    """
    key = group_of(pod)
    group = picture.groups.get(key) if key else None
    if group is None or not group.spec.min_count:
        return None
    members = picture.groups.members(key)
    for uid in members.pods:
        picture.nominations.withdraw(uid)
    has_node = [uid for uid in members.pods if picture.snapshot.node_of(uid)]
    waiting = [each for uid, each in members.pods.items() if uid not in has_node]
    gang = Gang(group.metadata.name, group.spec.min_count, len(has_node) + len(members.done), (*waiting, *others))
    return gang if gang.needed > 0 else None
