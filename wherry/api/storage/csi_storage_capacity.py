"""CSIStorageCapacity: how much storage of a class can be had in a part of the cluster."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.meta import Selector
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, immutable, invalid
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Resource
from wherry.machinery.table_cells import CREATED_AT
from wherry.machinery.validation import NEGATIVE, check_name, check_selector, unchanged


class CSIStorageCapacity(Resource, group="storage.k8s.io", version="v1", plural="csistoragecapacities"):
    """How much storage of a class can be had in a part of the cluster."""

    storage_class_name: str = ""
    node_topology: Selector | None = None
    capacity: Quantity | None = None
    maximum_volume_size: Quantity | None = None

    unconditional_update = False
    columns = (CREATED_AT,)

    def validate(self, old: CSIStorageCapacity | None) -> Iterator[FieldError]:
        """Every broken rule; where and of which class is for life."""
        yield from check_name("storageClassName", self.storage_class_name, names.dns1123_subdomain)
        if self.node_topology is not None:
            yield from check_selector("nodeTopology", self.node_topology.raw)
        for field, amount in (("capacity", self.capacity), ("maximumVolumeSize", self.maximum_volume_size)):
            if amount is not None and amount.nanos < 0:
                yield invalid(field, str(amount), NEGATIVE)
        if old is not None:
            if self.node_topology != old.node_topology:
                yield immutable("nodeTopology", None if self.node_topology is None else self.node_topology.raw)
            yield from unchanged("storageClassName", self.storage_class_name, old.storage_class_name)
