"""Counting on hot paths: a histogram is a list of numbers, and becomes what Prometheus reads when it asks."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import HistogramMetricFamily, Metric


class Histogram:
    """How many values were up to each bound, how many beyond the last, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """One more, or several that are alike."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.sum += value * times

    def include(self, other: Histogram) -> None:
        """Those of another one with the same bounds, too."""
        self.counts = [own + more for own, more in zip(self.counts, other.counts, strict=True)]
        self.sum += other.sum

    def add_to(self, family: HistogramMetricFamily, labels: Sequence[str]) -> None:
        """Show it with these labels."""
        bounds = (*map(str, self.bounds), "+Inf")
        family.add_metric(labels, list(zip(bounds, accumulate(self.counts), strict=True)), self.sum)


def exposition(families: Iterable[Metric], *, of_process: bool = False) -> str:
    """The text that Prometheus reads; with `of_process` that of its library about this process comes first."""
    from prometheus_client import generate_latest  # loaded when somebody asks for the first time

    return (generate_latest().decode() if of_process else "") + generate_latest(_Collected(families)).decode()


class _Collected:
    """What the library takes for a registry."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        """All of them, as the library asks for them."""
        yield from self._families
