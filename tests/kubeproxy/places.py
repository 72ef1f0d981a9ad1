"""Where the contract of the backends runs: a backend, targets web-1 and web-2, and a client that dials frontends."""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from ipaddress import IPv4Network

import pytest

from kubeproxy.backends import Backend, Engine, NftablesBackend, UserspaceBackend
from kubeproxy.backends.container import ContainerNetwork
from kubeproxy.backends.fake import FakeBackend
from kubeproxy.rules import Frontend
from tests.kubeproxy.machine import GATEWAY, PODS, Machine, machine, why_not
from tests.kubeproxy.rules_containers import ENGINE, a_rules_container

NONE = "nobody"
PODS_CIDR, SERVICES_CIDR = IPv4Network("10.244.0.0/16"), IPv4Network("10.96.0.0/16")
Ask = Callable[[], Awaitable[str]]


class Place:
    """A client's view: `ask` dials once, `connection` stays. Answers are names of targets, NONE is a refusal."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    async def ask(self, frontend: Frontend) -> str:
        try:
            async with self.connection(frontend) as ask:
                return await ask()
        except OSError as error:
            if isinstance(error, ConnectionError) or error.errno == errno.EHOSTUNREACH:
                return NONE
            raise

    @asynccontextmanager
    async def connection(self, frontend: Frontend) -> AsyncIterator[Ask]:
        raise NotImplementedError
        yield


class FakePlace(Place):
    """No packets: asks the fake who would answer."""

    backend: FakeBackend

    @asynccontextmanager
    async def connection(self, frontend: Frontend) -> AsyncIterator[Ask]:
        await asyncio.sleep(0)
        target = self.backend.connect(frontend, "10.244.0.20")
        names = {address: name for name, address in PODS.items()}

        async def ask() -> str:
            return names[target.address] if target else NONE

        yield ask


class NetworkPlace(Place):
    """Real sockets in namespaces, from a pod unless said otherwise."""

    def __init__(self, backend: Backend, where: Machine) -> None:
        super().__init__(backend)
        self.machine = where

    def dialled(self, frontend: Frontend, part: str) -> tuple[str, tuple[str, int]]:
        """From which part to dial what."""
        return part, (frontend.address or GATEWAY, frontend.port)

    @asynccontextmanager
    async def connection(self, frontend: Frontend, part: str = "client", *, whole: bool = False) -> AsyncIterator[Ask]:
        part, address = self.dialled(frontend, part)
        kind = socket.SOCK_STREAM if frontend.protocol == "TCP" else socket.SOCK_DGRAM
        loop = asyncio.get_running_loop()

        async def ask() -> str:
            async with asyncio.timeout(5):
                await loop.sock_sendall(dialling, b"hello\n")
                answer = (await loop.sock_recv(dialling, 100)).decode().strip()
            if not answer:
                raise ConnectionResetError("closed without an answer")
            return answer if whole else answer.split()[0]

        with self.machine.socket(part, kind) as dialling:
            # "At once": sooner than a network without an answer gives up by itself.
            async with asyncio.timeout(2):
                await loop.sock_connect(dialling, address)
            yield ask

    async def ask_from(self, part: str, frontend: Frontend) -> str:
        """The target's name and the client address that it saw."""
        async with self.connection(frontend, part, whole=True) as ask:
            return await ask()


class RootlessPlace(NetworkPlace):
    """Without root, the machine itself dials what the backend published."""

    def dialled(self, frontend: Frontend, part: str) -> tuple[str, tuple[str, int]]:
        assert isinstance(self.backend, UserspaceBackend)
        published = self.backend.published.get(frontend, ("127.0.0.1", 1))
        return "machine", ("127.0.0.1", published[1])


@asynccontextmanager
async def open_place(kind: str) -> AsyncIterator[Place]:
    if kind == "fake":
        yield FakePlace(FakeBackend())
        return
    if why_not():
        pytest.skip(why_not())
    container = a_rules_container() if kind.startswith("container") else None
    with machine(container.pid if container else 0) as where:
        for pod in ("web-1", "web-2"):
            await where.serve(pod, PODS[pod], 8080)
        network = where.networks["machine"]
        bridged = "1" if kind.endswith("-bridged") else "0"
        network.write("/proc/sys/net/bridge/bridge-nf-call-iptables", bridged)
        if container:
            network = ContainerNetwork(Engine(container.name, ENGINE), network.name)
        if container or kind.startswith("nftables"):
            backend: Backend = NftablesBackend("contract", PODS_CIDR, SERVICES_CIDR, network)
        else:
            backend = UserspaceBackend("contract", SERVICES_CIDR, network, owns_addresses=kind == "userspace")
        place = RootlessPlace if kind == "userspace-rootless" else NetworkPlace
        yield place(backend, where)
        await backend.clear()
        await backend.close()
