"""Counters: what devices of a pool have in common, and use up when somebody has them. Pure.

A card that is offered whole and in slices has one counter, its memory: whoever has a slice of it leaves too little for
the whole. Kubernetes: partitionable devices (sharedCounters and consumesCounters of ResourceSlices).
"""

from __future__ import annotations

from collections.abc import Callable

from scheduler.devices.inventory import CounterId, Device, Inventory, PoolId
from wherry.machinery.quantity import Quantity


class Counters:
    """What is left in each pool, during one search. Whatever is not free uses up its share from the beginning."""

    def __init__(self, inventory: Inventory, is_free: Callable[[Device], bool]) -> None:
        self._inventory, self._is_free = inventory, is_free
        self._left: dict[PoolId, dict[CounterId, Quantity]] = {}

    def take(self, device: Device) -> bool:
        """Use up what the device needs; False, and nothing is used, where that is not left or nobody told of it."""
        if not device.consumes:
            return True
        left = self._left_in(device)
        if any(counter not in left or left[counter] < amount for counter, amount in device.consumes.items()):
            return False
        for counter, amount in device.consumes.items():
            left[counter] -= amount
        return True

    def give_back(self, device: Device) -> None:
        """Undo a `take`."""
        for counter, amount in device.consumes.items():
            self._left_in(device)[counter] += amount

    def _left_in(self, device: Device) -> dict[CounterId, Quantity]:
        pool = device.id.driver, device.id.pool
        if pool not in self._left:
            left = dict(self._inventory.counters(pool))
            for other in self._inventory.devices(pool):
                if other.consumes and not self._is_free(other):
                    left |= {id: left[id] - amount for id, amount in other.consumes.items() if id in left}
            self._left[pool] = left
        return self._left[pool]
