"""Capacity: where the driver of a class has room for a new volume, as it says itself.

Only a driver that says so in its CSIDriver (`spec.storageCapacity`) is asked; of all others one finds out by trying.

Kubernetes: the VolumeBinding plugin's hasEnoughCapacity. Differs: a claim whose node is chosen is not asked about
again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from wherry.api.core.pod.spec import NodeSelector
from wherry.api.storage.csi_driver import CSIDriver
from wherry.api.storage.csi_storage_capacity import CSIStorageCapacity
from wherry.api.storage.storage_class import StorageClass
from wherry.client.informer import Change
from wherry.client.world import Shelf
from wherry.machinery.quantity import Quantity
from wherry.machinery.selectors import from_label_selector

# Where there is room for a volume of a class and size; None: everywhere, or nobody knows.
Room = Callable[[StorageClass, Quantity], NodeSelector | None]

# Sizes of volumes that are remembered.
MOST_KNOWN = 1024
_OPERATORS = {"in": "In", "=": "In", "notin": "NotIn", "!=": "NotIn", "exists": "Exists", "!": "DoesNotExist"}


def everywhere(_: StorageClass, __: Quantity) -> NodeSelector | None:
    """Where nobody says how much room there is."""
    return None


class Capacity:
    """See the module. The shelves are current when a change is told."""

    def __init__(self, drivers: Shelf[CSIDriver], capacities: Shelf[CSIStorageCapacity]) -> None:
        self._drivers, self._capacities = drivers, capacities
        self._known: dict[tuple[str, Quantity], NodeSelector | None] = {}

    def changed(self, _: Change[Any]) -> None:
        """A driver has more room, or less."""
        self._known.clear()

    def room(self, kind: StorageClass, size: Quantity) -> NodeSelector | None:
        """Where its driver has room for a volume of that size; None: everywhere, or nobody knows."""
        driver = self._drivers.get(kind.provisioner)
        if driver is None or not driver.spec.storage_capacity:
            return None
        key = (kind.metadata.name, size)
        if key not in self._known:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[key] = self._found(kind.metadata.name, size)
        return self._known[key]

    def _found(self, kind: str, size: Quantity) -> NodeSelector | None:
        places = [each for each in self._capacities.all() if each.storage_class_name == kind and _has(each, size)]
        topologies = [from_label_selector(each.node_topology.raw) for each in places if each.node_topology is not None]
        if any(each.selects_everything for each in topologies):
            return None
        # Most drivers say it for each node or zone, by one label: one question for all of them.
        values: dict[str, set[str]] = {}
        terms: list[dict[str, Any]] = []
        for topology in topologies:
            if len(topology.terms) == 1 and topology.terms[0].operator in ("in", "="):
                values.setdefault(topology.terms[0].key, set()).update(topology.terms[0].values)
            else:
                asked = ({"key": key, "operator": _OPERATORS[how], "values": some} for key, how, some in topology.terms)
                terms.append({"matchExpressions": list(asked)})
        return NodeSelector.read({"nodeSelectorTerms": [*_gathered(values), *terms]})


def _gathered(values: dict[str, set[str]]) -> Iterator[dict[str, Any]]:
    for key, some in values.items():
        yield {"matchExpressions": [{"key": key, "operator": "In", "values": sorted(some)}]}


def _has(place: CSIStorageCapacity, size: Quantity) -> bool:
    most = place.maximum_volume_size if place.maximum_volume_size is not None else place.capacity
    return most is not None and size <= most
