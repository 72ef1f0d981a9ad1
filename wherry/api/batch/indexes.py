"""Sets of completion indexes as a Job writes them: `1,3-5,7`.

Kubernetes: `completedIndexes`, `failedIndexes` and `succeededIndexes` of batch/v1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

Indexes = frozenset[int]


def indexes_text(indexes: Iterable[int]) -> str:
    """The set, its runs compressed.

    >>> indexes_text({7, 1, 3, 4, 5}), indexes_text([0, 1]), indexes_text([])
    ('1,3-5,7', '0,1', '')
    """
    return ",".join(_run_text(first, last) for first, last in _runs(sorted(set(indexes))))


def _runs(ordered: list[int]) -> Iterator[tuple[int, int]]:
    first = last = None
    for index in ordered:
        if first is None or last is None:
            first = last = index
        elif index == last + 1:
            last = index
        else:
            yield first, last
            first = last = index
    if first is not None and last is not None:
        yield first, last


def _run_text(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first}{',' if last == first + 1 else '-'}{last}"


def parse_indexes(text: str, completions: int) -> Indexes:
    """The indexes below `completions` that a text names; ValueError if it is none.

    >>> sorted(parse_indexes("1,3-5", 10))
    [1, 3, 4, 5]
    """
    found: set[int] = set()
    previous = -1
    for part in text.split(",") if text else ():
        ends = part.split("-")
        if len(ends) > 2:
            raise ValueError(
                f'the fragment "{part}" violates the requirement that an index interval can have at most two parts '
                "separated by '-'"
            )
        for end in ends:
            index = _index(end, completions)
            if index <= previous:
                raise ValueError(f"non-increasing order, previous: {previous}, current: {index}")
            first, previous = previous, index
        found.update(range(first if len(ends) == 2 else previous, previous + 1))
    return frozenset(found)


def _index(text: str, completions: int) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 10):
        raise ValueError(f'cannot convert string to integer for index: "{text}"')
    if int(text) >= completions:
        raise ValueError(f'too large index: "{text}"')
    return int(text)


def reported_indexes(text: str, completions: int) -> Indexes:
    """The same of a status that may be of a time when there were more: what is no index any more is left out."""
    found: set[int] = set()
    for part in text.split(","):
        first, _, last = part.partition("-")
        if first.isdigit() and (last or first).isdigit():
            found.update(range(int(first), min(int(last or first), completions - 1) + 1))
    return frozenset(found)
