"""The backend for machines without nftables or without root: a relay listens at each frontend.

As root, the cluster IPs become addresses of `lo`, so pods and the host reach them as ever. Without root every cluster
IP gets a port of its own on 127.0.0.1, and `published` says which. Node ports listen on all addresses either way.

Differs from the kernel's rules: targets see this machine as their client; a Local policy without a local target refuses
instead of staying silent; SCTP has no relay; connections end with this process.
"""

from __future__ import annotations

import asyncio
import hashlib
import socket
from ipaddress import IPv4Network

import structlog

from kubeproxy.backends.base import BackendError
from kubeproxy.backends.network import Network
from kubeproxy.backends.relay import TcpRelay, UdpRelay
from kubeproxy.rules import Frontend, Route, Rules

_log = structlog.get_logger()
_RELAYS: dict[str, type[TcpRelay] | type[UdpRelay]] = {"TCP": TcpRelay, "UDP": UdpRelay}
_SOCKET_TYPES = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}


class UserspaceBackend:
    """Relays of one cluster. `owns_addresses` says whether cluster IPs may be put on `lo`."""

    def __init__(
        self, cluster: str, services: IPv4Network, network: Network | None = None, *, owns_addresses: bool
    ) -> None:
        # An address label starts with its device and has at most 15 characters; it is how we know ours again.
        self._label = "lo:w" + hashlib.sha256(f"{cluster} {services}".encode()).hexdigest()[:10]
        self._services = str(services)
        self._network = network or Network()
        self._owns_addresses = owns_addresses
        self._lock = asyncio.Lock()
        self._addresses: frozenset[str] | None = None
        self._rules = Rules()
        self._relays: dict[Frontend, TcpRelay | UdpRelay] = {}
        # Relays whose frontend is gone, as long as connections may run through them.
        self._retired: list[TcpRelay | UdpRelay] = []
        self.published: dict[Frontend, tuple[str, int]] = {}

    async def apply(self, rules: Rules) -> None:
        async with self._lock:
            self._rules = rules
            await self._converge()

    async def repair(self) -> bool:
        """Tries again what failed before; an address that was taken from `lo` comes back."""
        async with self._lock:
            before = len(self._relays)
            if self._owns_addresses and await self._addresses_on_lo() != self._addresses:
                self._addresses = None
            was_whole = self._addresses is not None or not self._owns_addresses
            await self._converge()
            return not was_whole or len(self._relays) != before

    async def clear(self) -> None:
        await self.close()
        if self._owns_addresses:
            await self._network.command("ip", "address", "flush", "dev", "lo", "label", self._label, check=False)
            await self._network.command("ip", "route", "delete", "unreachable", self._services, check=False)
        self._addresses = None

    async def close(self) -> None:
        for relay in (*self._relays.values(), *self._retired):
            await relay.close()
        self._relays.clear()
        self._retired.clear()
        self.published.clear()

    async def _converge(self) -> None:
        owners = self._rules.by_frontend()
        # Without targets nobody listens, so the kernel itself refuses at once.
        wanted = {f: route for f, route in owners.items() if route.targets(f) and f.protocol in _RELAYS}
        await self._hold_addresses(frozenset(a for route in owners.values() for a in route.cluster_ips))
        for frontend in self._relays.keys() - wanted.keys():
            self._retire(frontend)
        for frontend, route in wanted.items():
            relay = self._relays.get(frontend)
            if relay is None:
                await self._listen(frontend, route)
            elif relay.route != route:
                relay.route_changed(route)

    def _retire(self, frontend: Frontend) -> None:
        relay = self._relays.pop(frontend)
        relay.stop_listening()
        self.published.pop(frontend, None)
        self._retired = [*(r for r in self._retired if isinstance(r, TcpRelay) and r.is_busy), relay]

    async def _listen(self, frontend: Frontend, route: Route) -> None:
        relay = _RELAYS[frontend.protocol](frontend, route, self._network)
        listener = self._network.socket(socket.AF_INET, _SOCKET_TYPES[frontend.protocol])
        try:
            listener.setblocking(False)
            if frontend.protocol == "TCP":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(self._place(frontend, route))
            await relay.open(listener)
        except OSError as error:
            listener.close()
            _log.warning("cannot listen", service=route.service, frontend=_shown(frontend), error=str(error))
            return
        self._relays[frontend] = relay
        self.published[frontend] = listener.getsockname()

    def _place(self, frontend: Frontend, route: Route) -> tuple[str, int]:
        if frontend.address in route.cluster_ips and not self._owns_addresses:
            return "127.0.0.1", 0
        return frontend.address, frontend.port

    async def _hold_addresses(self, wanted: frozenset[str]) -> None:
        if not self._owns_addresses or wanted == self._addresses:
            return
        if self._addresses is None:
            # What dials an address that no service has is told so, instead of waiting for a far-away router.
            await self._network.command("ip", "route", "replace", "unreachable", self._services)
        held = self._addresses if self._addresses is not None else await self._addresses_on_lo()
        add = [f"address add {a}/32 dev lo label {self._label}" for a in sorted(wanted - held)]
        remove = [f"address del {a}/32 dev lo" for a in sorted(held - wanted)]
        if add or remove:
            await self._network.command("ip", "-batch", "-", stdin="\n".join([*remove, *add]) + "\n")
        self._addresses = wanted

    async def _addresses_on_lo(self) -> frozenset[str]:
        try:
            listing = await self._network.command(
                "ip", "-o", "-4", "address", "show", "dev", "lo", "label", self._label
            )
        except BackendError:
            return frozenset()
        return frozenset(line.split()[3].partition("/")[0] for line in listing.splitlines())


def _shown(frontend: Frontend) -> str:
    return f"{frontend.address or '*'}:{frontend.port}/{frontend.protocol}"
