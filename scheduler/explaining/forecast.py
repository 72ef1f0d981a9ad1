"""What would become of pods that do not exist yet: placed one after the other, in thought only.

forecast(picture, pods).verdict      # FITS, PREEMPTS or DOES_NOT_FIT
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import IntEnum
from itertools import groupby
from typing import NamedTuple

from scheduler.explaining.gangs import Gang, gang_of
from scheduler.explaining.picture import Judgement, Picture
from scheduler.gangs.groups import group_of
from scheduler.gangs.making_way import Move
from scheduler.pods import PodView
from scheduler.preemption.plan import Preemption
from wherry.api.core.pod import Pod


class Verdict(IntEnum):
    """What the worst of the pods would meet with; the number is the exit status of `wherry plan`."""

    FITS = 0
    PREEMPTS = 1
    DOES_NOT_FIT = 2


class Fate(NamedTuple):
    """What would become of one pod; `node` is empty if it fits nowhere."""

    pod: PodView
    node: str
    judgement: Judgement


class Forecast(NamedTuple):
    """What would become of all of them; `gangs` says what some of them wait for."""

    fates: tuple[Fate, ...]
    gangs: tuple[str, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of all."""
        return max((_verdict(fate) for fate in self.fates), default=Verdict.FITS)

    def lines(self) -> Iterator[str]:
        """As people read it."""
        placed = [fate for fate in self.fates if fate.node]
        yield f"{len(placed)} of {len(self.fates)} pods fit" + (":" if placed else "")
        for node, number in sorted(Counter(fate.node for fate in placed).items()):
            yield f"  {node}: {number}"
        yield from self.gangs
        victims = {victim.key: fate.node for fate in placed for victim in fate.judgement.preemption.victims}
        if victims:
            yield f"{len(victims)} pods would have to make way:"
            yield from (f"  {key} on {node}" for key, node in sorted(victims.items()))


def forecast(picture: Picture, pods: Iterable[Pod]) -> Forecast:
    """Place the pods in this order on the nodes of the picture, which shows them from then on.

    Pods of a group are placed together, when the first of them has its turn.
    """
    found: list[Fate] = []
    notes: list[str] = []
    imagined = [picture.imagined(pod) for pod in pods]
    for key, some in groupby(sorted(imagined, key=group_of), key=group_of):
        group = list(some)
        views = tuple(picture.view(pod) for pod in group)
        gang = gang_of(picture, group[0], views) if key else None
        if gang is None:
            found += [_placed(picture, picture.view(pod)) for pod in group]
        else:
            notes += gang.lines(picture)
            found += _together(picture, gang, views)
    return Forecast(tuple(found), tuple(notes))


def _together(picture: Picture, gang: Gang, pods: Iterable[PodView]) -> Iterator[Fate]:
    """All of a gang that fit, if they are enough; else nobody, and the judgement is that of the first without room."""
    moves = [Move(place.pod, place.node) for place in gang.assembled(picture).places] if not gang.lacking else []
    if not moves and not gang.lacking:
        moves += gang.moves(picture)
    for move in moves:
        picture.place(move.pod, move.node, move.victims)
    found = {move.pod.uid: move for move in moves}
    for pod in pods:
        decision = picture.judged(picture.view(pod.pod), preempts=False).decision
        move = found.get(pod.uid, Move(pod, ""))
        yield Fate(pod, move.node, Judgement(decision, Preemption(move.node, move.victims)))


def _placed(picture: Picture, pod: PodView) -> Fate:
    judgement = picture.judged(pod)
    node = judgement.decision.winner or judgement.preemption.node
    picture.place(pod, node, judgement.preemption.victims)
    return Fate(pod, node, judgement)


def _verdict(fate: Fate) -> Verdict:
    if not fate.node:
        return Verdict.DOES_NOT_FIT
    return Verdict.PREEMPTS if fate.judgement.preemption.victims else Verdict.FITS
