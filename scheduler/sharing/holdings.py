"""Holdings: who holds which cards, on which node, since when. Pure.

    holdings_of(pods, claims, inventory)      # what `wherry who` shows

What a pod holds stands in its record, or in the allocations of the claims that it uses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from scheduler.devices.inventory import Device, DeviceId, Inventory
from scheduler.pods import PodView
from wherry.api.core.pod import Pod
from wherry.api.resource.gpu import DRIVER, RESOURCE, granted_to, read_share
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.sharing.user import bound_at, user_of
from wherry.machinery.quantity import Format, Quantity


class Card(NamedTuple):
    """A card as people know it; of one that no slice tells of only the uuid is known."""

    uuid: str
    name: str = ""
    product: str = ""
    # Which part of its memory, if not the whole card; in bytes of so many.
    share: int = 0
    of: int = 0

    @property
    def label(self) -> str:
        """Its name, and the part: `gpu-0[10Gi/40Gi]`."""
        name = self.name or self.uuid
        return f"{name}[{_size(self.share)}/{_size(self.of)}]" if self.share else name


class Holding(NamedTuple):
    """What one pod holds; `unnamed` counts cards that only the node can name."""

    user: str
    pod: Pod
    cards: tuple[Card, ...]
    unnamed: int
    since: datetime | None

    @property
    def workload(self) -> str:
        """What made the pod, as `Kind/name`; the pod itself if nothing did."""
        owners = (owner for owner in self.pod.metadata.owner_references if owner.controller)
        return next((f"{owner.kind}/{owner.name}" for owner in owners), f"Pod/{self.pod.metadata.name}")


def holdings_of(pods: Iterable[Pod], claims: Iterable[ResourceClaim], inventory: Inventory) -> list[Holding]:
    """Everybody who holds cards, by user and then by how long."""
    devices = {device.id: device for node in inventory.nodes for device in inventory.local(node)}
    by_uuid = {device.uuid: device for device in devices.values() if device.uuid}
    claimed = _claimed(claims)
    placed = (pod for pod in pods if pod.spec.node_name and not pod.is_finished)
    found = (_holding(pod, by_uuid, _known(claimed.get(pod.metadata.uid, ()), devices)) for pod in placed)
    held = [each for each in found if each.cards or each.unnamed]
    return sorted(held, key=lambda each: (each.user, each.since is None, each.since, each.pod.key))


def idle_cards(holdings: Iterable[Holding], inventory: Inventory) -> dict[str, list[Card]]:
    """The cards that work and that nobody holds by name, by node."""
    held = {card.uuid for each in holdings for card in each.cards}
    return {
        node: [
            _card(card) for card in inventory.local(node) if card.is_gpu and not card.taints and card.uuid not in held
        ]
        for node in sorted(inventory.nodes)
    }


def cards_claimed(claims: Iterable[ResourceClaim]) -> dict[str, int]:
    """How many cards each pod has by its claims, by the pod's uid."""
    return {uid: sum(cards.values()) for uid, cards in cards_by_claim(claims).items()}


def cards_by_claim(claims: Iterable[ResourceClaim]) -> dict[str, dict[str, int]]:
    """How many cards each claim of a pod has, by the uids of pod and claim."""
    found: defaultdict[str, dict[str, int]] = defaultdict(dict)
    for claim in claims:
        held = claim.status.allocation.devices.held if claim.status.allocation else ()
        cards = sum(1 for each in held if each.driver == DRIVER)
        for user in claim.status.reserved_for if cards else ():
            found[user.uid][claim.metadata.uid] = cards
    return found


def _known(ids: Iterable[DeviceId], devices: Mapping[DeviceId, Device]) -> list[Device]:
    return [devices[id] for id in ids if id in devices]


def _claimed(claims: Iterable[ResourceClaim]) -> Mapping[str, list[DeviceId]]:
    found: defaultdict[str, list[DeviceId]] = defaultdict(list)
    for claim in claims:
        held = claim.status.allocation.devices.held if claim.status.allocation else ()
        for user in claim.status.reserved_for:
            found[user.uid] += [DeviceId(each.driver, each.pool, each.device) for each in held]
    return found


def _holding(pod: Pod, by_uuid: Mapping[str, Device], claimed: Iterable[Device]) -> Holding:
    granted, share = granted_to(pod), read_share(pod.metadata.annotations)
    wanted = PodView(pod).requests.get(RESOURCE, 0)
    named = [_card(by_uuid[uuid]) if uuid in by_uuid else Card(uuid) for uuid in granted or ()]
    if share is not None:
        named = [card._replace(share=share.size, of=share.whole) for card in named]
    cards = (*named, *(_card(device) for device in claimed))
    return Holding(user_of(pod), pod, cards, wanted if granted is None else 0, bound_at(pod))


def _size(number: int) -> str:
    return Quantity.from_value(number, Format.BINARY_SI).canonical()


def _card(device: Device) -> Card:
    return Card(device.uuid or "/".join(device.id), device.id.device, device.text("productName"))
