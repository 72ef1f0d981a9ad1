"""The network of the simulator: clients reach the API server by a function call, and whatever a network can do wrong
happens by seed.

    network = Network(app, Faults(lose_answers=0.1))
    line = network.transport("system:kube-scheduler")
    client = Client(Connection(server="https://apiserver"), user_agent="test", transport=line)
    line.cut()                                 # from now on nobody at this end is heard

The API server's ASGI app runs as it is. A message costs virtual time; a request may be lost on its way, or its answer
on the way back (the write has happened then), and a watch may be cut at any moment. Differs from real networks: what
is lost is noticed at once, as if the connection were reset; nobody waits for a time-out.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Mapping, MutableMapping
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
from wherry.machinery.errors import ApiError, InternalError, TooManyRequests, Unavailable
from wherry.sim.journal import requested_by
from wherry.sim.virtual_time import process

Message = MutableMapping[str, Any]
App = Callable[
    [Mapping[str, Any], Callable[[], Awaitable[dict[str, Any]]], Callable[[dict[str, Any]], Awaitable[None]]],
    Awaitable[None],
]


@dataclass(frozen=True, slots=True)
class Faults:
    """How often what goes wrong: shares of requests that are lost, or refused by a server under strain (429, 500, 503),
    and of answers that are lost; seconds on the way (least and most), and seconds that each watch of its own lags more,
    so that changes of different kinds arrive in any order; shares of events that come twice; and after how many seconds
    on average a watch is cut (0: never). `lists_as_of` is the revision of old that lists show (0: the newest), as if
    asked of a server that lags; what came since comes by watch.
    """

    lose_requests: float = 0.0
    refuse_requests: float = 0.0
    lose_answers: float = 0.0
    delay_seconds: tuple[float, float] = (0.0005, 0.002)
    watch_lag_seconds: float = 0.0
    repeat_events: float = 0.0
    cut_watches_after_seconds: float = 0.0
    lists_as_of: int = 0


# A list of a kind that there are no objects of.
_NOTHING = b'{"metadata":{"resourceVersion":"1"},"items":[]}'
REFUSALS: tuple[type[ApiError], ...] = (TooManyRequests, InternalError, Unavailable)


class Network:
    """Carries requests to one app. `app` None is a server that is down; set it to bring another one up."""

    def __init__(self, app: App | None = None, faults: Faults | None = None, *, seed: int = 0) -> None:
        self.app = app
        # Requests that were sent, and those of them that reached the server, by user.
        self.sent: Counter[str] = Counter()
        self.served: Counter[str] = Counter()
        self.faults = faults or Faults()
        self.random = random.Random(seed)
        # Collections (paths) that stay empty: whoever asks for one is told so without bothering the server.
        self.empty: Container[str] = ()
        # A dict for its order: what happens to many connections at once happens in the same order each time.
        self._served: dict[asyncio.Task[None], None] = {}

    def transport(self, user: str, *groups: str, faults: Faults | None = None) -> Line:
        """The way to the server of somebody with a client certificate in this name; with `faults`, a way of its own
        kind.
        """
        return Line(self, user, groups, faults)

    def serve(self, call: Awaitable[None]) -> asyncio.Task[None]:
        """Let the server work on a request; hung up on by `cut`."""
        task = asyncio.ensure_future(call)
        self._served[task] = None
        task.add_done_callback(self._is_served)
        return task

    def _is_served(self, task: asyncio.Task[None]) -> None:
        del self._served[task]
        if not task.cancelled():
            task.exception()  # whoever asked may be gone; then nobody hears of it, and nothing need be said

    def cut(self) -> None:
        """Every connection breaks now, and the work on every request ends, as when the server is killed."""
        for task in list(self._served):
            task.cancel()


class Line:
    """`wherry.client.transport.Transport` without sockets."""

    def __init__(self, network: Network, user: str, groups: tuple[str, ...], faults: Faults | None) -> None:
        self._network, self._user, self._faults = network, user, faults
        self._certificate = certificate_of(user, groups)
        self._streams: dict[asyncio.Task[None], None] = {}
        self._is_cut = False

    def cut(self) -> None:
        """This end is heard no more: requests fail, streams end, answers do not arrive. The server works on."""
        self.mute()
        for task in list(self._streams):
            task.cancel()

    def mute(self) -> None:
        """This end is heard no more, and does not live to notice: its streams go with whoever reads."""
        self._is_cut = True

    async def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        """Send a request; raises Unavailable when it, or its answer, is lost."""
        if method == "GET" and path in self._network.empty:
            return Answer(200, {}, _NOTHING)
        exchange, task = self._send(method, path, query, headers, body)
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            asked = asyncio.current_task()
            if task.cancelled() and not (asked and asked.cancelling()):
                raise _reset(method, path) from None
            raise
        await self._delay()
        if self._is_cut or self._loses(self.faults.lose_answers):
            raise _reset(method, path)
        return Answer(exchange.status, exchange.headers, b"".join(exchange.chunks))

    async def stream(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[bytes]:
        """The lines of an answer as they come."""
        if path in self._network.empty:
            await asyncio.Event().wait()  # nothing ever changes there
        exchange, task = self._send(method, path, query, headers, body)
        self._streams[task] = None
        task.add_done_callback(lambda _: exchange.end())
        lag = self._network.random.uniform(0, self.faults.watch_lag_seconds)
        mean = self.faults.cut_watches_after_seconds
        lasts = self._network.random.expovariate(1 / mean) if mean else 0.0
        timer = asyncio.get_running_loop().call_later(lasts, task.cancel) if mean else None
        try:
            async for line, sent_at in exchange.lines():
                # Each is as late as its watch lags: many at once do not wait for one another.
                await self._delay(max(0.0, sent_at + lag - asyncio.get_running_loop().time()))
                yield line
                if self._loses(self.faults.repeat_events):
                    yield line
            if task.cancelled():
                raise _reset(method, path)
            if error := task.exception():
                raise error
            if exchange.status >= 400:
                raise error_from(exchange.status, exchange.headers, b"".join(exchange.chunks))
        finally:
            if timer is not None:
                timer.cancel()
            task.cancel()
            self._streams.pop(task, None)

    @property
    def faults(self) -> Faults:
        """What goes wrong here."""
        return self._faults or self._network.faults

    def _send(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> tuple[_Exchange, asyncio.Task[None]]:
        """Put a request on its way: from here on it is out of its sender's hands, who may be stopped or die."""
        exchange = _Exchange(body or b"")
        self._network.sent[self._user] += 1
        before, sender = requested_by.set(self._user), process.set("")
        try:
            scope = self._scope(method, path, self._as_of(query), headers)
            return exchange, self._network.serve(self._carry(scope, exchange))
        finally:
            requested_by.reset(before)
            process.reset(sender)

    def _as_of(self, query: Mapping[str, str]) -> Mapping[str, str]:
        """A list (only those have a limit) as the faults have it."""
        revision = self.faults.lists_as_of
        if not revision or "limit" not in query or "continue" in query:
            return query
        return {**query, "resourceVersion": str(revision), "resourceVersionMatch": "Exact"}

    async def _carry(self, scope: dict[str, Any], exchange: _Exchange) -> None:
        """Bring a request to the server, if it is up and the request gets through."""
        what = f"{scope['method']} {scope['path']}"
        if self._is_cut:
            # Without chance or time: the tasks of a part that was killed end in no particular order.
            raise Unavailable(f"{what}: connection refused")
        await self._delay()
        app = self._network.app
        if app is None or self._is_cut or self._loses(self.faults.lose_requests):
            raise Unavailable(f"{what}: connection refused")
        if self._loses(self.faults.refuse_requests):
            raise self._network.random.choice(REFUSALS)(f"{what}: the server is under strain")
        self._network.served[self._user] += 1
        await app(scope, exchange.receive, exchange.send)

    async def _delay(self, more_seconds: float = 0.0) -> None:
        await asyncio.sleep(self._network.random.uniform(*self.faults.delay_seconds) + more_seconds)

    def _loses(self, share: float) -> bool:
        return share > 0 and self._network.random.random() < share

    def _scope(self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> dict[str, Any]:
        return {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": urlencode(query).encode(),
            "headers": [(key.lower().encode(), value.encode()) for key, value in headers.items()],
            "extensions": {"tls": {"client_cert_der": self._certificate}},
        }


def _reset(method: str, path: str) -> ApiError:
    return Unavailable(f"{method} {path}: connection reset")


class _Exchange:
    """One request and its answer, as ASGI messages."""

    def __init__(self, body: bytes) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.chunks: list[bytes] = []
        self._sent_at: list[float] = []  # when each of the chunks was
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
            self._sent_at.append(asyncio.get_running_loop().time())
        self._more.set()

    def end(self) -> None:
        self._ended = True
        self._more.set()

    async def lines(self) -> AsyncIterator[tuple[bytes, float]]:
        """Lines of a successful answer, until it ends, and when each was sent."""
        held = b""
        while True:
            if self.chunks and 0 < self.status < 400:
                sent_at = self._sent_at.pop(0)
                *whole, held = (held + self.chunks.pop(0)).split(b"\n")
                for line in whole:
                    yield line, sent_at
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
