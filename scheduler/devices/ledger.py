"""Ledger: who holds which device, and which ones the next pod gets.

Pods hold cards by uuid, by the record in them; claims hold devices by name, by their allocation. What was chosen counts
from that moment on, before the API server has heard of it; what the watch reports replaces that. So after a restart the
same follows from the pods and claims alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager

from scheduler.devices.inventory import Device, DeviceId
from scheduler.devices.parts import Part, Parts


class Ledger:
    """See the module. Pure."""

    def __init__(self) -> None:
        self.parts = Parts()
        # Rises when there may be more for others than before.
        self.freed = 0
        self._of_pod: dict[str, tuple[str, ...]] = {}
        self._of_claim: dict[str, tuple[DeviceId, ...]] = {}
        self._pods: dict[str, set[str]] = {}
        self._claims: dict[DeviceId, set[str]] = {}
        # Pods that have cards nobody has named, by node: what is free there only the node knows.
        self._unnamed: dict[str, set[str]] = {}
        self._node_of_unnamed: dict[str, str] = {}
        # Whole cards that are kept for pods who count them, whichever they will be: how many for whom, by node.
        self._kept: dict[str, dict[str, int]] = {}

    def hold(self, pod: str, cards: Iterable[str]) -> None:
        """A pod has these cards, and no others."""
        self.drop(pod)
        self._of_pod[pod] = tuple(cards)
        for card in self._of_pod[pod]:
            self._pods.setdefault(card, set()).add(pod)

    def hold_part(self, pod: str, part: Part) -> None:
        """A pod has a part of a card."""
        self.drop(pod)
        self.parts.hold(pod, part)

    def hold_unnamed(self, pod: str, node: str) -> None:
        """A pod has some cards of the node."""
        self.drop(pod)
        self._node_of_unnamed[pod] = node
        self._unnamed.setdefault(node, set()).add(pod)

    def drop(self, pod: str) -> Part | None:
        """A pod has none any more; gives the part that it had of one."""
        named, node, part = self._of_pod.pop(pod, ()), self._node_of_unnamed.pop(pod, None), self.parts.drop(pod)
        for card in named:
            _without(self._pods, card, pod)
        if node is not None:
            _without(self._unnamed, node, pod)
        if named or node is not None or part is not None:
            self.freed += 1
        return part

    def hold_claim(self, claim: str, devices: Iterable[DeviceId]) -> None:
        """A claim has these devices, and no others."""
        self.drop_claim(claim)
        self._of_claim[claim] = tuple(devices)
        for device in self._of_claim[claim]:
            self._claims.setdefault(device, set()).add(claim)

    def drop_claim(self, claim: str) -> None:
        """A claim has none any more."""
        devices = self._of_claim.pop(claim, ())
        for device in devices:
            _without(self._claims, device, claim)
        if devices:
            self.freed += 1

    def keep(self, node: str, pod: str, cards: int) -> None:
        """Claims and parts leave so many more cards of the node for the pod."""
        if cards:
            kept = self._kept.setdefault(node, {})
            self.freed += cards < kept.get(pod, 0)
            kept[pod] = cards

    def keep_no_more(self, pod: str) -> None:
        """No cards are kept for the pod any more."""
        for node in [node for node, pods in self._kept.items() if pod in pods]:
            self.freed += 1
            del self._kept[node][pod]
            if not self._kept[node]:
                del self._kept[node]

    def kept_on(self, node: str) -> int:
        """How many cards of a node are kept."""
        return sum(self._kept.get(node, {}).values())

    def keeps_for(self, pod: str, node: str) -> bool:
        """Whether cards of the node are kept for the pod."""
        return pod in self._kept.get(node, {})

    def cards_of(self, pod: str) -> tuple[str, ...] | None:
        """The cards that a pod holds by name; None if it holds none so."""
        return self._of_pod.get(pod)

    def devices_of(self, claim: str) -> tuple[DeviceId, ...]:
        """What a claim holds."""
        return self._of_claim.get(claim, ())

    def is_claimed(self, device: Device) -> bool:
        """Whether a claim has it."""
        return device.id in self._claims

    def claims_with(self, device: Device) -> Collection[str]:
        """The claims that have it."""
        return self._claims.get(device.id, set())

    def pods_with(self, device: Device) -> Collection[str]:
        """The pods that have it whole."""
        return self._pods.get(device.uuid, set())

    def is_granted(self, device: Device) -> bool:
        """Whether a pod has it."""
        return bool(device.uuid) and device.uuid in self._pods

    def is_free(self, device: Device) -> bool:
        """Whether nobody has it."""
        if device.is_gpu and device.node in self._unnamed:
            return False
        return not self.is_claimed(device) and not self.is_granted(device) and not self.parts.is_shared(device)

    @contextmanager
    def without(self, pods: Iterable[str], claims: Iterable[str]) -> Iterator[None]:
        """Meanwhile these have nothing."""
        freed = self.freed
        cards = {pod: self._of_pod.get(pod) for pod in pods}
        parts = {pod: self.parts.of(pod) for pod in cards}
        unnamed = {pod: self._node_of_unnamed.get(pod) for pod in cards}
        devices = {claim: self.devices_of(claim) for claim in claims}
        for pod in cards:
            self.drop(pod)
        for claim in devices:
            self.drop_claim(claim)
        try:
            yield
        finally:
            for pod, named in cards.items():
                if (part := parts[pod]) is not None:
                    self.hold_part(pod, part)
                elif (node := unnamed[pod]) is not None:
                    self.hold_unnamed(pod, node)
                elif named is not None:
                    self.hold(pod, named)
            for claim, had in devices.items():
                self.hold_claim(claim, had)
            self.freed = freed

    def is_unnamed(self, pod: str) -> bool:
        """Whether a pod has cards that nobody named."""
        return pod in self._node_of_unnamed

    def has_unnamed(self, node: str) -> bool:
        """Whether somebody has cards there that nobody named."""
        return node in self._unnamed


def charge_of(devices: Iterable[Device], ledger: Ledger) -> int:
    """How many cards those who count must do without: claims have some, some are in parts, and some that pods have are
    offered no more.
    """
    cards = [device for device in devices if device.is_gpu]
    taken = (ledger.is_claimed(card) or ledger.parts.is_shared(card) for card in cards if not card.taints)
    broken = sum(1 for card in cards if ledger.is_granted(card) and card.taints)
    return sum(taken) - broken


def pick(cards: Collection[Device], count: int) -> list[Device] | None:
    """So many of these free cards, such that linked ones stay together; None if there are not so many.

    The smallest group of linked cards that is large enough serves; if none is, the largest is used up and the rest
    taken in the same way.
    """
    if len(cards) < count:
        return None
    groups: dict[str, list[Device]] = {}
    for card in sorted(cards, key=lambda card: card.id):
        groups.setdefault(card.link_group, []).append(card)
    holes = sorted(groups.values(), key=len)
    chosen: list[Device] = []
    while len(chosen) < count:
        missing = count - len(chosen)
        hole = next((group for group in holes if len(group) >= missing), holes[-1])
        holes = [group for group in holes if group is not hole]
        chosen += hole[:missing]
    return sorted(chosen, key=lambda card: card.id)


def _without(index: dict[str, set[str]] | dict[DeviceId, set[str]], key: object, member: str) -> None:
    holders: dict[object, set[str]] = index  # type: ignore[assignment]
    holders[key].discard(member)
    if not holders[key]:
        del holders[key]
