"""Lookup: what a pod's claims on devices ask of a node, as claims, classes and slices are now. Pure.

Kubernetes: the DynamicResources plugin's PreFilter and Filter. Differs: a device class does not serve extended
resources.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence

import msgspec

from scheduler.devices.allocator import Ask, Given, allocate, anything, ask_of
from scheduler.devices.inventory import Device, DeviceId, Inventory
from scheduler.devices.ledger import Ledger
from scheduler.devices.refusals import Refusals
from scheduler.devices.selectors import SelectorProblem
from scheduler.pods import PodView
from scheduler.pods.devices import DeviceNeeds
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.resource.device_class import DeviceClass
from wherry.api.resource.gpu import DRIVER, MEMORY, RESOURCE, read_share
from wherry.api.resource.pod_claims import claim_names
from wherry.api.resource.resource_claim import MAX_RESERVATIONS, AllocationResult, ResourceClaim
from wherry.client.world import Shelf


class Missing(Exception):
    """A claim is not there, or not for this pod; the message says so."""


class NotYetMade(Missing):
    """A claim is to be made from a template."""


class Lookup:
    """See the module. The shelves are those that informers keep current; `promised` are allocations on their way."""

    def __init__(
        self,
        claims: Shelf[ResourceClaim],
        classes: Shelf[DeviceClass],
        nodes: Shelf[Node],
        inventory: Inventory,
        ledger: Ledger,
    ) -> None:
        self._claims, self._classes, self.nodes = claims, classes, nodes
        self.inventory, self.ledger, self.refusals = inventory, ledger, Refusals(ledger)
        self.promised: dict[str, AllocationResult] = {}
        # Claims that are being given back, and by which pods, both by uid.
        self.returning: set[tuple[str, str]] = set()

    def view(self, pod: PodView) -> PodView:
        """The pod with what its claims, and its wish for a part of a card, ask for; the same one if it has neither."""
        if pod.gpu_share:
            return pod.replace(devices=self.sharing(pod))
        if not pod.spec.resource_claims:
            return pod
        return pod.replace(devices=self.needs(pod))

    def sharing(self, pod: PodView) -> DeviceNeeds:
        """Where a part of a card is to be had, for a pod that wants one."""
        if pod.requests.get(RESOURCE) or pod.spec.resource_claims:
            return DeviceNeeds(f"a pod that asks for {MEMORY} can have no other devices")
        picked = {node: card for node in self.inventory.nodes if (card := self.part_of(pod.gpu_share, node))}
        shared = tuple(sorted(node for node, card in picked.items() if self.ledger.parts.is_shared(card)))
        largest = max((self._largest_part(node) for node in self.inventory.nodes if node not in picked), default=0)
        return DeviceNeeds(sharing=tuple(sorted(picked)), shared=shared, largest=largest)

    def _largest_part(self, node: str) -> int:
        if self.ledger.has_unnamed(node):
            return 0
        cards = [card for card in self.inventory.local(node) if card.is_gpu]
        return self.ledger.parts.largest(cards, self._may_be_opened(cards, node))

    def part_of(self, size: int, node: str) -> Device | None:
        """The card of a node of which a pod would get so many bytes."""
        if self.ledger.has_unnamed(node):
            return None
        cards = [card for card in self.inventory.local(node) if card.is_gpu]
        return self.ledger.parts.pick(cards, size, self._may_be_opened(cards, node))

    def _may_be_opened(self, cards: Sequence[Device], node: str) -> Callable[[Device], bool]:
        """Which whole cards may be divided: none, if those that are free are kept."""
        kept, is_free = self.ledger.kept_on(node), self.ledger.is_free
        if kept and sum(is_free(card) for card in cards if not card.taints) <= kept:
            return lambda _: False
        return is_free

    def needs(self, pod: PodView) -> DeviceNeeds:
        """See `DeviceNeeds`."""
        try:
            claims = list(self.claims_of(pod.pod))
            asks = self.asks(claims)
            found = dict(self._nodes_for(asks, pod.requests.get(RESOURCE, 0), self.alike(claims))) if asks else None
        except (Missing, SelectorProblem) as problem:
            return DeviceNeeds(str(problem), is_early=isinstance(problem, NotYetMade))
        given = (allocation.node_selector for claim in claims if (allocation := self.allocation(claim)) is not None)
        reachable = tuple(selector for selector in given if selector is not None)
        if found is None:
            return DeviceNeeds("", reachable)
        return DeviceNeeds("", reachable, tuple(sorted(found)), cards=min(found.values(), default=0))

    def claims_of(self, pod: Pod) -> Iterator[ResourceClaim]:
        """The pod's claims; raises Missing."""
        names = claim_names(pod)
        for use in pod.spec.resource_claims:
            name = names[use.name]
            if name is None:
                raise NotYetMade(f'pod "{pod.key}": ResourceClaim not created yet')
            if not name:
                continue  # the template asks for nothing
            claim = self._claims.get(f"{pod.metadata.namespace}/{name}")
            if claim is None:
                raise Missing(f'resourceclaim "{name}" not found')
            self._check(claim, pod, is_own=use.resource_claim_name is None)
            yield claim

    def claim(self, before: ResourceClaim) -> ResourceClaim | None:
        """A claim as it is now, if it is there still."""
        now = self._claims.get(before.metadata.key)
        return now if now is not None and now.metadata.uid == before.metadata.uid else None

    def cards_of(self, pod: PodView) -> float:
        """How many cards it counts, and has by its claims; or which part of one it has."""
        if pod.gpu_share:
            part = self.ledger.parts.of(pod.uid)
            share = part.share if part else read_share(pod.metadata.annotations)
            return share.fraction if share else 0.0
        counted = pod.requests.get(RESOURCE, 0)
        return counted + sum(self.cards_claimed(pod).values())

    def cards_claimed(self, pod: PodView) -> dict[str, int]:
        """How many cards each of its claims has, or will have once that is written, by the claim's uid."""
        if not pod.spec.resource_claims:
            return {}
        try:
            found = [(claim.metadata.uid, self.allocation(claim)) for claim in self.claims_of(pod.pod)]
        except Missing:
            return {}
        return {
            uid: sum(1 for each in allocation.devices.held if each.driver == DRIVER)
            for uid, allocation in found
            if allocation
        }

    def users_of_claims(self, pod: PodView) -> dict[str, int]:
        """How many pods use each of its claims that have their devices, by the claim's uid."""
        if not pod.spec.resource_claims:
            return {}
        try:
            claims = [claim for claim in self.claims_of(pod.pod) if self.allocation(claim)]
        except Missing:
            return {}
        return {claim.metadata.uid: max(len(claim.status.reserved_for), 1) for claim in claims}

    def _check(self, claim: ResourceClaim, pod: Pod, *, is_own: bool) -> None:
        name = claim.metadata.name
        if claim.metadata.deleted_at is not None:
            raise Missing(f'resourceclaim "{name}" is being deleted')
        if any(uid == claim.metadata.uid for uid, _ in self.returning):
            raise Missing(f'resourceclaim "{name}" is giving its devices back')
        if is_own and not any(owner.uid == pod.metadata.uid for owner in claim.metadata.owner_references):
            raise Missing(f'ResourceClaim "{claim.key}" was not created for pod "{pod.key}" (pod is not owner)')
        users = [user.uid for user in claim.status.reserved_for]
        if len(users) >= MAX_RESERVATIONS and pod.metadata.uid not in users:
            raise Missing(f'resourceclaim "{name}" is in use by {MAX_RESERVATIONS} pods, and by no more')

    def allocation(self, claim: ResourceClaim) -> AllocationResult | None:
        """What the claim has, or will have once that is written."""
        return claim.status.allocation or self.promised.get(claim.metadata.uid)

    def asks(self, claims: list[ResourceClaim]) -> list[Ask]:
        """What those want that have nothing yet."""
        return [ask_of(claim, self._classes.get) for claim in claims if self.allocation(claim) is None]

    def alike(self, claims: list[ResourceClaim]) -> bytes | None:
        """Equal for claims that ask for the same; None if some have what they ask for."""
        if any(self.allocation(claim) is not None for claim in claims):
            return None
        return msgspec.json.encode([claim.spec.to_wire() for claim in claims], order="sorted")

    def given(self, asks: list[Ask], node: Node, beside: int = 0) -> list[list[Given]] | None:
        """The devices of each claim on a node; None if they cannot all be had there, beside so many whole cards."""
        name, is_free = node.metadata.name, self.ledger.is_free
        cards = {card.id for card in self.inventory.local(name) if card.is_gpu and not card.taints and is_free(card)}
        least = beside + self.ledger.kept_on(name)
        # Where there are not so many anyhow, the pod waits for others to leave before it can count them.
        least = least if beside <= len(cards) else least - beside

        def leaves_enough(taken: Collection[DeviceId]) -> bool:
            return cards.isdisjoint(taken) or len(cards.difference(taken)) >= least

        devices, will_do = self.inventory.usable_at(node), leaves_enough if least else anything
        return allocate(asks, devices, self.ledger.is_free, self.inventory, will_do)

    def _nodes_for(self, asks: list[Ask], beside: int, alike: bytes | None) -> Iterator[tuple[str, int]]:
        """The nodes where all of this can be had, beside so many whole cards, and how many cards it would be there."""
        # Who has to have cards beside may have a node when others took these, and need not count on them any more.
        what = None if beside or alike is None else ("alone", alike)
        # Where there are no devices nobody gets any.
        with_devices = self.inventory.nodes
        nodes = self.nodes.all() if self.inventory.has_wide else map(self.nodes.get, with_devices)
        for node in nodes:
            if node is None or self.refusals.has(node.metadata.name, what):
                continue
            given = self.given(asks, node, beside)
            if given is None:
                self.refusals.note(node.metadata.name, what)
            else:
                yield node.metadata.name, sum(each.is_card for some in given for each in some)
