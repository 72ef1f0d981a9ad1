"""Columns: the nodes as arrays, one element per node, so that one numpy expression answers for the whole cluster.

`Table` holds the arrays and `Columns` is the window plugins read them through: all rows, or the few that changed.
What a plugin gets from `Columns` may be live: it builds new arrays from it and never writes into it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from scheduler.pod_view import HostPort, PodView
from scheduler.requests import ASSUMED, LARGEST, amount
from wherry.api.core.node import Node

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Rows = slice | IntArray
TaintKey = tuple[str, str, str]
T = TypeVar("T")

ALL_ROWS = slice(None)
# Selectors may ask for any label; beyond so many keys the least recently built columns are not worth their memory.
MOST_LABEL_COLUMNS = 256


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


class AmountColumns:
    """Whole numbers per resource and row: `amounts["cpu"]`. A resource nobody mentioned is zero everywhere."""

    __slots__ = ("_arrays", "_size")

    def __init__(self) -> None:
        self._arrays: dict[str, IntArray] = {}
        self._size = 0

    def __getitem__(self, resource: str) -> IntArray:
        array = self._arrays.get(resource)
        return np.zeros(self._size, dtype=np.int64) if array is None else array

    def append(self) -> None:
        """Add a row of zeros."""
        self._size += 1
        self._arrays = {name: np.append(array, 0) for name, array in self._arrays.items()}

    def delete(self, row: int) -> None:
        """Remove a row; those behind it move up."""
        self._size -= 1
        self._arrays = {name: np.delete(array, row) for name, array in self._arrays.items()}

    def set(self, row: int, amounts: Mapping[str, int]) -> None:
        """Write one row; resources not named keep their value."""
        for name, size in amounts.items():
            if name not in self._arrays:
                self._arrays[name] = np.zeros(self._size, dtype=np.int64)
            self._arrays[name][row] = size if size < LARGEST else LARGEST

    def clear(self, row: int) -> None:
        """Zero one row."""
        for array in self._arrays.values():
            array[row] = 0


class Table:
    """The arrays themselves, written by the snapshot: a row per node, in the order the nodes were first seen."""

    def __init__(self) -> None:
        self.row_of: dict[str, int] = {}
        self.names: tuple[str, ...] = ()
        self.allocatable, self.requested, self.estimated = AmountColumns(), AmountColumns(), AmountColumns()
        self.unschedulable: Mask = np.zeros(0, dtype=np.bool_)
        self.name: Interned[str] = Interned()
        self.taints: Interned[tuple[TaintKey, ...]] = Interned()
        self.ports: dict[tuple[str, int], dict[str, dict[str, int]]] = {}
        self._labels: list[Mapping[str, str]] = []
        self._label_columns: dict[str, Interned[str | None]] = {}

    def append(self, node: Node) -> int:
        """Add a row for a new node."""
        row, name = len(self.names), node.metadata.name
        self.names = (*self.names, name)
        self.row_of[name] = row
        for amounts in (self.allocatable, self.requested, self.estimated):
            amounts.append()
        self.unschedulable = np.append(self.unschedulable, False)
        self.name.append(name)
        self.taints.append(())
        self._labels.append({})
        for column in self._label_columns.values():
            column.append(None)
        self.describe(row, node)
        return row

    def delete(self, row: int) -> None:
        """Remove a node's row."""
        self.names = self.names[:row] + self.names[row + 1 :]
        self.row_of = {name: index for index, name in enumerate(self.names)}
        self.unschedulable = np.delete(self.unschedulable, row)
        del self._labels[row]
        parts: list[Any] = [self.allocatable, self.requested, self.estimated, self.name, self.taints]
        for part in (*parts, *self._label_columns.values()):
            part.delete(row)

    def describe(self, row: int, node: Node) -> None:
        """Write what the node says of itself."""
        self.allocatable.clear(row)
        self.allocatable.set(row, {name: amount(name, size) for name, size in node.status.allocatable.items()})
        self.unschedulable[row] = node.spec.unschedulable
        self.taints.set(row, tuple((taint.key, taint.value, taint.effect) for taint in node.spec.taints))
        self._labels[row] = node.metadata.labels
        for key, column in self._label_columns.items():
            column.set(row, node.metadata.labels.get(key))

    def label(self, key: str) -> Interned[str | None]:
        """The column of one label, built when it is first asked for; None where a node lacks the label."""
        column = self._label_columns.get(key)
        if column is None:
            if len(self._label_columns) >= MOST_LABEL_COLUMNS:
                del self._label_columns[next(iter(self._label_columns))]
            column = self._label_columns[key] = Interned(labels.get(key) for labels in self._labels)
        return column

    def count_port(self, node: str, port: HostPort, change: int) -> None:
        """Note that one pod more (1) or less (-1) takes a port of a node."""
        nodes = self.ports.setdefault((port.protocol, port.port), {})
        addresses = nodes.setdefault(node, {})
        addresses[port.address] = addresses.get(port.address, 0) + change
        if not addresses[port.address]:
            del addresses[port.address]
        if not addresses:
            del nodes[node]
        if not nodes:
            del self.ports[port.protocol, port.port]


class Columns:
    """What plugins see of the nodes: every array has one element per row of this window.

    A window may also show its rows as they would be with more pods of one kind: `with_more`.
    """

    __slots__ = ("_copies", "_pod", "_rows", "_table")

    def __init__(
        self, table: Table, rows: Rows = ALL_ROWS, pod: PodView | None = None, copies: IntArray | None = None
    ) -> None:
        self._table, self._rows = table, rows
        self._pod, self._copies = pod, copies

    def __len__(self) -> int:
        return len(self._table.unschedulable[self._rows])

    def at(self, rows: Rows) -> Columns:
        """A window on some rows of the table, as they are."""
        return Columns(self._table, rows)

    def with_more(self, rows: Rows, pod: PodView, copies: IntArray) -> Columns:
        """A window on some rows as they would be with so many more of these pods; a row may stand there repeatedly."""
        return Columns(self._table, rows, pod, copies)

    @property
    def names(self) -> tuple[str, ...]:
        """The nodes of all rows of the table, whatever the window."""
        return self._table.names

    def row_of(self, name: str) -> int | None:
        """The row of a node in the table, if it has one."""
        return self._table.row_of.get(name)

    def allocatable(self, resource: str) -> IntArray:
        """What the node offers to pods: millicores, bytes or pieces."""
        return self._table.allocatable[resource][self._rows]

    def requested(self, resource: str) -> IntArray:
        """What the pods placed there ask for."""
        requested = self._table.requested[resource][self._rows]
        if self._pod is None or self._copies is None:
            return requested
        return requested + self._copies * self._pod.requests.get(resource, 0)

    def estimated(self, resource: str) -> IntArray:
        """As `requested`, but cpu and memory of containers that ask for nothing are assumed to be a little."""
        if resource not in ASSUMED:
            return self.requested(resource)
        estimated = self._table.estimated[resource][self._rows]
        if self._pod is None or self._copies is None:
            return estimated
        return estimated + self._copies * self._pod.estimates[resource]

    def free(self, resource: str) -> IntArray:
        """What is left; negative where pods were placed past the scheduler."""
        return self.allocatable(resource) - self.requested(resource)

    @property
    def unschedulable(self) -> Mask:
        """Where somebody said `kubectl cordon`."""
        return self._table.unschedulable[self._rows]

    @property
    def name(self) -> Interned[str]:
        """The node's name."""
        return self._table.name.at(self._rows)

    @property
    def taints(self) -> Interned[tuple[TaintKey, ...]]:
        """The node's taints as (key, value, effect)."""
        return self._table.taints.at(self._rows)

    def label(self, key: str) -> Interned[str | None]:
        """The value of one label; None where a node lacks it."""
        return self._table.label(key).at(self._rows)

    def has_free_port(self, port: HostPort) -> Mask:
        """Where no pod takes this port."""
        free = np.ones(len(self._table.names), dtype=np.bool_)
        for node, addresses in self._table.ports.get((port.protocol, port.port), {}).items():
            row = self._table.row_of.get(node)
            if row is not None and any(port.collides_with(address) for address in addresses):
                free[row] = False
        if self._pod is None or self._copies is None or not _takes(self._pod, port):
            return free[self._rows]
        is_first: Mask = np.equal(self._copies, 0)
        return free[self._rows] & is_first


def _takes(pod: PodView, port: HostPort) -> bool:
    return any(other[:2] == port[:2] and other.collides_with(port.address) for other in pod.host_ports)
