"""What an autoscaler remembers of the last hour: what was recommended, and what was done.

It is kept in memory only, as in Kubernetes. After a restart, or a change of leader, an autoscaler begins with one
recommendation, the number of replicas that there are: nothing shrinks before the window for scaling down has passed
anew, and changes made before do not count against the policies.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

KEPT_SECONDS = 3600.0


class Recommendation(NamedTuple):
    """How many replicas the metrics asked for."""

    at: datetime
    replicas: int


class Step(NamedTuple):
    """By how many replicas something grew or shrank."""

    at: datetime
    size: int


@dataclass(frozen=True)
class Memory:
    """See the module. Oldest first."""

    recommended: tuple[Recommendation, ...] = ()
    grown: tuple[Step, ...] = ()
    shrunk: tuple[Step, ...] = ()

    def begun(self, replicas: int, now: datetime) -> Memory:
        """With a first recommendation, if there is none."""
        return self if self.recommended else replace(self, recommended=(Recommendation(now, replicas),))

    def recommending(self, replicas: int, now: datetime) -> Memory:
        """With one more recommendation, and without those that can matter to nobody any more."""
        kept = tuple(each for each in self.recommended if _age(each.at, now) <= KEPT_SECONDS)
        return replace(self, recommended=(*kept, Recommendation(now, replicas)))

    def scaled(self, before: int, after: int, now: datetime) -> Memory:
        """With one more change of the number of replicas."""
        grown = tuple(step for step in self.grown if _age(step.at, now) <= KEPT_SECONDS)
        shrunk = tuple(step for step in self.shrunk if _age(step.at, now) <= KEPT_SECONDS)
        if after > before:
            grown += (Step(now, after - before),)
        elif after < before:
            shrunk += (Step(now, before - after),)
        return replace(self, grown=grown, shrunk=shrunk)

    def within(self, seconds: float, now: datetime) -> list[int]:
        """What was recommended in the last so many seconds."""
        since = now - timedelta(seconds=seconds)
        return [each.replicas for each in self.recommended if each.at > since]

    def at_start_of(self, period_seconds: float, replicas: int, now: datetime) -> int:
        """How many replicas there were so many seconds ago, as far as this autoscaler changed them."""
        since = now - timedelta(seconds=period_seconds)
        grown = sum(step.size for step in self.grown if step.at > since)
        shrunk = sum(step.size for step in self.shrunk if step.at > since)
        return replicas - grown + shrunk


EMPTY = Memory()


def _age(at: datetime, now: datetime) -> float:
    return (now - at).total_seconds()
