"""Devices: keeps slices, claims and classes at hand, grants cards and claims to pods, and has that written.

Cards that a pod only counts are named here and written with the binding itself. Claims are written before it, each pod
in a task of its own; who cannot be bound gives them back. An answer that got lost is settled by looking again, so what
may have been written is never given to somebody else.

Kubernetes: the DynamicResources plugin's Reserve, PreBind and Unreserve, with the assume cache.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import structlog

from scheduler.binder import Bound
from scheduler.devices.absence import Absence
from scheduler.devices.grants import Grants, Owed
from scheduler.devices.inventory import Inventory
from scheduler.devices.ledger import Ledger, charge_of
from scheduler.devices.lookup import Lookup
from scheduler.devices.parts import Part
from scheduler.devices.writes import ClaimPatch, next_write, undoing_write
from scheduler.pods import PodView
from scheduler.snapshot import Snapshot
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.resource.device_class import DeviceClass
from wherry.api.resource.gpu import (
    RESOURCE,
    asks_for_gpus,
    asks_for_share,
    grant_record,
    granted_to,
    read_share,
    share_record,
)
from wherry.api.resource.pod_claims import claim_names
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.resource.resource_slice import ResourceSlice
from wherry.client.backoff import Backoff
from wherry.client.batches import check_lead
from wherry.client.http import Client
from wherry.client.informer import Change, Informer, OptionalInformer
from wherry.machinery.errors import ApiError, Conflict, NotFound

log = structlog.get_logger()

FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS = 0.1, 5.0

BindPod = Callable[[PodView, str], Awaitable[None]]
Decide = Callable[[ResourceClaim], ClaimPatch | None]


class Devices:
    """See the module. `report` hears whose claims could not be written; `may_act` is asked before each write."""

    def __init__(
        self,
        client: Client,
        snapshot: Snapshot,
        nodes: Informer[Node],
        report: Callable[[Bound], None],
        may_act: Callable[[], bool],
    ) -> None:
        self._client, self._snapshot, self._nodes, self._report = client, snapshot, nodes, report
        self._may_act = may_act
        self.slices = OptionalInformer(client, ResourceSlice)
        self.claims = OptionalInformer(client, ResourceClaim)
        self.classes = OptionalInformer(client, DeviceClass)
        self.inventory, self.ledger = Inventory(), Ledger()
        self.lookup = Lookup(self.claims.shelf, self.classes.shelf, nodes.shelf, self.inventory, self.ledger)
        self.grants = Grants(self.lookup, self._charge)
        self.absence = Absence(self.ledger, self.lookup.users_of_claims, self._charge)
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
        return bool(self.grants.owed.get(pod.uid))

    def bind(self, places: Sequence[tuple[PodView, str]], bind_pod: BindPod) -> None:
        """Write the claims of all these pods, and then go on with them; if one cannot be written, with none."""
        if self._tasks is not None:
            name = f"claims of {', '.join(pod.key for pod, _ in places[:3])}"
            self._tasks.create_task(self._keep(places, bind_pod), name=name)

    async def _keep(self, places: Sequence[tuple[PodView, str]], bind_pod: BindPod) -> None:
        errors = await asyncio.gather(*(self._written(pod) for pod, _ in places))
        problem = next((error for error in errors if error is not None), None)
        for (pod, node), error in zip(places, errors, strict=True):
            if problem is None:
                await bind_pod(pod, node)
            else:
                message = f'running PreBind plugin "DynamicResources": {(error or problem).message}'
                self._report(Bound(pod, node, ApiError(message)))

    async def _written(self, pod: PodView) -> ApiError | None:
        try:
            for claim, allocation in self.grants.owed.get(pod.uid, ()):
                await self._until_done(claim, lambda now, new=allocation: next_write(now, pod.pod, new))  # type: ignore[misc]
        except ApiError as error:
            return error
        return None

    async def _until_done(self, claim: ResourceClaim, decide: Decide) -> None:
        """Write until nothing is left to write; raises only what is certain: Conflict, NotFound, a refusal."""
        backoff = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
        name, namespace, now = claim.metadata.name, claim.metadata.namespace, claim
        while True:
            try:
                while (patch := decide(now)) is not None:
                    check_lead(self._may_act)
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

    def take_back(self, pod: PodView) -> None:
        """The pod could not be bound: its cards are free, and its claims are given back."""
        self.grants.drop(pod.uid)
        owed = self.grants.owed.pop(pod.uid, [])
        if owed and self._tasks is not None:
            self._tasks.create_task(self._undo(pod, owed), name=f"claims given back by {pod.key}")

    def give_up_elsewhere(self, pods: Sequence[PodView]) -> None:
        """The pods cannot go where their claims are: those that nobody else uses get their devices anew."""
        uids, returning = {pod.uid for pod in pods}, self.lookup.returning
        for pod in pods:
            stuck = [claim for claim in self._known_claims(pod) if _is_only_for(claim, pod.uid, uids)]
            owed: Owed = [(claim, None) for claim in stuck if (claim.metadata.uid, pod.uid) not in returning]
            returning.update((claim.metadata.uid, pod.uid) for claim, _ in owed)
            if owed and self._tasks is not None:
                self._tasks.create_task(self._undo(pod, owed), name=f"claims given up by {pod.key}")

    def _known_claims(self, pod: PodView) -> Iterable[ResourceClaim]:
        names = claim_names(pod.pod).values()
        found = (self.claims.get(f"{pod.metadata.namespace}/{name}") for name in names)
        return (claim for claim in found if claim is not None)

    async def _undo(self, pod: PodView, owed: Owed) -> None:
        is_bound = await self._is_bound(pod)  # by somebody else: then the claims are what it lives on
        for claim, _ in owed:
            try:
                if not is_bound:
                    # A copy may be from before our own write.
                    now = await self._look(claim, Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS))
                    await self._until_done(now, lambda seen: undoing_write(seen, pod.uid))
            except ApiError as error:
                log.info("claim not given back", claim=claim.key, error=error.message)
            self.lookup.returning.discard((claim.metadata.uid, pod.uid))
            self.grants.forget_promise(claim)

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
            self.grants.drop(uid)
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
            self.grants.hold_claim(before.metadata.uid, None)
        if after is not None and after.status.allocation is None:
            self.lookup.returning -= {each for each in self.lookup.returning if each[0] == after.metadata.uid}
        if after is not None:
            self.grants.hold_claim(after.metadata.uid, self.lookup.allocation(after))
            if before is not None and before.status.allocation is not None and after.status.allocation is None:
                self.grants.forget_promise(after)  # before others hear of it, and are tried again

    def _charge(self, node: str) -> None:
        self._snapshot.charge(node, RESOURCE, charge_of(self.inventory.local(node), self.ledger))


def _is_only_for(claim: ResourceClaim, uid: str, others: Collection[str]) -> bool:
    users = {user.uid for user in claim.status.reserved_for}
    return claim.status.allocation is not None and uid in users and users <= set(others)
