"""Cluster addresses and node ports of services: each given to one service at a time.

What is taken follows from the services themselves, as the watch cache tells of them, plus what writes in flight have
reserved. Where several API servers write to one store, what is new is claimed there first (`claims.py`).

Kubernetes: the service registry's IP and port allocators.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from collections.abc import Awaitable
from random import Random
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import orjson

from apiserver import keys
from apiserver.reading.watchers import Event
from apiserver.storage.store import Conflict, Entry, StoreError, TooLarge
from apiserver.writing.claims import Claims, Item
from wherry.api.core.service import Service
from wherry.machinery.errors import InternalError, Invalid, invalid_object
from wherry.machinery.field_errors import invalid
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.reading.watch_cache import WatchCache

Draft = dict[str, Any]
NODE_PORTS = range(30000, 32768)
_WITH_NODE_PORTS = ("NodePort", "LoadBalancer")
# A write without an answer may still happen; after this long it has, and the cache knows, or it never will.
DOUBT_SECONDS = 120.0
# What another server has claimed is soon the cache's to tell, or free again.
LOST_SECONDS = 5.0


class Reservation:
    """Around a write that takes no addresses, which is nearly every one."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        return None

    async def written(self, write: Awaitable[Entry]) -> Entry:
        """The write itself."""
        return await write


NOTHING = Reservation()


class ServiceReservation(Reservation):
    """Addresses and ports held while a service is written; given back if it is not, or no longer has them."""

    def __init__(self, allocations: Allocations, draft: Draft, old: Draft | None, *, claims: bool) -> None:
        self._allocations, self._draft, self._old, self._claims = allocations, draft, old, claims
        self.before = used_by(old) if old else set()
        self.taken: set[Item] = set()
        self._revision = 0
        self._is_open = False

    @property
    def owner(self) -> str:
        """The key of the service."""
        metadata = self._draft["metadata"]
        return keys.key(Service.kind, metadata.get("namespace", ""), metadata.get("name", ""))

    async def __aenter__(self) -> Self:
        try:
            await self._allocations.take(self, self._draft, self._old, claims=self._claims)
        except BaseException:
            await self._allocations.cancel(self, claims=self._claims)
            raise
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if self._revision:
            after = used_by(self._draft)
            self._allocations.settle(self, self._revision, after)
            await self._allocations.give_back(self.owner, self.before - after, claims=self._claims)
        elif self._is_open:
            self._allocations.doubt(self.taken)
        else:
            await self._allocations.cancel(self, claims=self._claims)

    async def written(self, write: Awaitable[Entry]) -> Entry:
        """The write itself. One without an answer may have happened: nothing is given back then."""
        self._is_open = True
        try:
            entry = await write
        except (Conflict, TooLarge):
            self._is_open = False
            raise
        self._revision = entry.revision
        return entry


class Allocations:
    """Who has which address and port."""

    def __init__(self, cache: WatchCache, claims: Claims, service_cidr: str, random: Random) -> None:
        self._cache, self._claims, self._random = cache, claims, random
        self._services = cache.of(Service)
        self._network = ipaddress.ip_network(service_cidr)
        # What each service uses, since which revision; and the other way round.
        self._used: dict[str, tuple[int, set[Item]]] = {}
        self._users: dict[Item, str] = {}
        self._reserved: set[Item] = set()
        self._services.listeners.append(self._changed)

    def rebuild(self) -> None:
        """Read from the cache what is in use; once, when the cache is filled."""
        for stored in self._services.objects():
            self._learn(stored.key, stored.revision, used_by(orjson.loads(stored.item)))

    def reserve(self, cls: type[Resource], draft: Draft, old: Draft | None, *, is_dry: bool) -> Reservation:
        """Around a write: fills in what a service needs; other kinds pass through."""
        if cls is not Service:
            return NOTHING
        return ServiceReservation(self, draft, old, claims=self._claims.are_needed and not is_dry)

    async def release(self, cls: type[Resource], key: str, draft: Draft, revision: int) -> None:
        """A service is gone."""
        if cls is Service:
            self._learn(key, revision, set())
            await self.give_back(key, used_by(draft), claims=self._claims.are_needed)

    # ---- what is in use ------------------------------------------------------------------------------------------

    def _changed(self, event: Event) -> None:
        shown = event.after or event.before
        if shown is not None:
            used = used_by(orjson.loads(event.after.item)) if event.after is not None else set()
            self._learn(shown.key, event.revision, used)

    def _learn(self, key: str, revision: int, used: set[Item]) -> None:
        """What a service uses from a revision on; what is known already may be newer than the cache."""
        known_at, known = self._used.get(key, (0, set()))
        if revision < known_at:
            return
        for item in known - used:
            if self._users.get(item) == key:
                del self._users[item]
        for item in used:
            self._users.setdefault(item, key)
        if used or known:
            self._used[key] = (revision, used)
        else:
            self._used.pop(key, None)

    def _is_taken(self, item: Item) -> bool:
        return item in self._reserved or item in self._users

    # ---- one write -----------------------------------------------------------------------------------------------

    async def take(self, reservation: ServiceReservation, draft: Draft, old: Draft | None, *, claims: bool) -> None:
        """Fill in the draft; what others claim meanwhile is chosen anew, or refused."""
        if not claims:
            self._assign(draft, old, reservation)
            return
        wanted = orjson.dumps(draft.get("spec") or {})
        while True:
            await self._cache.fresh()
            self._assign(draft, old, reservation)
            lost = {item for item in reservation.taken if not await self._claims.take(item, reservation.owner)}
            if not lost:
                return
            await self.give_back(reservation.owner, reservation.taken - lost, claims=True)
            self._reserved -= reservation.taken
            reservation.taken.clear()
            self.doubt(lost, LOST_SECONDS)
            draft["spec"] = orjson.loads(wanted)

    def settle(self, reservation: ServiceReservation, revision: int, after: set[Item]) -> None:
        """The service is written with these."""
        self._reserved -= reservation.taken
        self._learn(reservation.owner, revision, after)

    def doubt(self, items: set[Item], seconds: float = DOUBT_SECONDS) -> None:
        """Nobody knows yet whether a service has them: they are left alone for a while."""
        self._reserved |= items
        asyncio.get_running_loop().call_later(seconds, self._reserved.difference_update, items)

    async def cancel(self, reservation: ServiceReservation, *, claims: bool) -> None:
        """Nothing was written."""
        self._reserved -= reservation.taken
        await self.give_back(reservation.owner, reservation.taken, claims=claims)

    async def give_back(self, owner: str, items: set[Item], *, claims: bool) -> None:
        """Nobody needs these any more. A claim that stays behind is taken over when it has become old."""
        with contextlib.suppress(StoreError):
            for item in items if claims else ():
                await self._claims.give_back(item, owner)

    def _assign(self, draft: Draft, old: Draft | None, reservation: ServiceReservation) -> None:
        spec = draft.setdefault("spec", {})
        name = draft["metadata"].get("name", "")
        if spec.get("type") == "ExternalName":
            for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                spec.pop(field, None)
        else:
            old_spec = (old or {}).get("spec") or {}
            if not spec.get("clusterIP") and old_spec.get("clusterIP"):
                spec["clusterIP"] = old_spec["clusterIP"]
            self._assign_address(spec, name, reservation)
        if spec.get("type") in _WITH_NODE_PORTS:
            self._keep_ports(spec, (old or {}).get("spec") or {})
            for index, port in enumerate(spec.get("ports") or []):
                self._assign_port(port, f"spec.ports[{index}].nodePort", name, reservation)
        else:
            for port in spec.get("ports") or []:
                if (old or {}).get("spec", {}).get("type") in _WITH_NODE_PORTS:
                    port.pop("nodePort", None)

    def _assign_address(self, spec: Draft, name: str, reservation: ServiceReservation) -> None:
        wanted = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if wanted != "None":
            wanted = wanted or self._free_address()
            if wanted not in reservation.before:
                self._take_address(wanted, name, reservation)
        spec["clusterIP"], spec["clusterIPs"] = wanted, [wanted]
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")

    def _take_address(self, wanted: str, name: str, reservation: ServiceReservation) -> None:
        try:
            inside = ipaddress.ip_address(wanted) in self._network
        except ValueError:
            return  # validation has a better word for it
        if not inside:
            why = f"failed to allocate IP {wanted}: the provided IP ({wanted}) is not in the valid range. "
            raise _refused(name, "spec.clusterIPs", [wanted], f"{why}The range of valid IPs is {self._network}")
        if self._is_taken(wanted):
            raise _refused(
                name, "spec.clusterIPs", [wanted], f"failed to allocate IP {wanted}: provided IP is already allocated"
            )
        self._reserved.add(wanted)
        reservation.taken.add(wanted)

    def _free_address(self) -> str:
        # The first addresses are for services with a fixed place (kubernetes, DNS).
        size, reserved = self._network.num_addresses, min(16, self._network.num_addresses // 4)
        for _ in range(1024):
            candidate = str(self._network[reserved + self._random.randrange(max(size - reserved - 1, 1))])
            if not self._is_taken(candidate):
                return candidate
        for offset in range(1, size - 1):
            if not self._is_taken(str(self._network[offset])):
                return str(self._network[offset])
        raise InternalError(f"Internal error occurred: failed to allocate a serviceIP: range {self._network} is full")

    def _keep_ports(self, spec: Draft, old_spec: Draft) -> None:
        """An update that does not mention node ports keeps them."""
        known = {(port.get("protocol"), port.get("port")): port.get("nodePort") for port in old_spec.get("ports") or []}
        for port in spec.get("ports") or []:
            kept = known.get((port.get("protocol"), port.get("port")))
            if not port.get("nodePort") and kept:
                port["nodePort"] = kept

    def _assign_port(self, port: Draft, path: str, name: str, reservation: ServiceReservation) -> None:
        wanted = port.get("nodePort")
        if wanted in reservation.before or wanted in reservation.taken:
            return
        if wanted:
            if wanted not in NODE_PORTS:
                valid = f"{NODE_PORTS.start}-{NODE_PORTS.stop - 1}"
                raise _refused(
                    name, path, wanted, f"provided port is not in the valid range. The range of valid ports is {valid}"
                )
            if self._is_taken(wanted):
                raise _refused(name, path, wanted, "provided port is already allocated")
        else:
            free = [candidate for candidate in NODE_PORTS if not self._is_taken(candidate)]
            if not free:
                raise InternalError("Internal error occurred: failed to allocate a nodePort: range is full")
            wanted = port["nodePort"] = self._random.choice(free)
        self._reserved.add(wanted)
        reservation.taken.add(wanted)


def used_by(draft: Draft) -> set[Item]:
    """The addresses and node ports of a service."""
    spec = draft.get("spec") or {}
    used: set[Item] = {address for address in spec.get("clusterIPs") or [] if address != "None"}
    return used | {port["nodePort"] for port in spec.get("ports") or [] if port.get("nodePort")}


def _refused(name: str, path: str, value: Any, why: str) -> Invalid:
    return invalid_object("Service", name, [invalid(path, value, why)])
