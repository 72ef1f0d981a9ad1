"""What would become of pods that do not exist yet: placed one after the other, in thought only.

forecast(picture, pods).verdict      # FITS, PREEMPTS or DOES_NOT_FIT
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

from scheduler.explaining.picture import Judgement, Picture
from scheduler.pods import PodView
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
    """What would become of all of them."""

    fates: tuple[Fate, ...]

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
        victims = {victim.key: fate.node for fate in placed for victim in fate.judgement.preemption.victims}
        if victims:
            yield f"{len(victims)} pods would have to make way:"
            yield from (f"  {key} on {node}" for key, node in sorted(victims.items()))


def forecast(picture: Picture, pods: Iterable[Pod]) -> Forecast:
    """Place the pods in this order on the nodes of the picture, which shows them from then on."""
    return Forecast(tuple(_placed(picture, pod) for pod in pods))


def _placed(picture: Picture, wanted: Pod) -> Fate:
    pod = picture.view(picture.imagined(wanted))
    judgement = picture.judged(pod)
    node = judgement.decision.winner or judgement.preemption.node
    picture.place(pod, node, judgement.preemption.victims)
    return Fate(pod, node, judgement)


def _verdict(fate: Fate) -> Verdict:
    if not fate.node:
        return Verdict.DOES_NOT_FIT
    return Verdict.PREEMPTS if fate.judgement.preemption.victims else Verdict.FITS
