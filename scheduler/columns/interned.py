"""Interned: a column of values that repeat, such as labels and taints."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

import numpy as np

from scheduler.columns.arrays import IntArray, Mask, Rows

T = TypeVar("T")


class Interned(Generic[T]):
    """A column whose values repeat: a small number per row, and the table of what the numbers mean."""

    __slots__ = ("_index", "_values", "ids")

    def __init__(self, values: Iterable[T] = ()) -> None:
        self._values: list[T] = []
        self._index: dict[T, int] = {}
        self.ids: IntArray = np.array([self._intern(value) for value in values], dtype=np.int64)

    def at(self, rows: Rows) -> Interned[T]:
        """The same column, some rows only."""
        part: Interned[T] = Interned.__new__(Interned)
        part._values, part._index, part.ids = self._values, self._index, self.ids[rows]
        return part

    def value(self, row: int) -> T:
        """The value of one row."""
        return self._values[self.ids.item(row)]

    def is_in(self, values: Iterable[T]) -> Mask:
        """Where the value is one of these."""
        ids = [self._index[value] for value in values if value in self._index]
        if len(ids) == 1:
            return np.equal(self.ids, ids[0])
        return np.isin(self.ids, ids)

    def distinct(self) -> Iterator[tuple[T, int]]:
        """Every value that occurs, with its number."""
        present = self.ids if len(self.ids) == 1 else np.flatnonzero(np.bincount(self.ids, minlength=1))
        for number in present.tolist():
            yield self._values[number], number

    def where(self, holds: Callable[[T], bool]) -> Mask:
        """Where something holds of the value; asked once for each distinct value."""
        return self.has_id([number for value, number in self.distinct() if holds(value)])

    def has_id(self, numbers: list[int]) -> Mask:
        """Where the value is one with these numbers."""
        if not numbers:
            return np.zeros(len(self.ids), dtype=np.bool_)
        return np.equal(self.ids, numbers[0]) if len(numbers) == 1 else np.isin(self.ids, numbers)

    def append(self, value: T) -> None:
        """Add a row."""
        self.ids = np.append(self.ids, self._intern(value))

    def delete(self, row: int) -> None:
        """Remove a row; those behind it move up."""
        self.ids = np.delete(self.ids, row)

    def set(self, row: int, value: T) -> None:
        """Change one row."""
        self.ids[row] = self._intern(value)
        if len(self._values) > 2 * len(self.ids) + 64:
            self._drop_unused()

    def _intern(self, value: T) -> int:
        number = self._index.setdefault(value, len(self._values))
        if number == len(self._values):
            self._values.append(value)
        return number

    def _drop_unused(self) -> None:
        kept: Interned[T] = Interned([self._values[number] for number in self.ids.tolist()])
        self._values, self._index, self.ids = kept._values, kept._index, kept.ids
