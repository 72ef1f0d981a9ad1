"""Devices: keeps slices, claims and classes at hand, grants cards and claims to pods, and has that written.

Cards that a pod only counts are named here and written with the binding itself. Claims are written before it, each pod
in a task of its own; who cannot be bound gives them back. An answer that got lost is settled by looking again, so what
may have been written is never given to somebody else.

Kubernetes: the DynamicResources plugin's Reserve, PreBind and Unreserve, with the assume cache.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

import structlog

from scheduler.binder import Bound
from scheduler.devices.absence import Absence
from scheduler.devices.inventory import DeviceId, Inventory
from scheduler.devices.ledger import Ledger, charge_of, pick
from scheduler.devices.lookup import Lookup
from scheduler.devices.parts import Part
from scheduler.devices.writes import ClaimPatch, allocation_of, next_write, undoing_write
from scheduler.pods import PodView
from scheduler.snapshot import Snapshot
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.resource.device_class import DeviceClass
from wherry.api.resource.gpu import (
    DRIVER,
    MEMORY,
    RESOURCE,
    Share,
    asks_for_gpus,
    asks_for_share,
    grant_record,
    granted_to,
    read_share,
    share_record,
)
from wherry.api.resource.pod_claims import claim_names
from wherry.api.resource.resource_claim import AllocationResult, ResourceClaim
from wherry.api.resource.resource_slice import ResourceSlice
from wherry.client.backoff import Backoff
from wherry.client.http import Client
from wherry.client.informer import Change, Informer, OptionalInformer
from wherry.machinery.errors import ApiError, Conflict, NotFound

log = structlog.get_logger()

FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS = 0.1, 5.0

Json = dict[str, Any]
BindPod = Callable[[PodView, str], Awaitable[None]]
Decide = Callable[[ResourceClaim], ClaimPatch | None]


class Devices:
    """See the module. `report` hears of pods whose claims could not be written."""

    def __init__(
        self, client: Client, snapshot: Snapshot, nodes: Informer[Node], report: Callable[[Bound], None]
    ) -> None:
        self._client, self._snapshot, self._nodes, self._report = client, snapshot, nodes, report
        self.slices = OptionalInformer(client, ResourceSlice)
        self.claims = OptionalInformer(client, ResourceClaim)
        self.classes = OptionalInformer(client, DeviceClass)
        self.inventory, self.ledger = Inventory(), Ledger()
        self.lookup = Lookup(self.claims.shelf, self.classes.shelf, nodes.shelf, self.inventory, self.ledger)
        self.absence = Absence(self.ledger, self.lookup.users_of_claims, self._charge)
        # What each pod that is on its way to a node has to have written: the claims, and what they get.
        self._owed: dict[str, list[tuple[ResourceClaim, Json | None]]] = {}
        self._promises: dict[str, Json] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self.slices.subscribe(self._slice_changed)
        self.claims.subscribe(self._claim_changed)

    @property
    def informers(self) -> tuple[Informer[Any], ...]:
        """The copies, which somebody else keeps running."""
        return self.slices, self.claims, self.classes

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            await asyncio.Event().wait()

    # -- choosing ----------------------------------------------------------------------------------------------------

    def take(self, pod: PodView, node: str) -> str:
        """Set aside what the pod gets on the node; gives why it cannot, or nothing."""
        if pod.gpu_share:
            return "" if self._take_part(pod, node) else f"the node has no card with so much {MEMORY} left"
        wanted = pod.requests.get(RESOURCE, 0)
        if wanted and not self._take_cards(pod, node, wanted):
            return f"the node has no {wanted} {RESOURCE} that are free by name"
        if pod.spec.resource_claims and not self._take_claims(pod, node):
            self.ledger.drop(pod.uid)
            return "the devices of its claims are not free any more"
        return ""

    def _take_part(self, pod: PodView, node: str) -> bool:
        card = self.lookup.part_of(pod.gpu_share, node)
        if card is None:
            return False
        self.ledger.hold_part(pod.uid, Part(node, card.uuid, Share(pod.gpu_share, card.memory_bytes)))
        self._charge(node)
        return True

    def _drop(self, uid: str) -> None:
        part = self.ledger.drop(uid)
        if part is not None:
            self._charge(part.node)

    def _take_cards(self, pod: PodView, node: str, wanted: int) -> bool:
        cards = [device for device in self.inventory.local(node) if device.is_gpu]
        if not cards or self.ledger.has_unnamed(node):
            self.ledger.hold_unnamed(pod.uid, node)
            return True
        picked = pick([card for card in cards if not card.taints and self.ledger.is_free(card)], wanted)
        if picked is None:
            return False
        self.ledger.hold(pod.uid, [card.uuid for card in picked])
        return True

    def _take_claims(self, pod: PodView, name: str) -> bool:
        node = self._nodes.get(name)
        claims = list(self.lookup.claims_of(pod.pod))
        asks = self.lookup.asks(claims)
        given = self.lookup.given(asks, node) if node is not None else None
        if given is None:
            return False
        allocations = {
            ask.claim.metadata.uid: allocation_of(ask, found, name) for ask, found in zip(asks, given, strict=True)
        }
        for uid, allocation in allocations.items():
            self.lookup.promised[uid] = AllocationResult.read(allocation)
            self._hold_claim(uid, self.lookup.promised[uid])
        self._promises |= allocations
        # Whoever shares a claim that is on its way to its devices may be the one who writes them.
        self._owed[pod.uid] = [(claim, self._promises.get(claim.metadata.uid)) for claim in claims]
        return True

    def record(self, pod: PodView) -> Mapping[str, str]:
        """What the pod's binding writes down about its cards."""
        part = self.ledger.parts.of(pod.uid)
        if part is not None:
            return share_record(part.card, part.share)
        cards = self.ledger.cards_of(pod.uid)
        return {} if cards is None else grant_record(cards)

    # -- writing -----------------------------------------------------------------------------------------------------

    def has_claims(self, pod: PodView) -> bool:
        """Whether something must be written before the pod is bound."""
        return bool(self._owed.get(pod.uid))

    def bind(self, pod: PodView, node: str, bind_pod: BindPod) -> None:
        """Write the pod's claims, and then go on with the pod."""
        if self._tasks is not None:
            self._tasks.create_task(self._keep(pod, node, bind_pod), name=f"claims of {pod.key}")

    async def _keep(self, pod: PodView, node: str, bind_pod: BindPod) -> None:
        try:
            for claim, allocation in self._owed[pod.uid]:
                await self._until_done(claim, lambda now, new=allocation: next_write(now, pod.pod, new))  # type: ignore[misc]
        except ApiError as error:
            self._report(Bound(pod, node, ApiError(f'running PreBind plugin "DynamicResources": {error.message}')))
        else:
            await bind_pod(pod, node)

    async def _until_done(self, claim: ResourceClaim, decide: Decide) -> None:
        """Write until nothing is left to write; raises only what is certain: Conflict, NotFound, a refusal."""
        backoff = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
        name, namespace, now = claim.metadata.name, claim.metadata.namespace, claim
        while True:
            try:
                while (patch := decide(now)) is not None:
                    written = await self._client.patch(
                        ResourceClaim, name, namespace, patch.body, subresource=patch.subresource
                    )
                    now = ResourceClaim.read(written)
                await self.claims.reaches(int(now.metadata.resource_version))
                return
            except ApiError as error:
                is_certain = error.code < 500 and error.retry != "backoff" and not isinstance(error, Conflict)
                if is_certain:
                    raise
                log.warning("claim not written", claim=claim.key, error=error.message)
            await asyncio.sleep(backoff.next())
            now = await self._look(claim, backoff)
            decide(now)  # raises if it has become somebody else's: that is certain

    async def _look(self, claim: ResourceClaim, backoff: Backoff) -> ResourceClaim:
        while True:
            try:
                found = await self._client.get(ResourceClaim, claim.metadata.name, claim.metadata.namespace)
            except NotFound:
                raise
            except ApiError:
                await asyncio.sleep(backoff.next())
                continue
            if found.metadata.uid != claim.metadata.uid:
                raise NotFound(f'resourceclaim "{claim.metadata.name}" not found')
            return found

    def settled(self, pod: PodView) -> None:
        """The pod is bound, or never will be with what it had: its claims are what the copies show."""
        for claim, _ in self._owed.pop(pod.uid, ()):
            self._forget_promise(claim.metadata.uid)

    def take_back(self, pod: PodView) -> None:
        """The pod could not be bound: its cards are free, and its claims are given back."""
        self._drop(pod.uid)
        owed = self._owed.pop(pod.uid, [])
        if owed and self._tasks is not None:
            self._tasks.create_task(self._undo(pod, owed), name=f"claims given back by {pod.key}")

    def let_go(self, pod: PodView) -> None:
        """What was set aside for the pod in thought is free again; nothing of it was written."""
        self._drop(pod.uid)
        self.settled(pod)

    def give_up_elsewhere(self, pod: PodView) -> None:
        """The pod cannot go where its claims are: those that nobody else uses get their devices anew."""
        stuck = [claim for claim in self._known_claims(pod) if _is_only_for(claim, pod.uid)]
        if stuck and self._tasks is not None:
            owed: list[tuple[ResourceClaim, Json | None]] = [(claim, None) for claim in stuck]
            self._tasks.create_task(self._undo(pod, owed), name=f"claims given up by {pod.key}")

    def _known_claims(self, pod: PodView) -> Iterable[ResourceClaim]:
        names = claim_names(pod.pod).values()
        found = (self.claims.get(f"{pod.metadata.namespace}/{name}") for name in names)
        return (claim for claim in found if claim is not None)

    async def _undo(self, pod: PodView, owed: list[tuple[ResourceClaim, Json | None]]) -> None:
        is_bound = await self._is_bound(pod)  # by somebody else: then the claims are what it lives on
        for claim, _ in owed:
            try:
                if not is_bound:
                    # A copy may be from before our own write.
                    now = await self._look(claim, Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS))
                    await self._until_done(now, lambda seen: undoing_write(seen, pod.uid))
            except ApiError as error:
                log.info("claim not given back", claim=claim.key, error=error.message)
            self._forget_promise(claim.metadata.uid)

    async def _is_bound(self, pod: PodView) -> bool:
        backoff = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
        while True:
            try:
                found = await self._client.get(Pod, pod.metadata.name, pod.metadata.namespace)
            except NotFound:
                return False
            except ApiError:
                await asyncio.sleep(backoff.next())
                continue
            return found.metadata.uid == pod.uid and bool(found.spec.node_name)

    # -- following ---------------------------------------------------------------------------------------------------

    def pod_changed(self, pod: Pod, *, is_there: bool) -> None:
        """Take over what a pod on a node holds; nothing, once it is gone or finished."""
        uid = pod.metadata.uid
        share = read_share(pod.metadata.annotations) if asks_for_share(pod) else None
        if not is_there:
            self._drop(uid)
        elif share is not None and (cards := granted_to(pod)):
            self.ledger.hold_part(uid, Part(pod.spec.node_name, cards[0], share))
            self._charge(pod.spec.node_name)
        elif pod.spec.node_name and asks_for_gpus(pod):
            cards = granted_to(pod)
            if cards is None:
                self.ledger.hold_unnamed(uid, pod.spec.node_name)
            else:
                self.ledger.hold(uid, cards)
        if pod.spec.node_name and any(card.taints for card in self.inventory.local(pod.spec.node_name)):
            self._charge(pod.spec.node_name)

    def _slice_changed(self, change: Change[ResourceSlice]) -> None:
        for node in self.inventory.set_slice(*change):
            self._charge(node)

    def _claim_changed(self, change: Change[ResourceClaim]) -> None:
        before, after = change
        if before is not None and (after is None or after.metadata.uid != before.metadata.uid):
            self._hold_claim(before.metadata.uid, None)
        if after is not None:
            self._hold_claim(after.metadata.uid, self.lookup.allocation(after))

    def _forget_promise(self, uid: str) -> None:
        if any(claim.metadata.uid == uid for owed in self._owed.values() for claim, _ in owed):
            return  # others still build on it
        self._promises.pop(uid, None)
        self.lookup.promised.pop(uid, None)
        found = next((claim for claim in self.claims.list() if claim.metadata.uid == uid), None)
        self._hold_claim(uid, self.lookup.allocation(found) if found is not None else None)

    def _hold_claim(self, uid: str, allocation: AllocationResult | None) -> None:
        before = self.ledger.devices_of(uid)
        if allocation is None:
            self.ledger.drop_claim(uid)
        else:
            held = allocation.devices.held
            self.ledger.hold_claim(uid, [DeviceId(each.driver, each.pool, each.device) for each in held])
        for node in {each.pool for each in (*before, *self.ledger.devices_of(uid)) if each.driver == DRIVER}:
            self._charge(node)

    def _charge(self, node: str) -> None:
        self._snapshot.charge(node, RESOURCE, charge_of(self.inventory.local(node), self.ledger))


def _is_only_for(claim: ResourceClaim, uid: str) -> bool:
    return claim.status.allocation is not None and {user.uid for user in claim.status.reserved_for} == {uid}
