"""Columns: the window through which plugins see the table, all rows or the few that changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from scheduler.columns.arrays import ALL_ROWS, IntArray, Mask, Rows
from scheduler.columns.interned import Interned
from scheduler.columns.neighbours import Neighbours
from scheduler.columns.table import Table
from scheduler.columns.tolerations import TaintKey
from scheduler.columns.topology import Domains
from scheduler.pods.attachable import Attachable
from scheduler.pods.requests import ASSUMED
from scheduler.pods.view import HostPort, PodView

Element = TypeVar("Element", bound=np.generic)


class Columns:
    """What plugins see of the nodes: every array has one element per row of this window.

    A window may also show its rows as they would be with more pods of one kind: `with_more`.
    """

    __slots__ = ("_candidates", "_copies", "_pod", "_rows", "_table")

    def __init__(
        self, table: Table, rows: Rows = ALL_ROWS, pod: PodView | None = None, copies: IntArray | None = None
    ) -> None:
        self._table, self._rows = table, rows
        self._pod, self._copies = pod, copies
        self._candidates: Mask | None = None

    def __len__(self) -> int:
        return len(self._table.unschedulable[self._rows])

    def at(self, rows: Rows) -> Columns:
        """A window on some rows of the table, as they are."""
        return Columns(self._table, rows)

    def with_more(self, rows: Rows, pod: PodView, copies: IntArray) -> Columns:
        """A window on some rows as they would be with so many more of these pods; a row may stand there repeatedly."""
        return Columns(self._table, rows, pod, copies)

    def narrowed_to(self, candidates: Mask) -> Columns:
        """The same window, with the word that only these of its rows can be chosen: scores are asked after filters."""
        narrowed = Columns(self._table, self._rows, self._pod, self._copies)
        narrowed._candidates = candidates
        return narrowed

    @property
    def candidates(self) -> Mask:
        """Which rows of the table can be chosen, as far as this window knows."""
        found = np.zeros(len(self._table.names), dtype=np.bool_)
        found[self._rows] = True if self._candidates is None else self._candidates
        return found

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

    def evictable(self, resource: str, priority: int) -> IntArray:
        """What pods of a lower priority than this hold of it; `pods` says how many they are."""
        return self._table.ranks.held_below(priority, resource)[self._rows]

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

    def domains(self, key: str) -> Domains:
        """All nodes of the table, whatever the window, by their value of one label."""
        return Domains(self._table.label(key))

    @property
    def described(self) -> int:
        """Another number whenever labels or taints of nodes changed."""
        return self._table.described

    @property
    def everywhere(self) -> Columns:
        """All nodes as they are, for what a pod in one place means for another."""
        return Columns(self._table)

    @property
    def neighbours(self) -> Neighbours:
        """The placed pods, for questions about all nodes."""
        return self._table.neighbours

    def here(self, values: npt.NDArray[Element]) -> npt.NDArray[Element]:
        """The rows of this window, of an array over all nodes."""
        return values[self._rows]

    def image_sizes(self, image: str) -> IntArray | None:
        """The size of an image for each row of the table, whatever the window; zero where it is not. None: nowhere."""
        return self._table.images.sizes(image, self._table.row_of)

    def claim_is_free(self, claim: str) -> tuple[bool, Mask]:
        """Whether no placed pod uses a claim, and where one does."""
        used: Mask = np.zeros(len(self._table.names), dtype=np.bool_)
        nodes = self._table.claims.users(claim)
        for node in nodes:
            if node in self._table.row_of:
                used[self._table.row_of[node]] = True
        return not nodes, used[self._rows]

    def claims_missing(self, claims: Sequence[str]) -> IntArray:
        """How many of these claims no pod of the node uses."""
        names, used_by_more = self._names_here(), set[str]()
        if self._pod is not None and self._copies is not None:
            used_by_more.update(self._pod.claims)
        missing = self._table.claims.unused([claim for claim in claims if claim not in used_by_more], names)
        if used_by_more and self._copies is not None:
            theirs = self._table.claims.unused([claim for claim in claims if claim in used_by_more], names)
            missing += theirs * (self._copies == 0)
        return missing

    def volumes_missing(self, volumes: Sequence[Attachable]) -> IntArray:
        """How many of these volumes the node would have to be given, of those that count there."""
        missing = self._table.claims.missing(volumes, self._names_here())
        # More pods of this kind would have the same volumes: the first one brings them.
        return missing if self._copies is None else missing * (self._copies == 0)

    def volume_room(self, driver: str) -> IntArray:
        """How many volumes more of a driver the node can have."""
        return self._table.claims.room(driver, self._names_here())

    def _names_here(self) -> Sequence[str]:
        if isinstance(self._rows, slice):
            return self._table.names[self._rows]
        return [self._table.names[row] for row in self._rows.tolist()]

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
