"""The backend of choice: the kernel translates addresses by a table of our own, `wherry-NAME`.

Each change is one transaction, so a packet sees the rules before it or after it and never something between.
Connections keep the target that conntrack remembers for them; the table is asked only for new ones. Needs `nft`
and root, or a container with CAP_NET_ADMIN (`container.py`).

Kubernetes: kube-proxy's nftables mode. Differs: node ports answer on every address of the machine (on 127.0.0.1 where
there is a pod bridge), and the client keeps its address wherever the answer comes back through here anyway.

Limits: IPv4. Clusters on one machine need service CIDRs of their own. A UDP client that talks to a node port without
pause from before its service existed is not led to it. The pod bridge is the first interface with a direct route into
the pod network.
"""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Callable
from ipaddress import IPv4Network
from typing import Any

import msgspec
import structlog

from kubeproxy.backends.base import BackendError
from kubeproxy.backends.docker_firewall import DockerFirewall
from kubeproxy.backends.netlink import Flow
from kubeproxy.backends.network import Network
from kubeproxy.backends.nft_table import AFFINITY_PREFIX, Surroundings, Table, table_of, transaction
from kubeproxy.rules import Frontend, Rules, Target

_log = structlog.get_logger()
_ROUTE_LOOPBACK = "/proc/sys/net/ipv4/conf/{}/route_localnet"
_BRIDGED = "/proc/sys/net/bridge/bridge-nf-call-iptables"


class NftablesBackend:
    """Rules of one cluster in the kernel. `network` is where: this machine, or a namespace of it."""

    def __init__(self, cluster: str, pods: IPv4Network, services: IPv4Network, network: Network | None = None) -> None:
        self._name = f"wherry-{cluster}"
        self._pods = pods
        self._services = services
        self._network = network or Network()
        self._firewall = DockerFirewall(self._network, self._name, pods)
        self._lock = asyncio.Lock()
        self._rules = Rules()
        self._may_route_loopback = True
        self._bridge = ""
        # Ports of the bridge that may send a frame back to where it came from.
        self._reflecting: set[str] = set()
        self._refusal = ""
        # What stands in the kernel as far as we know; None: find out by replacing it.
        self._table: Table | None = None
        self._around: Surroundings | None = None
        # The kernel's generation right after our last transaction; 0 if someone else was at work meanwhile.
        self._generation = 0

    async def apply(self, rules: Rules) -> None:
        async with self._lock:
            await self._hold(rules)
            before, self._rules = self._rules, rules
            await self._forget_stale_flows(before, rules)

    async def repair(self) -> bool:
        async with self._lock:
            # A bridge may have come, br_netfilter may have been switched: both change the table.
            if self._around == self._surroundings() and await self._is_untouched():
                return False
            self._table = None
            await self._hold(self._rules)
            return True

    async def clear(self) -> None:
        async with self._lock:
            self._table = None
            # Before its guard goes: then nothing on 127.0.0.1 is open to the bridge for a moment.
            if self._surroundings().routes_loopback:
                await self._route_loopback("0")
            # `add` first: a table that is not there cannot be deleted.
            both = f"add table ip {self._name}\ndelete table ip {self._name}\n"
            await self._network.command("nft", "-f", "-", stdin=both)
            await self._firewall.close()

    async def close(self) -> None:
        """The rules are the kernel's, and stay."""
        self._network.close()

    async def _hold(self, rules: Rules) -> None:
        """Make the kernel do what `rules` say, and the machine let it."""
        if self._table is None:
            await self._firewall.open()
        around = self._surroundings()
        try:
            table = table_of(rules, around)
        except ValueError as error:
            raise BackendError(str(error)) from error
        await self._install(table)
        self._around = around
        # After the transaction, because its chain `guard` is what makes this safe.
        if around.routes_loopback and not await self._route_loopback("1"):
            self._may_route_loopback = False
            self._around = self._surroundings()
            await self._install(table_of(rules, self._around))
        if around.sees_bridged and self._bridge:
            await self._reflect_on_ports()

    async def _route_loopback(self, value: str) -> bool:
        path = _ROUTE_LOOPBACK.format(self._bridge)
        return self._network.read(path) == value or await asyncio.to_thread(self._network.write, path, value)

    async def _install(self, after: Table) -> None:
        if self._table is not None and await self._run(transaction(self._name, self._table, after)):
            self._table = after
            return
        # The table is not what we left, or this is the first time: replace it whole, still in one step.
        self._table = None
        if not await self._run(transaction(self._name, None, after)):
            raise BackendError(f"table {self._name}: {self._refusal}")
        self._table = after

    async def _run(self, text: str) -> bool:
        if not text:
            return True
        before = self._network.generation()
        try:
            await self._network.command("nft", "-f", "-", stdin=text)
        except BackendError as error:
            self._refusal = str(error)
            return False
        now = self._network.generation()
        # Another's transaction in between, or since our last one, may have touched the table: have it looked at.
        is_known = self._table is None or before == self._generation
        self._generation = now if is_known and now == before + 1 else 0
        return True

    async def _is_untouched(self) -> bool:
        """Whether the kernel's table has as many rules and elements as ours, asked only if anyone changed anything."""
        now = self._network.generation()
        if now and now == self._generation:
            return True
        if self._table is None or await self._counts() != counts(self._table):
            return False
        self._generation = now
        return True

    async def _counts(self) -> Counter[str]:
        try:
            listing = await self._network.command("nft", "-j", "list", "table", "ip", self._name)
        except BackendError:
            return Counter()
        return counts_listed(msgspec.json.decode(listing))

    def _surroundings(self) -> Surroundings:
        self._bridge, subnet = bridge_of(self._pods, self._network.read("/proc/thread-self/net/route"))
        return Surroundings(
            pods=self._pods,
            bridge=subnet,
            services=self._services,
            sees_bridged=self._network.read(_BRIDGED) == "1",
            routes_loopback=bool(self._bridge) and self._may_route_loopback,
        )

    async def _reflect_on_ports(self) -> None:
        """Let a pod reach itself through a service: with br_netfilter such a packet leaves by the port it came from."""
        listing = await self._network.command("ip", "-j", "link", "show", "master", self._bridge)
        ports = {port["ifname"] for port in msgspec.json.decode(listing or "[]") if "ifname" in port}
        lines = [f"link set dev {port} type bridge_slave hairpin on" for port in sorted(ports - self._reflecting)]
        if lines:
            # A container may end meanwhile, and its port with it: that is no failure of the others.
            await self._network.command("ip", "-force", "-batch", "-", stdin="\n".join(lines) + "\n", check=False)
        self._reflecting = ports

    async def _forget_stale_flows(self, before: Rules, after: Rules) -> None:
        stale = stale_flows(before, after)
        if not stale:
            return
        try:
            await self._network.forget_flows(stale)
        except BackendError as error:
            # The rules hold all the same; only clients that never pause go on to where they were led before.
            _log.warning("old UDP flows stay", table=self._name, error=str(error))


def bridge_of(pods: IPv4Network, routes: str) -> tuple[str, IPv4Network]:
    """The interface on which this machine's own pods are, and their subnet, from the text of /proc/net/route.

    Without one, an empty name and the whole pod network.
    """
    for line in routes.splitlines()[1:]:
        device, network, gateway, *_, mask, _, _, _ = line.split()
        address, gateway_address, prefix = (_little_endian(field) for field in (network, gateway, mask))
        subnet = IPv4Network((address, prefix.bit_count()))
        if not gateway_address and subnet.subnet_of(pods):
            return device, subnet
    return "", pods


def _little_endian(field: str) -> int:
    return int.from_bytes(bytes.fromhex(field), sys.byteorder)


def counts(table: Table) -> Counter[str]:
    """How many rules and elements there are, by chain, map and set; not those that clients add to affinity sets."""
    rules = {f"chain {name}": len(body) for name, body in table.chains.items()}
    elements = {f"set {name}": len(members) for name, members in table.elements.items()}
    return +Counter(rules | elements)


def counts_listed(listing: dict[str, Any]) -> Counter[str]:
    """The same of what `nft -j list table` printed."""
    found: Counter[str] = Counter()
    for entry in listing.get("nftables", ()):
        if "rule" in entry:
            found[f"chain {entry['rule']['chain']}"] += 1
        for kind in {"map", "set"} & entry.keys():
            if not entry[kind]["name"].startswith(AFFINITY_PREFIX):
                found[f"set {entry[kind]['name']}"] += len(entry[kind].get("elem", ()))
    return +found


def stale_flows(before: Rules, after: Rules) -> Callable[[Flow], bool] | None:
    """Which UDP flows a change of the rules leaves behind; None if none can be."""
    old, new = _udp(before), _udp(after)
    changed = {frontend for frontend in old.keys() | new.keys() if old.get(frontend) != new.get(frontend)}
    if not changed:
        return None

    def is_stale(flow: Flow) -> bool:
        for address in (flow.dialled.address, ""):
            frontend = Frontend(address, "UDP", flow.dialled.port)
            if frontend in changed and flow.answers not in new.get(frontend, ()):
                # A service's address has no other use; the number of a node port may have, on other machines.
                return bool(address) or flow.answers in old.get(frontend, ())
        return False

    return is_stale


def _udp(rules: Rules) -> dict[Frontend, set[Target]]:
    owners = rules.by_frontend().items()
    return {f: {*route.everywhere, *route.here} for f, route in owners if f.protocol == "UDP"}
