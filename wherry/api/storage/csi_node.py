"""CSINode: which storage drivers run on a node. Written by its kubelet, named after it."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.core.pod.validation.volumes import check_driver_name
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, duplicate, immutable, invalid, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_name, each, non_negative, repeats
from wherry.machinery.view import View

MAX_NODE_ID = 192


class VolumeNodeResources(View):
    """How many volumes of a driver the node can have."""

    count: int | None = None


class CSINodeDriver(View):
    """A driver on the node."""

    name: str = ""
    node_id: str = ""
    topology_keys: tuple[str, ...] = ()
    allocatable: VolumeNodeResources | None = None


class CSINodeSpec(View):
    """The drivers on the node."""

    drivers: tuple[CSINodeDriver, ...] = ()


class CSINode(Resource, group="storage.k8s.io", version="v1", scope="Cluster"):
    """Which storage drivers run on a node."""

    spec: CSINodeSpec = CSINodeSpec()

    delete_returns_object = True
    unconditional_update = False
    columns = (Column("Drivers", lambda node: len(node.spec.drivers), type="integer"), AGE)

    def validate(self, old: CSINode | None) -> Iterator[FieldError]:
        """Every broken rule; a driver that is known stays as it is."""
        yield from each("spec.drivers", self.spec.drivers, _check_driver)
        seen: set[str] = set()
        for index, driver in enumerate(self.spec.drivers):
            if driver.name in seen:
                yield duplicate(f"spec.drivers[{index}].name", driver.name)
            seen.add(driver.name)
        before = {driver.name: driver for driver in old.spec.drivers} if old else {}
        for driver in self.spec.drivers:
            if before.get(driver.name, driver) != driver:
                yield immutable("CSINodeDriver", driver.to_wire())


def _check_driver(driver: CSINodeDriver) -> Iterator[FieldError]:
    yield from check_driver_name("name", driver.name)
    if not driver.node_id:
        yield required("nodeID")
    if len(driver.node_id) > MAX_NODE_ID:
        yield invalid("nodeID", driver.node_id, f"must be {MAX_NODE_ID} characters or less")
    if driver.allocatable is not None and driver.allocatable.count is not None:
        yield from non_negative("allocatable.count", driver.allocatable.count)
    for key, is_repeated in zip(driver.topology_keys, repeats(driver.topology_keys), strict=True):
        if is_repeated:
            yield duplicate("topologyKeys", key)
        yield from check_name("topologyKeys", key, names.qualified_name)
