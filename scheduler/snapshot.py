"""Snapshot: which pods are, or are about to be, on which nodes; keeps the columns true, a row at a time.

A pod counts on its node from the moment the scheduler chooses it (`place`), before the API server has heard of it. What
the watch then reports replaces that; a binding that is refused takes it back (`remove`). So no capacity is given away
twice, and after a restart the same sums follow from the watched pods alone.

Kubernetes: scheduler cache with its assumed pods. Differs: an assumption never expires; the binder keeps asking until
the API server has answered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from scheduler.columns import Columns, Table
from scheduler.columns.neighbours import Neighbours
from scheduler.columns.ranks import Ranks
from scheduler.pods import PodView
from scheduler.pods.attachable import Attachable
from wherry.api.core.node import Node
from wherry.api.resource.gpu import RESOURCE

# A log longer than this is dropped; readers that have not kept up read all rows again.
LONGEST_LOG = 20_000


class Mark(NamedTuple):
    """How far a reader has followed the snapshot's changes."""

    epoch: int
    position: int


@dataclass(slots=True)
class _Load:
    """The pods of one node and their exact sums; the node itself may not be known yet, or no more."""

    pods: dict[str, PodView] = field(default_factory=dict)
    requested: dict[str, int] = field(default_factory=dict)
    estimated: dict[str, int] = field(default_factory=dict)
    version: int = 0
    # What of it nobody here asks for and is in use all the same.
    charged: dict[str, int] = field(default_factory=dict)


class RowChange(NamedTuple):
    """A row is not what it was; `placed` is the pod if all that happened is that it got one."""

    row: int
    placed: PodView | None = None


class Snapshot:
    """Nodes and the pods placed on them, as columns."""

    def __init__(self) -> None:
        self._table = Table(Neighbours(self._placed), Ranks(self._placed))
        # All nodes, as plugins see them.
        self.columns = Columns(self._table)
        self._loads: dict[str, _Load] = {}
        self._node_of: dict[str, str] = {}
        self._versions = count(1)
        # In the order of events. Rows added or removed start a new epoch: numbers of rows then mean something else.
        self._log: list[RowChange] = []
        self._epoch = 0

    @property
    def mark(self) -> Mark:
        """Now, for a later `changes_since`."""
        return Mark(self._epoch, len(self._log))

    def changes_since(self, mark: Mark) -> list[RowChange] | None:
        """What happened to which rows, in order; None means that all must be read again."""
        return self._log[mark.position :] if mark.epoch == self._epoch else None

    def node_of(self, uid: str) -> str | None:
        """Where a pod is placed."""
        return self._node_of.get(uid)

    def pods_on(self, node: str) -> Mapping[str, PodView]:
        """The pods placed on a node, by uid."""
        load = self._loads.get(node)
        return load.pods if load else {}

    def version_of(self, node: str) -> int:
        """Another number whenever something about the pods of a node changed; 0 if it has none."""
        load = self._loads.get(node)
        return load.version if load else 0

    def set_node(self, node: Node) -> None:
        """Add a node or take over what it says of itself now."""
        row = self._table.row_of.get(node.metadata.name)
        if row is not None:
            had_gpus = self._has_gpus()
            self._table.describe(row, node)
            has_new_images = self._table.images.describe(node)
            self._changed(row)
            if has_new_images or had_gpus != self._has_gpus():
                self._start_epoch()  # on how many nodes an image is, and whether any has GPUs, counts for all of them
            return
        row = self._table.append(node)
        self._table.images.describe(node)
        self._start_epoch()
        load = self._loads.get(node.metadata.name)
        if load:
            self._table.requested.set(row, load.requested)
            self._table.estimated.set(row, load.estimated)

    def remove_node(self, name: str) -> None:
        """Forget a node; its pods stay known until they are removed themselves."""
        row = self._table.row_of.get(name)
        if row is not None:
            self._table.delete(row)
            self._start_epoch()

    def set_namespace(self, name: str, labels: Mapping[str, str] | None) -> None:
        """Take over the labels of a namespace, by which pods' terms may speak of it; None: it is gone."""
        if self._table.neighbours.set_namespace(name, labels):
            self._start_epoch()

    def set_volume(self, claim: str, volume: Attachable | None) -> None:
        """Take over which volume a claim has; None: none of a driver."""
        if self._table.claims.set_volume(claim, volume):
            self._start_epoch()

    def attach(self, node: str, volume: Attachable, change: int) -> None:
        """Note one attachment more (1) or less (-1) of a volume to a node, whoever uses it there."""
        row = self._table.row_of.get(node)
        if self._table.claims.hold(node, volume, change) and row is not None:
            self._changed(row)

    def set_volume_limits(self, node: str, limits: Mapping[str, int], taken_over: frozenset[str]) -> None:
        """Take over how many volumes of each driver a node can have; of others it can have any number.

        Volumes of plugins count where drivers have taken over from these.
        """
        if self._table.claims.set_limits(node, limits, taken_over):
            self._start_epoch()

    def place(self, pod: PodView, node: str) -> None:
        """Count a pod on a node, instead of wherever it was counted before."""
        load, uid = self._loads.get(node), pod.uid
        counted = load.pods.get(uid) if load else None
        if load and counted is not None and _weighs_the_same(counted, pod):
            load.pods[uid], load.version = pod, next(self._versions)
            return
        self.remove(uid)
        load = self._loads.get(node)  # it goes with its last pod
        if load is None:
            load = self._loads[node] = _Load()
        self._node_of[uid] = node
        load.pods[uid] = pod
        self._count(node, load, pod, 1)

    def remove(self, uid: str) -> None:
        """Count a pod no more: it is gone, finished, or could not be bound."""
        node = self._node_of.pop(uid, None)
        if node is None:
            return
        load = self._loads[node]
        self._count(node, load, load.pods.pop(uid), -1)
        if not load.pods and not load.charged:
            del self._loads[node]

    def charge(self, node: str, resource: str, amount: int) -> None:
        """Count so much of a resource as in use on a node besides what its pods ask for."""
        load = self._loads.setdefault(node, _Load())
        change = amount - load.charged.get(resource, 0)
        if not change:
            return
        load.charged[resource], load.version = amount, next(self._versions)
        load.requested[resource] = load.requested.get(resource, 0) + change
        row = self._table.row_of.get(node)
        if row is not None:
            self._table.requested.set(row, load.requested)
            self._changed(row)

    def _count(self, node: str, load: _Load, pod: PodView, sign: int) -> None:
        load.version = next(self._versions)
        for name, size in pod.requests.items():
            load.requested[name] = load.requested.get(name, 0) + sign * size
        for name, size in pod.estimates.items():
            load.estimated[name] = load.estimated.get(name, 0) + sign * size
        for port in pod.host_ports:
            self._table.count_port(node, port, sign)
        for claim in pod.claims:
            self._table.claims.count(node, claim, sign)
        for volume in pod.attachables:
            self._table.claims.hold(node, volume, sign)
        self._table.neighbours.count(pod, node, sign)
        self._table.ranks.count(pod, node, sign)
        row = self._table.row_of.get(node)
        if row is not None:
            self._table.requested.set(row, load.requested)
            self._table.estimated.set(row, load.estimated)
            self._changed(row, pod if sign > 0 else None)

    def _has_gpus(self) -> bool:
        return bool(self._table.allocatable[RESOURCE].any())

    def _placed(self) -> Iterator[tuple[PodView, str]]:
        return ((pod, node) for node, load in self._loads.items() for pod in load.pods.values())

    def _changed(self, row: int, placed: PodView | None = None) -> None:
        self._log.append(RowChange(row, placed))
        if len(self._log) > LONGEST_LOG:
            self._start_epoch()

    def _start_epoch(self) -> None:
        self._epoch += 1
        self._log.clear()


def _weighs_the_same(before: PodView, after: PodView) -> bool:
    old, new = before.metadata, after.metadata
    if old.labels != new.labels or (old.deleted_at is None) != (new.deleted_at is None):
        return False  # others may look at it
    if (
        before.pod.spec.containers == after.pod.spec.containers
        and before.pod.spec.resources == after.pod.spec.resources
        and before.pod.resizing == after.pod.resizing
    ):
        return True  # the rest of what counts can never change
    now = (after.requests, after.estimates, after.host_ports)
    return (before.requests, before.estimates, before.host_ports) == now
