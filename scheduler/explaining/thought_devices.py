"""The devices of a picture: who holds them, and who would get them, were pods to be placed.

What `scheduler/devices/room.py` does for the scheduler, without writing anything. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from scheduler.devices.allocator import allocate
from scheduler.devices.grants import Grants
from scheduler.devices.inventory import Device, DeviceId, Inventory
from scheduler.devices.ledger import Ledger, charge_of
from scheduler.devices.lookup import Lookup
from scheduler.devices.parts import Part
from scheduler.pods import PodView
from scheduler.pods.devices import DeviceNeeds
from scheduler.snapshot import Snapshot
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.core.pod.spec import PodResourceClaim
from wherry.api.core.pod.status import PodResourceClaimStatus
from wherry.api.resource.device_class import DeviceClass
from wherry.api.resource.gpu import RESOURCE, asks_for_gpus, asks_for_share, granted_to, read_share
from wherry.api.resource.resource_claim import AllocationResult, ResourceClaim
from wherry.api.resource.resource_claim_template import ResourceClaimTemplate
from wherry.api.resource.resource_slice import ResourceSlice
from wherry.client.world import Shelf
from wherry.machinery.meta import controller_reference
from wherry.machinery.resource import Resource

KINDS: tuple[type[Resource], ...] = (DeviceClass, ResourceSlice, ResourceClaim, ResourceClaimTemplate)


class ThoughtDevices:
    """See the module. `snapshot` is told which cards claims have."""

    def __init__(self, objects: Mapping[type[Resource], Sequence[Any]], snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._claims = _shelf(objects.get(ResourceClaim, ()))
        self._templates = _shelf(objects.get(ResourceClaimTemplate, ()))
        self._nodes = _shelf(objects.get(Node, ()))
        classes: Shelf[DeviceClass] = _shelf(objects.get(DeviceClass, ()))
        self._inventory, self._ledger = Inventory(), Ledger()
        self._lookup = Lookup(self._claims, classes, self._nodes, self._inventory, self._ledger)
        self.grants = Grants(self._lookup, self._charge)
        self._impossible: dict[str, str] = {}
        for each in objects.get(ResourceSlice, ()):
            self._inventory.set_slice(None, each)
        for claim in objects.get(ResourceClaim, ()):
            self._hold(claim.metadata.uid, claim.status.allocation)
        self._names = {pod.metadata.uid: pod.key for pod in objects.get(Pod, ())}
        for pod in objects.get(Pod, ()):
            if not pod.spec.node_name or pod.is_finished:
                continue
            share, cards = read_share(pod.metadata.annotations), granted_to(pod)
            if share is not None and cards and asks_for_share(pod):
                self._ledger.hold_part(pod.metadata.uid, Part(pod.spec.node_name, cards[0], share))
            elif asks_for_gpus(pod):
                self._grant(pod.metadata.uid, pod.spec.node_name, granted_to(pod))
        for name in self._inventory.nodes:
            self._charge(name)

    def view(self, pod: PodView) -> PodView:
        """The pod with what its claims ask for."""
        if why := self._impossible.get(pod.uid):
            return pod.replace(devices=DeviceNeeds(why))
        return self.grants.view(pod)

    def cards_claimed(self, pod: PodView) -> Mapping[str, int]:
        """How many cards each of its claims has, by the claim's uid."""
        return self._lookup.cards_claimed(pod)

    def imagine(self, pod: Pod) -> Pod:
        """A pod that is not there yet, with the claims that its templates would make for it."""
        made = tuple(self._made(pod, use) for use in pod.spec.resource_claims if use.resource_claim_template_name)
        return pod.with_status(resource_claim_statuses=made) if made else pod

    def _made(self, pod: Pod, use: PodResourceClaim) -> PodResourceClaimStatus:
        named, place = use.resource_claim_template_name or "", pod.metadata.namespace
        template = self._templates.get(f"{place}/{named}")
        claim = f"{pod.metadata.name}-{use.name}"
        if template is None:
            self._impossible[pod.metadata.uid] = f'resourceclaimtemplate "{named}" not found'
        else:
            owners = [controller_reference(pod)]
            metadata = {"name": claim, "namespace": place, "uid": f"{place}/{claim}", "ownerReferences": owners}
            self._claims.put(ResourceClaim.read({"metadata": metadata, "spec": template.spec.manifest}))
        return PodResourceClaimStatus(name=use.name, resource_claim_name=claim)

    def take(self, pod: PodView, name: str) -> None:
        """The pod gets what it asks for on the node, or, where that is not to be had by name, cards nobody names."""
        if not pod.devices.problem and self.grants.take(pod, name) and pod.requests.get(RESOURCE):
            self._ledger.hold_unnamed(pod.uid, name)

    def put(self, pod: PodView, name: str) -> bool:
        """The same in thought; False if that cannot be. Cards that others have are free when they make way."""
        if self.grants.put(pod, name):
            return True
        if pod.gpu_share or pod.spec.resource_claims:
            return False
        self._ledger.hold_unnamed(pod.uid, name)
        return True

    def taken_on(self, node: str) -> Iterator[str]:
        """Who has the cards of the node that pods with whole ones must do without, a line for each card."""
        for card in self._inventory.local(node):
            is_taken = self._ledger.is_claimed(card) or self._ledger.parts.is_shared(card)
            if card.is_gpu and not card.taints and is_taken:
                yield self._holders(card)

    def in_the_way(self, pod: PodView, node: str) -> list[str] | None:
        """The devices of the node that would have to become free for what the pod claims, and who has each.

        None: it could not be had there even if all were free.
        """
        if pod.gpu_share:
            cards = [card for card in self._inventory.local(node) if card.is_gpu and not card.taints]
            fitting = [card for card in cards if card.memory_bytes >= pod.gpu_share]
            least = min(fitting, key=lambda card: (len(self._ledger.parts.users(card)), card.id), default=None)
            return None if least is None else [self._holders(least)]
        there = self._nodes.get(node)
        if there is None:
            return None
        asks, allowed = self._lookup.asks(list(self._lookup.claims_of(pod.pod))), set[DeviceId]()
        devices = self._inventory.usable_at(there)
        busy = [device for device in devices if not self._ledger.is_free(device)]
        for device in sorted(busy, key=lambda device: device.id):
            allowed.add(device.id)
            given = allocate(asks, devices, lambda one: one.id in allowed or self._ledger.is_free(one), self._inventory)
            if given is not None:
                used = {each.device.id: each.device for some in given for each in some}
                return [self._holders(one) for id, one in sorted(used.items()) if id in allowed]
        return None

    def _holders(self, card: Device) -> str:
        """A device that somebody has, and who."""
        name = card.id.device
        if self._ledger.is_claimed(card):
            keys = {claim.metadata.uid: claim.key for claim in self._claims.all()}
            claims = [keys[uid] for uid in sorted(self._ledger.claims_with(card)) if uid in keys]
            return f"{name} of claim {', '.join(claims)}"
        if self._ledger.parts.is_shared(card):
            users = sorted(self._names.get(uid, uid) for uid in self._ledger.parts.users(card))
            return f"{name} in parts of {', '.join(users)}"
        pods = sorted(self._names.get(uid, uid) for uid in self._ledger.pods_with(card))
        return f"{name} of pod {', '.join(pods)}" if pods else name

    def drop(self, pod: PodView) -> None:
        """The pod makes way: its cards are free. Claims are given back only once it is gone."""
        self.grants.drop(pod.uid)

    def _grant(self, pod: str, node: str, cards: Iterable[str] | None) -> None:
        if cards is None:
            self._ledger.hold_unnamed(pod, node)
        else:
            self._ledger.hold(pod, cards)

    def _hold(self, claim: str, allocation: AllocationResult | None) -> None:
        if allocation is not None:
            held = allocation.devices.held
            self._ledger.hold_claim(claim, [DeviceId(each.driver, each.pool, each.device) for each in held])

    def _charge(self, node: str) -> None:
        self._snapshot.charge(node, RESOURCE, charge_of(self._inventory.local(node), self._ledger))


def _shelf(objects: Iterable[Any]) -> Shelf[Any]:
    shelf: Shelf[Any] = Shelf()
    for obj in objects:
        shelf.put(obj)
    return shelf
