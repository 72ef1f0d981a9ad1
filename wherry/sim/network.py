"""The network of the simulator: clients reach the API server by a function call, and whatever a network can do wrong
happens by seed.

    network = Network(app, Faults(lose_answers=0.1)) client = Client(Connection(server="https://sim"),
    user_agent="test", transport=network.transport("system:kube-scheduler"))

The API server's ASGI app runs as it is. A request costs virtual time; it may be lost on its way, or its answer on the
way back (the write has happened then), and a watch may be cut at any moment.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from urllib.parse import urlencode

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from wherry.client.transport import Answer, error_from
from wherry.machinery.errors import Unavailable

Message = MutableMapping[str, Any]
App = Callable[
    [Mapping[str, Any], Callable[[], Awaitable[dict[str, Any]]], Callable[[dict[str, Any]], Awaitable[None]]],
    Awaitable[None],
]


@dataclass(frozen=True, slots=True)
class Faults:
    """How often what goes wrong: probabilities per request, seconds of delay, seconds until a watch is cut (0:
    never).
    """

    lose_requests: float = 0.0
    lose_answers: float = 0.0
    delay_seconds: tuple[float, float] = (0.0005, 0.002)
    cut_watches_after: float = 0.0


class Network:
    """Carries requests to one app. `app` None is a server that is down; set it to bring another one up."""

    def __init__(self, app: App | None, faults: Faults | None = None, *, seed: int = 0) -> None:
        self.app = app
        self.faults = faults or Faults()
        self._random = random.Random(seed)
        self._open: set[asyncio.Task[None]] = set()

    def transport(self, user: str, *groups: str) -> InMemoryTransport:
        """The way to the server of somebody with a client certificate in this name."""
        return InMemoryTransport(self, certificate_of(user, groups))

    async def delay(self) -> None:
        """The time a message needs."""
        await asyncio.sleep(self._random.uniform(*self.faults.delay_seconds))

    def loses(self, share: float) -> bool:
        """Whether this message is one of those that get lost."""
        return self._random.random() < share

    def reach(self) -> App:
        """The app, if it is up and the request gets through."""
        if self.app is None or self.loses(self.faults.lose_requests):
            raise Unavailable("connection refused")
        return self.app

    def start(self, call: Awaitable[None]) -> asyncio.Task[None]:
        """Let the server work on a request; hung up on by `cut`."""
        task = asyncio.ensure_future(call)
        self._open.add(task)
        task.add_done_callback(self._open.discard)
        return task

    def cut(self) -> None:
        """Every connection breaks now, as when the server is killed."""
        for task in list(self._open):
            task.cancel()


class InMemoryTransport:
    """`wherry.client.transport.Transport` without sockets."""

    def __init__(self, network: Network, certificate: bytes) -> None:
        self._network = network
        self._certificate = certificate

    async def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        """Send a request; raises Unavailable when it, or its answer, is lost."""
        network = self._network
        await network.delay()
        app = network.reach()
        exchange = _Exchange(body or b"")
        task = network.start(app(self._scope(method, path, query, headers), exchange.receive, exchange.send))
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise Unavailable("the connection was cut") from None
            raise
        await network.delay()
        if network.loses(network.faults.lose_answers):
            raise Unavailable("the answer was lost")
        return Answer(exchange.status, exchange.headers, b"".join(exchange.chunks))

    async def stream(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[bytes]:
        """The lines of an answer as they come."""
        network = self._network
        await network.delay()
        app = network.reach()
        exchange = _Exchange(body or b"")
        task = network.start(app(self._scope(method, path, query, headers), exchange.receive, exchange.send))
        task.add_done_callback(lambda _: exchange.end())
        seconds = network.faults.cut_watches_after
        timer = asyncio.get_running_loop().call_later(seconds, task.cancel) if seconds else None
        try:
            async for line in exchange.lines():
                await network.delay()
                yield line
            if exchange.status >= 400:
                raise error_from(exchange.status, exchange.headers, b"".join(exchange.chunks))
        finally:
            if timer is not None:
                timer.cancel()
            task.cancel()

    def _scope(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
        return {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": urlencode(query).encode(),
            "headers": [(key.lower().encode(), value.encode()) for key, value in headers.items()],
            "extensions": {"tls": {"client_cert_der": self._certificate}},
        }


class _Exchange:
    """One request and its answer, as ASGI messages."""

    def __init__(self, body: bytes) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self._body: bytes | None = body
        self._more = asyncio.Event()
        self._ended = False
        self._never = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if self._body is None:
            await self._never.wait()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {key.decode(): value.decode("latin-1") for key, value in message["headers"]}
        elif message.get("body"):
            self.chunks.append(message["body"])
        self._more.set()

    def end(self) -> None:
        self._ended = True
        self._more.set()

    async def lines(self) -> AsyncIterator[bytes]:
        """Lines of a successful answer, until it ends."""
        held = b""
        while True:
            if self.chunks and 0 < self.status < 400:
                held += b"".join(self.chunks)
                self.chunks.clear()
                *whole, held = held.split(b"\n")
                for line in whole:
                    yield line
            elif self._ended:
                return
            else:
                self._more.clear()
                await self._more.wait()


@lru_cache(maxsize=256)
def certificate_of(user: str, groups: tuple[str, ...]) -> bytes:
    """A certificate (DER) in that name. The simulator has no TLS, so nobody checks who signed it."""
    names = [x509.NameAttribute(NameOID.COMMON_NAME, user)]
    names += [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name(names)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, begin + timedelta(days=36500))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
