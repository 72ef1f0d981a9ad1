"""Cluster addresses and node ports of services: each given to one service at a time.

What is taken follows from the services themselves, read from the watch cache, plus what writes in flight have reserved.
Nothing is stored twice, so a crash leaks nothing.

Kubernetes: the service registry's IP and port allocators. Differs: several API servers on one etcd could, in the
instant between two watch events, choose the same address at random out of 65,000.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING, Any

from apiserver.storage.store import Conflict, TooLarge
from wherry.api.core.service import Service
from wherry.machinery.errors import InternalError, Invalid, invalid_object
from wherry.machinery.field_errors import invalid
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.reading.watch_cache import WatchCache

Draft = dict[str, Any]
NODE_PORTS = range(30000, 32768)
_WITH_NODE_PORTS = ("NodePort", "LoadBalancer")


class Reservation:
    """Addresses and ports held while a write is under way; given back unless the write is kept."""

    def __init__(self) -> None:
        self.taken: set[str | int] = set()
        self.is_kept = self.is_open = False

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Around the write itself. One without an answer may have happened: nothing is given back then."""
        self.is_open = True
        try:
            yield
        except (Conflict, TooLarge):
            self.is_open = False
            raise
        self.is_open, self.is_kept = False, True


class Allocations:
    """Who has which address and port."""

    def __init__(self, cache: WatchCache, service_cidr: str, random: Random) -> None:
        self._random = random
        self._services = cache.of(Service)
        self._network = ipaddress.ip_network(service_cidr)
        self._in_use: set[str | int] = set()

    def rebuild(self) -> None:
        """Read from the cache what is in use; once, when the cache is filled."""
        for stored in self._services.objects():
            self._in_use |= used_by(stored.draft(Service.kind))

    @contextmanager
    def reserve(self, cls: type[Resource], draft: Draft, old: Draft | None) -> Iterator[Reservation]:
        """Fill in what a service needs; other kinds pass through."""
        reservation = Reservation()
        if cls is not Service:
            yield reservation
            return
        before = used_by(old) if old else set()
        try:
            self._assign(draft, old, before, reservation)
            yield reservation
        finally:
            if reservation.is_kept:
                self._in_use -= before - used_by(draft)
            elif not reservation.is_open:
                self._in_use -= reservation.taken

    def release(self, cls: type[Resource], draft: Draft) -> None:
        """A service is gone."""
        if cls is Service:
            self._in_use -= used_by(draft)

    def _assign(self, draft: Draft, old: Draft | None, before: set[str | int], reservation: Reservation) -> None:
        spec = draft.setdefault("spec", {})
        name = draft["metadata"].get("name", "")
        if spec.get("type") == "ExternalName":
            for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
                spec.pop(field, None)
        else:
            old_spec = (old or {}).get("spec") or {}
            if not spec.get("clusterIP") and old_spec.get("clusterIP"):
                spec["clusterIP"] = old_spec["clusterIP"]
            self._assign_address(spec, name, before, reservation)
        if spec.get("type") in _WITH_NODE_PORTS:
            self._keep_ports(spec, (old or {}).get("spec") or {})
            for index, port in enumerate(spec.get("ports") or []):
                self._assign_port(port, f"spec.ports[{index}].nodePort", name, before, reservation)
        else:
            for port in spec.get("ports") or []:
                if (old or {}).get("spec", {}).get("type") in _WITH_NODE_PORTS:
                    port.pop("nodePort", None)

    def _assign_address(self, spec: Draft, name: str, before: set[str | int], reservation: Reservation) -> None:
        wanted = spec.get("clusterIP") or next(iter(spec.get("clusterIPs") or ()), "")
        if wanted != "None":
            wanted = wanted or self._free_address()
            if wanted not in before:
                self._take_address(wanted, name, reservation)
        spec["clusterIP"], spec["clusterIPs"] = wanted, [wanted]
        spec.setdefault("ipFamilies", ["IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")

    def _take_address(self, wanted: str, name: str, reservation: Reservation) -> None:
        try:
            inside = ipaddress.ip_address(wanted) in self._network
        except ValueError:
            return  # validation has a better word for it
        if not inside:
            why = f"failed to allocate IP {wanted}: the provided IP is not in the valid range. "
            raise _refused(name, "spec.clusterIPs", [wanted], f"{why}The range of valid IPs is {self._network}")
        if wanted in self._in_use:
            raise _refused(
                name, "spec.clusterIPs", [wanted], f"failed to allocate IP {wanted}: provided IP is already allocated"
            )
        self._in_use.add(wanted)
        reservation.taken.add(wanted)

    def _free_address(self) -> str:
        # The first addresses are for services with a fixed place (kubernetes, DNS).
        size, reserved = self._network.num_addresses, min(16, self._network.num_addresses // 4)
        for _ in range(1024):
            candidate = str(self._network[reserved + self._random.randrange(max(size - reserved - 1, 1))])
            if candidate not in self._in_use:
                return candidate
        for offset in range(1, size - 1):
            if str(self._network[offset]) not in self._in_use:
                return str(self._network[offset])
        raise InternalError(f"Internal error occurred: failed to allocate a serviceIP: range {self._network} is full")

    def _keep_ports(self, spec: Draft, old_spec: Draft) -> None:
        """An update that does not mention node ports keeps them."""
        known = {(port.get("protocol"), port.get("port")): port.get("nodePort") for port in old_spec.get("ports") or []}
        for port in spec.get("ports") or []:
            kept = known.get((port.get("protocol"), port.get("port")))
            if not port.get("nodePort") and kept:
                port["nodePort"] = kept

    def _assign_port(self, port: Draft, path: str, name: str, before: set[str | int], reservation: Reservation) -> None:
        wanted = port.get("nodePort")
        if wanted in before or wanted in reservation.taken:
            return
        if wanted:
            if wanted not in NODE_PORTS:
                valid = f"{NODE_PORTS.start}-{NODE_PORTS.stop - 1}"
                raise _refused(
                    name, path, wanted, f"provided port is not in the valid range. The range of valid ports is {valid}"
                )
            if wanted in self._in_use:
                raise _refused(name, path, wanted, "provided port is already allocated")
        else:
            free = [candidate for candidate in NODE_PORTS if candidate not in self._in_use]
            if not free:
                raise InternalError("Internal error occurred: failed to allocate a nodePort: range is full")
            wanted = port["nodePort"] = self._random.choice(free)
        self._in_use.add(wanted)
        reservation.taken.add(wanted)


def used_by(draft: Draft) -> set[str | int]:
    """The addresses and node ports of a service."""
    spec = draft.get("spec") or {}
    used: set[str | int] = {address for address in spec.get("clusterIPs") or [] if address != "None"}
    return used | {port["nodePort"] for port in spec.get("ports") or [] if port.get("nodePort")}


def _refused(name: str, path: str, value: Any, why: str) -> Invalid:
    return invalid_object("Service", name, [invalid(path, value, why)])
