"""Inventory: the devices that the cluster's slices tell of, by the node where they can be used.

Of a pool only the newest generation counts, and only once all its slices are there.

Kubernetes: GatherPools of the structured allocator.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from wherry.api.core.node import Node
from wherry.api.core.pod.spec import NodeSelector
from wherry.api.resource.gpu import DRIVER, WHOLE
from wherry.api.resource.resource_slice import Device as DeviceView
from wherry.api.resource.resource_slice import DeviceTaint, ResourceSlice
from wherry.api.storage.volume_matching import selects
from wherry.machinery.quantity import Quantity


class DeviceId(NamedTuple):
    """What names a device in the whole cluster."""

    driver: str
    pool: str
    device: str


PoolId = tuple[str, str]
CounterId = tuple[str, str]
"""A set of counters of a pool, and one counter of it."""


@dataclass(frozen=True, eq=False)
class Device:
    """One device; `node` is where it is, if it is in one place."""

    id: DeviceId
    node: str = ""
    is_everywhere: bool = False
    selector: NodeSelector | None = None
    attributes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    capacity: Mapping[str, str] = field(default_factory=dict)
    # Those that keep somebody off.
    taints: tuple[DeviceTaint, ...] = ()
    # What it uses up of what the devices of its pool have in common.
    consumes: Mapping[CounterId, Quantity] = field(default_factory=dict)
    # What selectors have said of it, by expression: it never changes.
    said: dict[str, Any] = field(default_factory=dict)

    @property
    def uuid(self) -> str:
        """The card's own identity."""
        return self.text("uuid")

    @property
    def link_group(self) -> str:
        """What it has in common with the cards that are linked with it."""
        return self.text("nvlinkGroup") or self.id.device

    @property
    def is_gpu(self) -> bool:
        """Whether it counts as one `nvidia.com/gpu`."""
        return self.id.driver == DRIVER and self.text("type") == WHOLE

    @property
    def memory_bytes(self) -> int:
        """How much memory the card has; 0 if it does not say."""
        return self.amount("memory").value

    def text(self, name: str) -> str:
        """An attribute of the driver's own that is a text."""
        return str((self.attributes.get(name) or {}).get("string", ""))

    def attribute(self, qualified: str) -> Any:
        """The value of `domain/name`; None if it has no such attribute. The driver's own may have no domain."""
        found = self.attributes.get(qualified)
        if found is None and qualified.startswith(f"{self.id.driver}/"):
            found = self.attributes.get(qualified.partition("/")[2])
        return next(iter(found.items()), None) if found else None

    def amount(self, qualified: str) -> Quantity:
        """How much it has of a capacity, `domain/name` or the driver's own `name`; none if it has no such capacity."""
        found = self.capacity.get(qualified)
        if found is None:
            found = self.capacity.get(qualified.removeprefix(f"{self.id.driver}/"), "0")
        return Quantity.parse(found)

    def can_be_used_at(self, node: Node) -> bool:
        """Whether pods on the node reach it."""
        if self.is_everywhere or self.node == node.metadata.name:
            return True
        return self.selector is not None and selects(self.selector, node)


class Inventory:
    """See the module."""

    def __init__(self) -> None:
        self._slices: dict[PoolId, dict[str, ResourceSlice]] = {}
        self._pools: dict[PoolId, tuple[Device, ...]] = {}
        self._counters: dict[PoolId, Mapping[CounterId, Quantity]] = {}
        self._at: dict[str, dict[DeviceId, Device]] = {}
        self._wide: dict[DeviceId, Device] = {}

    def set_slice(self, before: ResourceSlice | None, after: ResourceSlice | None) -> set[str]:
        """Take over a slice that came, changed or went; gives the nodes whose devices changed."""
        seen = after or before
        if seen is None:
            return set()
        pool = seen.spec.driver, seen.spec.pool.name
        slices = self._slices.setdefault(pool, {})
        slices.pop(seen.metadata.name, None)
        if after is not None:
            slices[seen.metadata.name] = after
        nodes = {device.node for device in self._pools.get(pool, ())}
        for device in self._pools.pop(pool, ()):
            self._wide.pop(device.id, None)
            self._at.get(device.node, {}).pop(device.id, None)
        current = _current(slices.values())
        self._pools[pool] = tuple(_devices_of(current))
        self._counters[pool] = dict(_counters_of(current))
        for device in self._pools[pool]:
            home = self._at.setdefault(device.node, {}) if device.node else self._wide
            home[device.id] = device
        return (nodes | {device.node for device in self._pools[pool]}) - {""}

    def local(self, node: str) -> list[Device]:
        """The devices that are in this node, and nowhere else."""
        return list(self._at.get(node, {}).values())

    def usable_at(self, node: Node) -> list[Device]:
        """All devices that pods on the node reach."""
        wide = [device for device in self._wide.values() if device.can_be_used_at(node)]
        return [*self.local(node.metadata.name), *wide]

    def devices(self, pool: PoolId) -> tuple[Device, ...]:
        """All devices of a pool, wherever they are."""
        return self._pools.get(pool, ())

    def counters(self, pool: PoolId) -> Mapping[CounterId, Quantity]:
        """What the devices of a pool have in common, as if nobody had any of them."""
        return self._counters.get(pool, {})

    @property
    def has_wide(self) -> bool:
        """Whether some devices are not in one place."""
        return bool(self._wide)

    @property
    def nodes(self) -> list[str]:
        """The nodes that have devices of their own."""
        return [name for name, devices in self._at.items() if devices]


def _current(slices: Collection[ResourceSlice]) -> list[ResourceSlice]:
    """The newest slices of a pool, if all of them are there."""
    newest = max((each.spec.pool.generation for each in slices), default=0)
    current = [each for each in slices if each.spec.pool.generation == newest]
    is_whole = bool(current) and len(current) == current[0].spec.pool.resource_slice_count
    return sorted(current, key=lambda one: one.metadata.name) if is_whole else []


def _devices_of(slices: Iterable[ResourceSlice]) -> Iterator[Device]:
    return (_device(each, view) for each in slices for view in each.spec.devices)


def _counters_of(slices: Iterable[ResourceSlice]) -> Iterator[tuple[CounterId, Quantity]]:
    for each in slices:
        for shared in each.spec.shared_counters:
            yield from (((shared.name, name), counter.value) for name, counter in shared.counters.items())


def _device(of: ResourceSlice, view: DeviceView) -> Device:
    spec = of.spec
    place: Any = view if spec.per_device_node_selection else spec
    return Device(
        DeviceId(spec.driver, spec.pool.name, view.name),
        place.node_name or "",
        bool(place.all_nodes),
        place.node_selector,
        {name: value.raw for name, value in view.attributes.items()},
        {name: str(value.raw.get("value", "0")) for name, value in view.capacity.items()},
        tuple(taint for taint in view.taints if taint.effect != "None"),
        {
            (of.counter_set, name): counter.value
            for of in view.consumes_counters
            for name, counter in of.counters.items()
        },
    )
