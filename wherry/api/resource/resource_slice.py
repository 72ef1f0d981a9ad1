"""ResourceSlice: devices that a driver offers, on one node or on several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from wherry.api.core.pod.spec import NodeSelector
from wherry.api.core.pod.validation.scheduling import check_node_selector
from wherry.api.core.pod.validation.volumes import check_driver_name
from wherry.api.resource.device_claim import GROUP, at_most, distinct
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, invalid, not_supported, required, too_long, too_many
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import each, required_name, unchanged, under
from wherry.machinery.view import Verbatim, View

MAX_DEVICES, MAX_POOL_NAME = 128, 253
MAX_SPECIAL_DEVICES = 64
"""How many devices a slice may have where some have taints or use counters."""
MAX_COUNTER_SETS, MAX_COUNTERS, MAX_CONSUMPTIONS = 8, 32, 2
_EFFECTS = ("NoExecute", "NoSchedule", "None")
_PLACES = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"


class ResourcePool(View):
    """Devices that are told of in several slices; a newer generation replaces an older one."""

    name: str = ""
    generation: int = 0
    resource_slice_count: int = 0


class DeviceTaint(View):
    """Why a device is not for everybody."""

    key: str = ""
    value: str = ""
    effect: str = ""
    time_added: datetime | None = None


class Counter(View):
    """An amount of something that devices have in common."""

    value: Quantity = Quantity()


class CounterSet(View):
    """What some devices of a pool have in common, such as the memory of one card."""

    name: str = ""
    counters: dict[str, Counter] = {}


class DeviceCounterConsumption(View):
    """What a device uses up of a set of counters."""

    counter_set: str = ""
    counters: dict[str, Counter] = {}


class Device(View):
    """A device, what it is like and what it can do."""

    name: str = ""
    attributes: dict[str, Verbatim] = {}
    capacity: dict[str, Verbatim] = {}
    taints: tuple[DeviceTaint, ...] = ()
    consumes_counters: tuple[DeviceCounterConsumption, ...] = ()
    node_name: str | None = None
    all_nodes: bool | None = None
    node_selector: NodeSelector | None = None


class ResourceSliceSpec(View):
    """Who offers which devices where."""

    driver: str = ""
    pool: ResourcePool = ResourcePool()
    node_name: str | None = None
    node_selector: NodeSelector | None = None
    all_nodes: bool | None = None
    per_device_node_selection: bool | None = None
    devices: tuple[Device, ...] = ()
    shared_counters: tuple[CounterSet, ...] = ()


class ResourceSlice(Resource, group=GROUP, version="v1", scope="Cluster"):
    """Devices that a driver offers."""

    spec: ResourceSliceSpec = ResourceSliceSpec()

    counts_generations = True
    selectable = {
        "spec.nodeName": lambda slice: slice.spec.node_name or "",
        "spec.driver": lambda slice: slice.spec.driver,
    }
    columns = (
        Column("Node", lambda slice: slice.spec.node_name or "<unset>"),
        Column("Driver", lambda slice: slice.spec.driver),
        Column("Pool", lambda slice: slice.spec.pool.name),
        AGE,
    )

    def validate(self, old: ResourceSlice | None) -> Iterator[FieldError]:
        """Every broken rule; driver, pool and node are for life."""
        yield from under("spec", _check_spec(self.spec))
        if old is not None:
            yield from unchanged("spec.pool.name", self.spec.pool.name, old.spec.pool.name)
            yield from unchanged("spec.driver", self.spec.driver, old.spec.driver)
            yield from unchanged("spec.nodeName", self.spec.node_name, old.spec.node_name)


def _check_spec(spec: ResourceSliceSpec) -> Iterator[FieldError]:
    yield from check_driver_name("driver", spec.driver)
    yield from under("pool", _check_pool(spec.pool))
    places: dict[str, Any] = {
        "nodeName": spec.node_name,
        "nodeSelector": spec.node_selector,
        "allNodes": spec.all_nodes,
        "perDeviceNodeSelection": spec.per_device_node_selection,
    }
    given = [f"`{field}`" for field, value in places.items() if value]
    if not given:
        yield required("", _PLACES)
    elif len(given) > 1:
        yield invalid("", "{" + ", ".join(given) + "}", f"{_PLACES}, but multiple fields are set")
    if spec.node_name is not None:
        yield from required_name("nodeName", spec.node_name, names.dns1123_subdomain)
    if spec.node_selector is not None:
        yield from under("nodeSelector", check_node_selector(spec.node_selector))
    if spec.shared_counters and spec.devices:
        yield invalid("", "", "only one of `sharedCounters` or `devices` is allowed")
    is_special = any(device.taints or device.consumes_counters for device in spec.devices)
    yield from at_most("devices", spec.devices, MAX_SPECIAL_DEVICES if is_special else MAX_DEVICES)
    yield from each("devices", spec.devices, _check_device)
    yield from distinct("devices", "name", (device.name for device in spec.devices))
    yield from at_most("sharedCounters", spec.shared_counters, MAX_COUNTER_SETS)
    yield from each("sharedCounters", spec.shared_counters, _check_counter_set)
    yield from distinct("sharedCounters", "name", (shared.name for shared in spec.shared_counters))


def _check_pool(pool: ResourcePool) -> Iterator[FieldError]:
    if not pool.name:
        yield required("name")
    if len(pool.name) > MAX_POOL_NAME:
        yield too_long("name", MAX_POOL_NAME)
    for part in pool.name.split("/") if pool.name else ():
        yield from required_name("name", part, names.dns1123_subdomain)
    if pool.generation < 0:
        yield invalid("generation", pool.generation, "must be greater than or equal to zero")
    if pool.resource_slice_count <= 0:
        yield invalid("resourceSliceCount", pool.resource_slice_count, "must be greater than zero")


def _check_device(device: Device) -> Iterator[FieldError]:
    yield from required_name("name", device.name, names.dns1123_label)
    for field, named in (("attributes", device.attributes), ("capacity", device.capacity)):
        for key in named:
            yield from _check_qualified(f"{field}[{key}]", key)
    for index, taint in enumerate(device.taints):
        yield from required_name(f"taints[{index}].key", taint.key, names.qualified_name)
        if taint.effect not in _EFFECTS:
            yield not_supported(f"taints[{index}].effect", taint.effect, _EFFECTS)
    used = device.consumes_counters
    yield from at_most("consumesCounters", used, MAX_CONSUMPTIONS)
    yield from each("consumesCounters", used, _check_consumption)
    yield from distinct("consumesCounters", "counterSet", (one.counter_set for one in used))


def _check_counter_set(shared: CounterSet) -> Iterator[FieldError]:
    yield from required_name("name", shared.name, names.dns1123_label)
    yield from _check_counters(shared.counters)


def _check_consumption(used: DeviceCounterConsumption) -> Iterator[FieldError]:
    yield from required_name("counterSet", used.counter_set, names.dns1123_label)
    yield from _check_counters(used.counters)


def _check_counters(counters: Mapping[str, Counter]) -> Iterator[FieldError]:
    if not counters:
        yield required("counters")
    if len(counters) > MAX_COUNTERS:
        yield too_many("counters", len(counters), MAX_COUNTERS)
    for name in counters:
        yield from required_name(f"counters[{name}]", name, names.dns1123_label)


def _check_qualified(field: str, name: str) -> Iterator[FieldError]:
    """A name, and perhaps the domain of who gave it; else it is the driver's."""
    *domain, identifier = name.split("/", 1)
    for part in domain:
        yield from required_name(field, part, names.dns1123_subdomain)
    yield from required_name(field, identifier, names.c_identifier)
