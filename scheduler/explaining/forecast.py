"""What would become of pods that do not exist yet: placed one after the other, in thought only.

forecast(picture, pods).verdict      # FITS, PREEMPTS or DOES_NOT_FIT
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from itertools import groupby
from typing import NamedTuple

from scheduler.consolidation.mover import most_moves
from scheduler.consolidation.plan import Moved, Regrouping, Site, consolidate
from scheduler.explaining.gangs import Gang, Thought, gang_of
from scheduler.explaining.hints import gated
from scheduler.explaining.picture import Judgement, Picture
from scheduler.explaining.regrouping import regroupings
from scheduler.gangs.groups import group_of
from scheduler.gangs.making_way import Move
from scheduler.pods import PodView
from scheduler.preemption.plan import Preemption
from wherry.api.core.pod import Pod

NOBODY = Preemption()


class Verdict(IntEnum):
    """What the worst of the pods would meet with; the number is the exit status of `wherry plan`."""

    FITS = 0
    PREEMPTS = 1
    DOES_NOT_FIT = 2


class Fate(NamedTuple):
    """What would become of one pod; `node` is empty if it fits nowhere. Others may have to move elsewhere for it."""

    pod: PodView
    node: str
    judgement: Judgement
    moves: tuple[Moved, ...] = ()


class Forecast(NamedTuple):
    """What would become of all of them; `notes` say what some of them wait for, or why so many are `refused`."""

    fates: tuple[Fate, ...]
    notes: tuple[str, ...] = ()
    refused: int = 0

    @property
    def verdict(self) -> Verdict:
        """The worst of all."""
        if self.refused:
            return Verdict.DOES_NOT_FIT
        return max((_verdict(fate) for fate in self.fates), default=Verdict.FITS)

    @property
    def stuck(self) -> Fate | None:
        """The first that fits nowhere; of a gang, the one that has no room beside the others."""
        return next((fate for fate in self.fates if not fate.node and not fate.judgement.decision.winner), None)

    def beside(self, refused: int, why: Iterable[str]) -> Forecast:
        """The same, with so many more pods that would not even be made."""
        return Forecast(self.fates, (*why, *self.notes), self.refused + refused)

    def lines(self) -> Iterator[str]:
        """As people read it."""
        placed = [fate for fate in self.fates if fate.node]
        whole = len(self.fates) + self.refused
        yield f"{len(placed)} of {whole} pods fit" + (":" if placed else "")
        for node, number in sorted(Counter(fate.node for fate in placed).items()):
            yield f"  {node}: {number}"
        yield from self.notes
        victims = {victim.key: fate.node for fate in placed for victim in fate.judgement.preemption.victims}
        if victims:
            yield f"{_pods(len(victims))} would have to make way:"
            yield from (f"  {key} on {node}" for key, node in sorted(victims.items()))
        moves = sorted((move.pod.key, move.node, move.to) for fate in placed for move in fate.moves)
        if moves:
            yield f"{_pods(len(moves))} would have to move:"
            yield from (f"  {key} from {node} to {to}" for key, node, to in moves)


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
            missing = picture.groups.lacking_group(group[0]) if key else ""
            fates = [_waiting(picture, pod) if missing else _placed(picture, picture.view(pod)) for pod in group]
            notes += [missing] if missing else _elsewhere(picture, fates, 1)
        else:
            notes += gang.lines(picture)
            fates = list(_together(picture, gang, views))
            notes += [] if gang.lacking else _elsewhere(picture, fates, gang.needed)
        found += fates
    notes = [*dict.fromkeys(line for fate in found for line in gated(fate.pod)), *notes]
    return Forecast(tuple(found), tuple(notes))


def _together(picture: Picture, gang: Gang, pods: Iterable[PodView]) -> Iterator[Fate]:
    """All of a gang that fit, if they are enough; else nobody, and it is said what the first lacks without room."""
    if gang.lacking:
        yield from (_waiting(picture, pod.pod) for pod in pods)
        return
    moves = [Move(place.pod, place.node) for place in gang.assembled(picture).places]
    if not moves and (found := _regrouped(picture, gang.pods, gang.needed)) is not None:
        yield from _after_moving(picture, found, pods)
        return
    moves = moves or list(gang.moves(picture))
    if not moves:
        with gang.all_but_the_next(picture) as lacks:
            why = lacks[1].decision if lacks else None
        yield from (Fate(pod, "", Judgement(why) if why else _judged_alone(picture, pod.pod)) for pod in pods)
        return
    for move in moves:
        picture.place(move.pod, move.node, move.victims)
    put = {move.pod.uid: move for move in moves}
    for pod in pods:
        move = put.get(pod.uid, Move(pod, ""))
        yield Fate(pod, move.node, _judged_alone(picture, pod.pod, Preemption(move.node, move.victims)))


def _placed(picture: Picture, pod: PodView) -> Fate:
    judgement = picture.judged(pod)
    if not judgement.decision.winner and (found := _regrouped(picture, [pod], 1)) is not None:
        return next(_after_moving(picture, found, [pod]))
    node = judgement.decision.winner or judgement.preemption.node
    picture.place(pod, node, judgement.preemption.victims)
    return Fate(pod, node, judgement)


def _waiting(picture: Picture, pod: Pod) -> Fate:
    """Of a pod that is not even looked at yet."""
    return Fate(picture.view(pod), "", _judged_alone(picture, pod))


def _judged_alone(picture: Picture, pod: Pod, preemption: Preemption = NOBODY) -> Judgement:
    return Judgement(picture.judged(picture.view(pod), preempts=False).decision, preemption)


def _regrouped(picture: Picture, pods: Sequence[PodView], needed: int) -> Regrouping | None:
    """Who would move for them, if their profile has the scheduler move anybody."""
    panel = picture.panel(pods[0])
    most = most_moves(panel.plugins)
    site = Site(picture.snapshot, panel, Thought(picture), picture.budgets, most)
    return consolidate(pods, needed, site) if most else None


def _after_moving(picture: Picture, found: Regrouping, pods: Iterable[PodView]) -> Iterator[Fate]:
    """The fates of the pods, when those have moved who are in the way."""
    victims = [move.pod for move in found.moves]
    for pod, node in found.places:
        picture.place(pod, node, victims)
        victims = []
    for move in found.moves:
        picture.place(move.pod, move.to)
    nodes, moves = {pod.uid: node for pod, node in found.places}, found.moves
    for pod in pods:
        yield Fate(pod, nodes.get(pod.uid, ""), _judged_alone(picture, pod.pod), moves)
        moves = ()


def _elsewhere(picture: Picture, fates: Sequence[Fate], needed: int) -> list[str]:
    """What a person could move for those that do not fit."""
    stuck = [fate.pod for fate in fates if not fate.node]
    return list(regroupings(picture, stuck[:1] if needed == 1 else stuck, needed, 0)) if stuck else []


def _pods(number: int) -> str:
    return f"{number} pod{'s' if number > 1 else ''}"


def _verdict(fate: Fate) -> Verdict:
    if not fate.node:
        return Verdict.DOES_NOT_FIT
    return Verdict.PREEMPTS if fate.judgement.preemption.victims or fate.moves else Verdict.FITS
