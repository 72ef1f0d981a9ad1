"""Absence: what becomes free of cards when pods leave, in thought. The last who was thought away comes back first.

A card in parts is whole again when its last user is gone, and the devices of a claim are free when nobody uses it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import NamedTuple

from scheduler.devices.inventory import DeviceId
from scheduler.devices.ledger import Ledger
from scheduler.devices.parts import Part
from scheduler.pods import PodView
from wherry.api.resource.gpu import DRIVER


class Left(NamedTuple):
    """What a pod had: cards by name, a part of one, and the claims that nobody uses without it."""

    pod: str
    cards: tuple[str, ...] | None
    part: Part | None
    claims: Mapping[str, tuple[DeviceId, ...]]


class Absence:
    """See the module. `users` says how many pods use each claim of a pod, and `charge` has a node's cards counted."""

    def __init__(
        self, ledger: Ledger, users: Callable[[PodView], Mapping[str, int]], charge: Callable[[str], None]
    ) -> None:
        self._ledger, self._users, self._charge = ledger, users, charge
        self._gone: Counter[str] = Counter()
        self._left: list[Left] = []

    def leave(self, pod: PodView) -> None:
        """From now on the pod has nothing."""
        if self._ledger.is_unnamed(pod.uid):
            self._left.append(Left(pod.uid, None, None, {}))
            return
        users = self._users(pod)
        self._gone.update(users.keys())
        free = {claim: self._ledger.devices_of(claim) for claim in users if self._gone[claim] >= users[claim]}
        left = Left(pod.uid, self._ledger.cards_of(pod.uid), self._ledger.parts.of(pod.uid), free)
        self._left.append(left)
        self._ledger.drop(pod.uid)
        for claim in free:
            self._ledger.drop_claim(claim)
        self._count(left)

    def come_back(self, pod: PodView) -> None:
        """The pod, the last one that left, has again what it had."""
        left = self._left.pop()
        if not self._ledger.is_unnamed(pod.uid):
            self._gone.subtract(self._users(pod).keys())
        if not self._left:
            self._gone.clear()
        if left.part is not None:
            self._ledger.hold_part(pod.uid, left.part)
        elif left.cards is not None:
            self._ledger.hold(pod.uid, left.cards)
        for claim, devices in left.claims.items():
            self._ledger.hold_claim(claim, devices)
        self._count(left)

    def _count(self, left: Left) -> None:
        nodes = {device.pool for devices in left.claims.values() for device in devices if device.driver == DRIVER}
        for node in nodes | ({left.part.node} if left.part is not None else set()):
            self._charge(node)
