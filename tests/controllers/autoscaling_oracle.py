"""A second opinion on how many replicas there should be: written anew, in fractions, pod by pod and second by second.

It knows nothing of the controller but its rules: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any, NamedTuple


class Worker(NamedTuple):
    """What a pod uses of what it requests, None if nobody knows; one that is not up counts as idle or not at all."""

    used: int | None
    requested: int = 100
    is_up: bool = True


def replicas_for(workers: Sequence[Worker], percent: int, tolerance: Fraction) -> int | None:
    """So many pods would use so many percent of what they request; None where nothing is known."""
    known = [worker for worker in workers if worker.is_up and worker.used is not None]
    if not known:
        return None
    direction = _share(known) - percent
    if direction == 0:
        return len(workers)
    supposed = list(known)
    for worker in workers:
        if worker.is_up and worker.used is None:
            used = 0 if direction > 0 else worker.requested * max(100, percent) // 100
            supposed.append(worker._replace(used=used))
        elif not worker.is_up and direction > 0:
            supposed.append(worker._replace(used=0))
    share = _share(supposed)
    if abs(Fraction(share, percent) - 1) <= tolerance or (share - percent) * direction < 0:
        return len(workers)
    wanted = math.ceil(Fraction(share * len(supposed), percent))
    return len(workers) if (wanted - len(workers)) * direction < 0 else wanted


def _share(workers: Sequence[Worker]) -> int:
    return sum(worker.used or 0 for worker in workers) * 100 // sum(worker.requested for worker in workers)


class Clockwork:
    """A target and its autoscaler's behavior, second by second: `step` says how many replicas there are then."""

    def __init__(self, replicas: int, least: int, most: int, behavior: dict[str, Any]) -> None:
        self.replicas, self._least, self._most, self._behavior = replicas, least, most, behavior
        self._wishes: list[tuple[int, int]] = [(0, replicas)]
        self._sizes: list[tuple[int, int]] = [(-100_000, replicas)]

    def step(self, now: int, wish: int) -> int:
        """The metrics ask for so many."""
        up, down = self._behavior["scaleUp"], self._behavior["scaleDown"]
        lowest = min([wish, *self._recent(now, up["stabilizationWindowSeconds"])])
        highest = max([wish, *self._recent(now, down["stabilizationWindowSeconds"])])
        self._wishes.append((now, wish))
        goal = max(self.replicas, lowest)
        goal = min(goal, highest)
        if goal > self.replicas:
            goal = min(goal, self._most, max(self.replicas, self._reach(now, up, +1)))
        elif goal < self.replicas:
            goal = max(goal, self._least, min(self.replicas, self._reach(now, down, -1)))
        if goal != self.replicas:
            self.replicas = goal
            self._sizes.append((now, goal))
        return self.replicas

    def _recent(self, now: int, seconds: int) -> list[int]:
        return [wish for at, wish in self._wishes if now - at < seconds]

    def _reach(self, now: int, rules: dict[str, Any], sign: int) -> int:
        ends = []
        for policy in rules["policies"]:
            # The size when the period began, which all changes since then have made what it is now.
            begin = [size for at, size in self._sizes if now - at >= policy["periodSeconds"]][-1]
            amount = Fraction(policy["value"]) if policy["type"] == "Pods" else Fraction(begin * policy["value"], 100)
            end = begin + sign * amount
            ends.append(math.ceil(end) if sign > 0 else int(end))
        furthest, nearest = (max(ends), min(ends)) if sign > 0 else (min(ends), max(ends))
        return {"Max": furthest, "Min": nearest, "Disabled": self.replicas}[rules["selectPolicy"]]
