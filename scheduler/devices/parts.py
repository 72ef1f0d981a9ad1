"""Parts: which pods have how much of which card's memory, and of which card the next one gets its part.

A card is either whole, and one pod's, or in parts. Whoever wants a part gets it of a card that is in parts already, of
the fullest where it fits; else of one that nobody has, whose linked neighbours are in use. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

from scheduler.devices.inventory import Device
from wherry.api.resource.gpu import Share

IsFree = Callable[[Device], bool]


class Part(NamedTuple):
    """What one pod has: a share of a card of a node."""

    node: str
    card: str
    share: Share


class Parts:
    """See the module."""

    def __init__(self) -> None:
        self._of_pod: dict[str, Part] = {}
        self._pods: dict[str, dict[str, Part]] = {}

    def hold(self, pod: str, part: Part) -> None:
        """A pod has this part, and no other."""
        self.drop(pod)
        self._of_pod[pod] = part
        self._pods.setdefault(part.card, {})[pod] = part

    def drop(self, pod: str) -> Part | None:
        """A pod has nothing any more; gives what it had."""
        part = self._of_pod.pop(pod, None)
        if part is not None:
            del self._pods[part.card][pod]
            if not self._pods[part.card]:
                del self._pods[part.card]
        return part

    def of(self, pod: str) -> Part | None:
        """What a pod has."""
        return self._of_pod.get(pod)

    def is_shared(self, device: Device) -> bool:
        """Whether somebody has a part of it."""
        return device.uuid in self._pods

    def users(self, device: Device) -> Collection[str]:
        """The pods that have parts of it."""
        return self._pods.get(device.uuid, {})

    def left(self, device: Device) -> int:
        """How much of a card in parts is left, in bytes; of a whole one all."""
        parts: Mapping[str, Part] = self._pods.get(device.uuid, {})
        return device.memory_bytes - sum(part.share.size for part in parts.values())

    def largest(self, cards: Collection[Device], is_free: IsFree) -> int:
        """How large the largest part is that there still is, in bytes."""
        usable = [card for card in cards if not card.taints and card.uuid and (self.is_shared(card) or is_free(card))]
        return max(map(self.left, usable), default=0)

    def pick(self, cards: Collection[Device], size: int, is_free: IsFree) -> Device | None:
        """The card of which a pod gets so many bytes; None if there is none."""
        fitting = [card for card in cards if not card.taints and card.uuid and self.left(card) >= size]
        shared = [card for card in fitting if self.is_shared(card)]
        if shared:
            return min(shared, key=lambda card: (self.left(card), card.id))
        groups: dict[str, int] = {}
        for card in cards:
            groups[card.link_group] = groups.get(card.link_group, 0) + is_free(card)
        whole = [card for card in fitting if is_free(card)]
        return min(whole, key=lambda card: (groups[card.link_group], card.memory_bytes, card.id), default=None)
