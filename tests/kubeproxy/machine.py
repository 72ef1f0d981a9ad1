"""A small cluster network made of namespaces, apart from the host's: a machine with a pod bridge, pods, an outsider.

    outsider 192.0.2.9 ── 192.0.2.1 machine 10.244.0.1 (br0) ── web-1 10.244.0.11, web-2 10.244.0.12, client 10.244.0.20

Sockets made in a namespace stay in it, so one event loop plays all the parts.
"""

import asyncio
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import uuid4

from kubeproxy.backends.network import Network

PODS = {"web-1": "10.244.0.11", "web-2": "10.244.0.12", "client": "10.244.0.20"}
MACHINE, GATEWAY, OUTSIDER = "192.0.2.1", "10.244.0.1", "192.0.2.9"


def why_not() -> str:
    """Why there can be no namespaces here; empty if there can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [command for command in ("ip", "nft") if not shutil.which(command)]
    return f"not installed: {', '.join(missing)}" if missing else ""


class Machine:
    """The namespaces of one test, by part: `machine`, `outsider` and the names of PODS."""

    def __init__(self, pid: int = 0) -> None:
        # Whose namespace the machine is, if it is not one of our own.
        self.pid = pid
        self.prefix = f"wkp{uuid4().hex[:6]}"
        self.networks = {part: Network(f"{self.prefix}-{part}") for part in ("machine", "outsider", *PODS)}
        self.servers: list[asyncio.Server | asyncio.DatagramTransport] = []

    def socket(self, part: str, type: int = socket.SOCK_STREAM) -> socket.socket:
        made = self.networks[part].socket(socket.AF_INET, type)
        made.setblocking(False)
        return made

    async def serve(self, part: str, address: str, port: int) -> None:
        """Answer `part` and the client's address, to each line over TCP and to each packet over UDP."""
        tcp, udp = self.socket(part), self.socket(part, socket.SOCK_DGRAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((address, port))
        udp.bind((address, port))

        loop = asyncio.get_running_loop()
        self.servers.append(await loop.create_server(lambda: _Conversing(part), sock=tcp))
        transport, _ = await loop.create_datagram_endpoint(lambda: _Answering(part), sock=udp)
        self.servers.append(transport)

    def close(self) -> None:
        for server in self.servers:
            server.close()


class _Conversing(asyncio.Protocol):
    def __init__(self, part: str) -> None:
        self.part = part

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        client = self.transport.get_extra_info("peername")
        self.transport.write(f"{self.part} {client[0]}\n".encode())  # type: ignore[attr-defined]


class _Answering(asyncio.DatagramProtocol):
    def __init__(self, part: str) -> None:
        self.part = part

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        self.transport.sendto(f"{self.part} {client[0]}\n".encode(), client)  # type: ignore[attr-defined]


@contextmanager
def machine(pid: int = 0) -> Iterator[Machine]:
    made = Machine(pid)
    names = [network.name for network in made.networks.values()]
    hub = made.networks["machine"].name
    try:
        _ip(*(f"netns attach {name} {pid}" if pid and name == hub else f"netns add {name}" for name in names))
        for name in names:
            _ip("link set lo up", inside=name)
        _ip("link add br0 type bridge", f"address add {GATEWAY}/24 dev br0", "link set br0 up", inside=hub)
        for number, (part, address) in enumerate(PODS.items()):
            _cable(hub, f"veth{number}", made.networks[part].name, f"{address}/24", GATEWAY)
            _ip(f"link set veth{number} master br0", inside=hub)
        _cable(hub, "uplink", made.networks["outsider"].name, f"{OUTSIDER}/24", MACHINE)
        # The machine has a default route like any other: without one it could not even dial a cluster IP.
        _ip(f"address add {MACHINE}/24 dev uplink", f"route add default via {OUTSIDER}", inside=hub)
        made.networks["machine"].write("/proc/sys/net/ipv4/ip_forward", "1")
        yield made
    finally:
        made.close()
        if pid:
            # It outlives this test: what was put into it must be gone before the next one begins.
            for device in ("br0", "uplink", *(f"veth{number}" for number in range(len(PODS)))):
                subprocess.run(["ip", "-n", hub, "link", "delete", device], check=False, capture_output=True)
        for name in names:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


def _cable(hub: str, end: str, name: str, address: str, gateway: str) -> None:
    """A cable from `end` on the machine to `eth0` of another namespace."""
    _ip(f"link add {end} type veth peer name eth0 netns {name}", f"link set {end} up", inside=hub)
    _ip(f"address add {address} dev eth0", "link set eth0 up", f"route add default via {gateway}", inside=name)


def _ip(*lines: str, inside: str = "") -> None:
    where = ["-n", inside] if inside else []
    subprocess.run(
        ["ip", *where, "-batch", "-"], input="\n".join(lines) + "\n", text=True, check=True, capture_output=True
    )
