"""Grants: what pods get of the devices of their nodes, set aside from the moment it is chosen. Writes nothing.

    why = grants.take(pod, node)      # for good, until it is let go; empty if it is granted
    fits = grants.put(pod, node)      # in thought, while a gang is planned

    kept = grants.worth_keeping(pod, node); grants.keep(pod.uid, kept)      # for a pod that waits

Pods that were put down in thought may get other devices of the same node when one more is put beside them: what counts
is that all of them have theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from scheduler.devices.inventory import DeviceId
from scheduler.devices.ledger import pick
from scheduler.devices.lookup import Lookup, Missing
from scheduler.devices.parts import Part
from scheduler.devices.seating import Seat, Want, seated
from scheduler.devices.selectors import SelectorProblem
from scheduler.devices.writes import allocation_of
from scheduler.pods import PodView
from wherry.api.resource.gpu import DRIVER, MEMORY, RESOURCE, Share
from wherry.api.resource.resource_claim import AllocationResult, ResourceClaim

Json = dict[str, Any]
# The claims of a pod on its way to a node, and what they get (None: they have it).
Owed = list[tuple[ResourceClaim, Json | None]]


class Kept(NamedTuple):
    """What is kept for a pod that waits: so many cards, whichever they will be, its part of one, and what it claims."""

    node: str
    cards: int = 0
    part: Part | None = None
    claims: Mapping[str, tuple[DeviceId, ...]] = {}


class Grants:
    """See the module. `charge` has a node's cards counted anew."""

    def __init__(self, lookup: Lookup, charge: Callable[[str], None]) -> None:
        self.lookup, self._ledger, self._charge = lookup, lookup.ledger, charge
        self.owed: dict[str, Owed] = {}
        self._promises: dict[str, Json] = {}
        # Pods that are there in thought, by node.
        self._put: dict[str, dict[str, PodView]] = {}
        self._kept: dict[str, Kept] = {}

    def view(self, pod: PodView) -> PodView:
        """The pod with what it asks for; it may go, too, where those put down in thought can make room for it."""
        seen = self.lookup.view(pod)
        needs = seen.devices
        if needs.problem or not self._put or (needs.nodes is None and needs.sharing is None):
            return seen
        known = frozenset((needs.nodes if needs.sharing is None else needs.sharing) or ())
        alike = self.lookup.alike(list(self.lookup.claims_of(pod.pod)))
        more = [node for node in self._put if node not in known and self._may_join(pod, node, alike)]
        return seen.replace(devices=needs.also_at(more)) if more else seen

    # -- for good ----------------------------------------------------------------------------------------------------

    def take(self, pod: PodView, node: str) -> str:
        """Set aside what the pod gets on the node; gives why it cannot, or nothing."""
        try:
            seat = self._alone(pod, node)
        except (Missing, SelectorProblem) as problem:
            return str(problem)
        if isinstance(seat, str):
            return seat
        self._sit(pod, node, seat)
        self._note([pod])
        return ""

    def let_go(self, pod: PodView) -> None:
        """What was set aside for the pod is free again; nothing of it was written."""
        self.drop(pod.uid)
        self.settled(pod)

    def drop(self, uid: str) -> None:
        """The pod has no cards any more, nor a part of one."""
        part = self._ledger.drop(uid)
        if part is not None:
            self._charge(part.node)

    def settled(self, pod: PodView) -> None:
        """The pod is bound, or never will be with what it had: its claims have what the copies show."""
        for claim, _ in self.owed.pop(pod.uid, ()):
            self.forget_promise(claim)

    def forget_promise(self, claim: ResourceClaim) -> None:
        """The claim has what the copies show, unless others still build on what it was promised."""
        uid = claim.metadata.uid
        if any(each.metadata.uid == uid for owed in self.owed.values() for each, _ in owed):
            return
        self._promises.pop(uid, None)
        self.lookup.promised.pop(uid, None)
        now = self.lookup.claim(claim)
        self.hold_claim(uid, self.lookup.allocation(now) if now is not None else None)

    def hold_claim(self, uid: str, allocation: AllocationResult | None) -> None:
        """The claim has these devices, and no others."""
        held = () if allocation is None else allocation.devices.held
        self._hold(uid, [DeviceId(each.driver, each.pool, each.device) for each in held])

    def _hold(self, claim: str, devices: Sequence[DeviceId]) -> None:
        before = self._ledger.devices_of(claim)
        self._ledger.drop_claim(claim)
        if devices:
            self._ledger.hold_claim(claim, devices)
        for node in {each.pool for each in (*before, *devices) if each.driver == DRIVER}:
            self._charge(node)

    # -- in thought --------------------------------------------------------------------------------------------------

    def put(self, pod: PodView, node: str, *, by_name: bool = True) -> bool:
        """From now on the pod is there in thought; False if it cannot have what it asks for.

        Whoever is not there `by_name` may count on cards that others still have.
        """
        if not by_name:
            self._ledger.keep(node, pod.uid, pod.requests.get(RESOURCE, 0))
        if self.take(pod, node):
            seats = self._together(pod, node)
            if seats is None:
                self._ledger.keep_no_more(pod.uid)
                return False
            pods = [*self._put[node].values(), pod]
            for other in pods[:-1]:
                self.let_go(other)
            for other, seat in zip(pods, seats, strict=True):
                self._sit(other, node, seat)
            self._note(pods)
        if not self._put:
            self.lookup.refusals.begin()
        self._put.setdefault(node, {})[pod.uid] = pod
        return True

    def lift(self, pod: PodView) -> None:
        """The pod is not there any more."""
        for node, pods in list(self._put.items()):
            if pods.pop(pod.uid, None) is not None and not pods:
                del self._put[node]
        self._ledger.keep_no_more(pod.uid)
        self.let_go(pod)
        if not self._put:
            self.lookup.refusals.end()

    def settle(self) -> None:
        """Those who are there in thought are there for good."""
        self._put.clear()
        self.lookup.refusals.end()

    # -- for those who wait ------------------------------------------------------------------------------------------

    def worth_keeping(self, pod: PodView, node: str) -> Kept:
        """What the pod would have there now; of what it claims, or a part, nothing if that is not to be had."""
        if not self.put(pod, node, by_name=False):
            return Kept(node, pod.requests.get(RESOURCE, 0))
        try:
            return self.had_by(pod, node)
        finally:
            self.lift(pod)

    def had_by(self, pod: PodView, node: str) -> Kept:
        """What the pod has there in thought."""
        claims = [claim.metadata.uid for claim, allocation in self.owed.get(pod.uid, ()) if allocation is not None]
        devices = {claim: self._ledger.devices_of(claim) for claim in claims}
        return Kept(node, pod.requests.get(RESOURCE, 0), self._ledger.parts.of(pod.uid), devices)

    def keep(self, uid: str, kept: Kept) -> None:
        """From now on nobody else gets this, whoever has it still."""
        self._kept[uid] = kept
        self._ledger.keep(kept.node, uid, kept.cards)
        if kept.part is not None:
            self._ledger.hold_part(_kept(uid), kept.part)
            self._charge(kept.node)
        for claim, devices in kept.claims.items():
            self._hold(_kept(claim), devices)

    def release(self, uid: str) -> None:
        """Nothing is kept for the pod any more."""
        kept = self._kept.pop(uid, None)
        if kept is None:
            return
        self._ledger.keep_no_more(uid)
        self.drop(_kept(uid))
        still = {claim for other in self._kept.values() for claim in other.claims} if kept.claims else set()
        for claim in kept.claims.keys() - still:
            self._hold(_kept(claim), ())

    def is_whole(self, kept: Kept) -> bool:
        """Whether all of it is there still, and in order."""
        node = self.lookup.nodes.get(kept.node)
        there = [] if node is None else [each for each in self.lookup.inventory.usable_at(node) if not each.taints]
        devices, cards = {device.id for device in there}, {device.uuid for device in there}
        has_part = kept.part is None or kept.part.card in cards
        return has_part and all(devices.issuperset(some) for some in kept.claims.values())

    # -- choosing ----------------------------------------------------------------------------------------------------

    def _alone(self, pod: PodView, name: str) -> Seat | str:
        """What the pod gets if nobody else moves, or why it gets nothing."""
        if pod.gpu_share:
            card = self.lookup.part_of(pod.gpu_share, name)
            return f"the node has no card with so much {MEMORY} left" if card is None else Seat(part=card)
        wanted, node = self._by_name(pod, name), self.lookup.nodes.get(name)
        asks = self.lookup.asks(list(self.lookup.claims_of(pod.pod))) if pod.spec.resource_claims else []
        given = self.lookup.given(asks, node, wanted) if asks and node is not None else []
        if given is None or len(given) < len(asks):
            return "the devices of its claims are not free any more"
        seat = Seat(tuple(zip(asks, given, strict=True)))
        cards = [card for card in self.lookup.inventory.local(name) if card.is_gpu] if wanted else []
        if not cards or self._ledger.has_unnamed(name):
            return seat
        taken = {each.device.id for some in given for each in some if not each.is_admin}
        free = [card for card in cards if not card.taints and self._ledger.is_free(card) and card.id not in taken]
        picked = pick(free, wanted)
        if picked is None:
            return f"the node has no {wanted} {RESOURCE} that are free by name"
        return seat._replace(cards=tuple(picked))

    def _together(self, pod: PodView, name: str) -> list[Seat] | None:
        """Seats for those who are there in thought, as they came, and for the pod; None if not all can have theirs."""
        node, others = self.lookup.nodes.get(name), list(self._put.get(name, {}).values())
        if node is None or not others:
            return None
        devices = self.lookup.inventory.usable_at(node)
        with self._without(others):
            if self._ledger.has_unnamed(name):
                return None
            try:
                wants = list(self._wants((*others, pod), name, any(device.is_gpu for device in devices)))
                return seated(wants, devices, self._ledger, self.lookup.inventory)
            except (Missing, SelectorProblem):
                return None

    def _may_join(self, pod: PodView, node: str, alike: bytes | None) -> bool:
        """Whether the pod can have its own beside those who are there in thought."""
        what = None if alike is None else ("together", alike, pod.gpu_share, self._by_name(pod, node))
        if self.lookup.refusals.has(node, what):
            return False
        seats = self._together(pod, node)
        if seats is None:
            self.lookup.refusals.note(node, what)
        return seats is not None

    def _by_name(self, pod: PodView, node: str) -> int:
        """How many cards it counts that must have names now."""
        is_there_by_number = pod.uid not in self._kept and self._ledger.keeps_for(pod.uid, node)
        return 0 if is_there_by_number else pod.requests.get(RESOURCE, 0)

    def _wants(self, pods: Iterable[PodView], node: str, has_cards: bool) -> Iterator[Want]:
        seen: set[str] = set()
        for pod in pods:
            asks = self.lookup.asks(list(self.lookup.claims_of(pod.pod)))
            cards = self._by_name(pod, node) if has_cards else 0
            yield Want(tuple(ask for ask in asks if ask.key not in seen), pod.gpu_share, cards)
            seen.update(ask.key for ask in asks)

    @contextmanager
    def _without(self, pods: Sequence[PodView]) -> Iterator[None]:
        """Meanwhile these pods have nothing, and claims that only they use were promised nothing."""
        uids = {pod.uid for pod in pods}
        users = [(claim.metadata.uid, uid) for uid, owed in self.owed.items() for claim, _ in owed]
        fixed = {claim for claim, uid in users if uid not in uids}
        free = {claim for claim, uid in users if uid in uids and claim in self._promises} - fixed
        promised = {claim: self.lookup.promised.pop(claim) for claim in free}
        try:
            with self._ledger.without(uids, free):
                yield
        finally:
            self.lookup.promised.update(promised)

    def _sit(self, pod: PodView, node: str, seat: Seat) -> None:
        if seat.part is not None:
            share = Share(pod.gpu_share, seat.part.memory_bytes)
            self._ledger.hold_part(pod.uid, Part(node, seat.part.uuid, share))
            self._charge(node)
        elif seat.cards:
            self._ledger.hold(pod.uid, [card.uuid for card in seat.cards])
        elif self._by_name(pod, node):
            self._ledger.hold_unnamed(pod.uid, node)
        for ask, given in seat.given:
            uid, allocation = ask.claim.metadata.uid, allocation_of(ask, given, node)
            self._promises[uid], self.lookup.promised[uid] = allocation, AllocationResult.read(allocation)
            self.hold_claim(uid, self.lookup.promised[uid])

    def _note(self, pods: Iterable[PodView]) -> None:
        """Whoever shares a claim that is on its way to its devices may be the one who writes them."""
        for pod in pods:
            if pod.spec.resource_claims:
                claims = self.lookup.claims_of(pod.pod)
                self.owed[pod.uid] = [(claim, self._promises.get(claim.metadata.uid)) for claim in claims]


def _kept(uid: str) -> str:
    """Under what the ledger has what is kept for a pod, or for its claim."""
    return f"kept for {uid}"
