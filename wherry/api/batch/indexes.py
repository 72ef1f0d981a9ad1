"""Sets of completion indexes, kept and written as runs: `1,3-5,7`.

    done = parse_indexes("0-3,7", completions=10) | Indexes.of({4, 5})
    str(done), len(done)                       # "0-5,7", 7

A run costs the same whether it is of three indexes or of two billion. Kubernetes: `orderedIntervals`, in the fields
`completedIndexes`, `failedIndexes` and `succeededIndexes` of batch/v1.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

Run = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Indexes:
    """Runs (first and last) in order, none of which touch."""

    runs: tuple[Run, ...] = ()

    @classmethod
    def of(cls, indexes: Iterable[int]) -> Indexes:
        """The set of these."""
        return _joined((index, index) for index in indexes)

    def __contains__(self, index: int) -> bool:
        place = bisect_right(self.runs, index, key=lambda run: run[0])
        return place > 0 and index <= self.runs[place - 1][1]

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self.runs)

    def __bool__(self) -> bool:
        return bool(self.runs)

    def __or__(self, other: Indexes) -> Indexes:
        return _joined((*self.runs, *other.runs))

    def __and__(self, other: Indexes) -> Indexes:
        return self - (self - other)

    def __sub__(self, other: Indexes) -> Indexes:
        left: list[Run] = []
        place = 0
        for first, last in self.runs:
            while place < len(other.runs) and other.runs[place][1] < first:
                place += 1
            at = place
            while at < len(other.runs) and other.runs[at][0] <= last:
                low, high = other.runs[at]
                if low > first:
                    left.append((first, low - 1))
                first, at = max(first, high + 1), at + 1
            if first <= last:
                left.append((first, last))
        return Indexes(tuple(left))

    def __str__(self) -> str:
        """As the API writes it.

        >>> str(Indexes.of({7, 1, 3, 4, 5})), str(Indexes.of([0, 1])), str(Indexes())
        ('1,3-5,7', '0,1', '')
        """
        return ",".join(_run_text(first, last) for first, last in self.runs)

    def gaps(self, end: int) -> Iterator[int]:
        """The indexes below `end` that are not in it, in order."""
        free = 0
        for first, last in self.runs:
            yield from range(free, min(first, end))
            free = last + 1
        yield from range(free, end)


def _joined(runs: Iterable[Run]) -> Indexes:
    joined: list[Run] = []
    for first, last in sorted(runs):
        if joined and first <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return Indexes(tuple(joined))


def _run_text(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first}{',' if last == first + 1 else '-'}{last}"


def parse_indexes(text: str, completions: int) -> Indexes:
    """The indexes below `completions` that a text names; ValueError if it is none.

    >>> parse_indexes("1,3-5", 10).runs
    ((1, 1), (3, 5))
    """
    runs: list[Run] = []
    previous = -1
    for part in text.split(",") if text else ():
        ends = part.split("-")
        if len(ends) > 2:
            raise ValueError(
                f'the fragment "{part}" violates the requirement that an index interval can have at most two parts '
                "separated by '-'"
            )
        numbers = [_index(end, completions) for end in ends]
        for index in numbers:
            if index <= previous:
                raise ValueError(f"non-increasing order, previous: {previous}, current: {index}")
            previous = index
        runs.append((numbers[0], numbers[-1]))
    return _joined(runs)


def _index(text: str, completions: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise ValueError(f'cannot convert string to integer for index: "{text}"')
    if int(text) >= completions:
        raise ValueError(f'too large index: "{text}"')
    return int(text)


def reported_indexes(text: str, completions: int) -> Indexes:
    """The same of a status that may be of a time when there were more: what is no index any more is left out."""
    runs: list[Run] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if _is_number(first) and _is_number(last or first) and int(first) < completions:
            runs.append((int(first), min(int(last or first), completions - 1)))
    return _joined(run for run in runs if run[0] <= run[1])


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 10
