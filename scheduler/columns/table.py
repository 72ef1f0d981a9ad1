"""Table: the nodes as arrays, a row per node, written by the snapshot a row at a time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from scheduler.columns.arrays import AmountColumns, Mask
from scheduler.columns.claims import Claims
from scheduler.columns.images import Images
from scheduler.columns.interned import Interned
from scheduler.columns.neighbours import Neighbours
from scheduler.columns.ranks import Ranks
from scheduler.columns.tolerations import TaintKey
from scheduler.pods.requests import amount
from scheduler.pods.view import HostPort
from wherry.api.core.node import Node

# Selectors may ask for any label; beyond so many keys the least recently built columns are not worth their memory.
MOST_LABEL_COLUMNS = 256


class Table:
    """The arrays themselves, written by the snapshot: a row per node, in the order the nodes were first seen."""

    def __init__(self, neighbours: Neighbours | None = None, ranks: Ranks | None = None) -> None:
        self.row_of: dict[str, int] = {}
        self.names: tuple[str, ...] = ()
        self.allocatable, self.requested, self.estimated = AmountColumns(), AmountColumns(), AmountColumns()
        self.unschedulable: Mask = np.zeros(0, dtype=np.bool_)
        self.name: Interned[str] = Interned()
        self.taints: Interned[tuple[TaintKey, ...]] = Interned()
        self.ports: dict[tuple[str, int], dict[str, dict[str, int]]] = {}
        self.neighbours, self.ranks = neighbours or Neighbours(), ranks or Ranks()
        self.images = Images()
        self.claims = Claims()
        # Rises when labels or taints of a node change.
        self.described = 0
        self._labels: list[Mapping[str, str]] = []
        self._label_columns: dict[str, Interned[str | None]] = {}

    def append(self, node: Node) -> int:
        """Add a row for a new node."""
        row, name = len(self.names), node.metadata.name
        self.names = (*self.names, name)
        self.row_of[name] = row
        self._rows_changed()
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
        self.images.forget(self.names[row])
        self.names = self.names[:row] + self.names[row + 1 :]
        self.row_of = {name: index for index, name in enumerate(self.names)}
        self._rows_changed()
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
        before = (self._labels[row], self.taints.value(row))
        self.taints.set(row, tuple((taint.key, taint.value, taint.effect) for taint in node.spec.taints))
        self._labels[row] = node.metadata.labels
        self.described += (self._labels[row], self.taints.value(row)) != before
        for key, column in self._label_columns.items():
            column.set(row, node.metadata.labels.get(key))

    def _rows_changed(self) -> None:
        self.neighbours.rows_changed(self.row_of)
        self.ranks.rows_changed(self.row_of)
        self.images.rows_changed()

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
