"""Usage: what everybody has used, in seconds of cards and cores that count less the longer ago they were.

    totals(base, spans, now=now, half_life=168 * 3600.0)

What was used until an instant is written down (`Base`); what came after follows from the spans for which pods held
something. A span counts only from that instant on, so whoever goes on from what was written, after a crash or beside
another scheduler, counts nothing twice. Pure; instants are seconds of the wall clock.

Limit: what a pod used between the last writing and its deletion is lost if no scheduler saw the deletion: at most as
long as there is between two writings, and the time for which there was none.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Amounts(NamedTuple):
    """Cards and cores, or seconds of them, in thousandths."""

    gpu: float = 0.0
    cpu: float = 0.0

    def plus(self, other: Amounts, factor: float = 1.0) -> Amounts:
        """The sum with so many times the other."""
        return Amounts(self.gpu + factor * other.gpu, self.cpu + factor * other.cpu)

    def times(self, factor: float) -> Amounts:
        """So many times as much."""
        return Amounts(self.gpu * factor, self.cpu * factor)

    def worth(self, cpu_weight: float) -> float:
        """One number, in whole cards: what a core counts compared to a card."""
        return (self.gpu + cpu_weight * self.cpu) / 1000


class Span(NamedTuple):
    """A user held so much from `start` on, until `end` or still."""

    user: str
    held: Amounts
    start: float
    end: float | None = None


class Base(NamedTuple):
    """What everybody had used at an instant, decayed to it."""

    as_of: float = 0.0
    users: Mapping[str, Amounts] = {}


def left_of(seconds: float, half_life: float) -> float:
    """The part of a use that still counts after so long.

    >>> left_of(0, 60), left_of(60, 60), left_of(120, 60)
    (1.0, 0.5, 0.25)
    """
    return float(2.0 ** (-seconds / half_life))


def seconds_that_count(start: float, end: float, now: float, half_life: float) -> float:
    """The seconds between two instants, each counting what is left of it: the integral over the decay."""
    if end <= start:
        return 0.0
    return half_life / math.log(2) * (left_of(now - end, half_life) - left_of(now - start, half_life))


def totals(base: Base, spans: Iterable[Span], *, now: float, half_life: float) -> dict[str, Amounts]:
    """What everybody has used, as it counts now."""
    kept = left_of(max(now - base.as_of, 0.0), half_life)
    found = {user: used.times(kept) for user, used in base.users.items()}
    for user, held, start, end in spans:
        until = now if end is None else min(end, now)
        seconds = seconds_that_count(max(start, base.as_of), until, now, half_life)
        if seconds > 0:
            found[user] = found.get(user, Amounts()).plus(held, seconds)
    return found
