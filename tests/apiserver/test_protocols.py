"""Our protocols on the pinned uvicorn, over real TLS: what reaches the app, and what does not."""

import asyncio
import contextlib
import gc
import hashlib
import socket
import ssl
import weakref
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from apiserver.__main__ import web_server
from apiserver.fairness.turnstile import Turnstile
from apiserver.protocols import http
from apiserver.protocols.http import KERNEL_BUFFER_BYTES, MAX_HEADER_BYTES
from tests.faults.cluster_keys import ClusterKeys


class Echo:
    """Answers with the digest of the certificate it sees; counts who reaches it."""

    calls = 0
    client: tuple[str, int] | None = None

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        self.calls += 1
        self.client = scope.get("client")
        der = (scope.get("extensions") or {}).get("tls", {}).get("client_cert_der") or b""
        seen = hashlib.sha256(der).hexdigest().encode() if der else b"nobody"
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept", "subprotocol": scope["subprotocols"][0]})
            await send({"type": "websocket.send", "bytes": seen})
            await send({"type": "websocket.close", "code": 1000})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(seen))]})
        await send({"type": "http.response.body", "body": seen})


class Served:
    """The echo behind TLS on a free port."""

    def __init__(self, port: int, keys: ClusterKeys, echo: Echo) -> None:
        self.port, self.keys, self.echo = port, keys, echo
        self.url = f"https://127.0.0.1:{port}"

    def digest(self, name: str) -> str:
        certificate = x509.load_pem_x509_certificate((self.keys.folder / f"{name}.crt").read_bytes())
        return hashlib.sha256(certificate.public_bytes(Encoding.DER)).hexdigest()

    async def raw(self, request: bytes) -> bytes:
        """Everything the server answers before it closes the connection."""
        context = self.keys.client_context("")
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, ssl=context)
        with contextlib.suppress(ConnectionError):
            writer.write(request)
            await writer.drain()
        answer = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            answer = await asyncio.wait_for(reader.read(), 10)
        writer.transport.abort()
        return answer


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    keys = ClusterKeys(tmp_path)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "apiserver.crt", tmp_path / "apiserver.key")
    tls.load_verify_locations(tmp_path / "ca.crt")
    tls.verify_mode = ssl.CERT_OPTIONAL
    listening = socket.create_server(("127.0.0.1", 0))
    echo = Echo()
    web = web_server(echo, tls)  # type: ignore[arg-type]  # any ASGI app will do
    serving = asyncio.ensure_future(web.serve(sockets=[listening]))
    yield Served(listening.getsockname()[1], keys, echo)
    web.should_exit = True
    await serving


@pytest.mark.parametrize("name", ["admin", ""])
async def test_the_client_certificate_reaches_the_app(served: Served, name: str):
    async with aiohttp.ClientSession() as session:
        bodies = []
        for _ in range(2):  # the second request rides on the same connection
            async with session.get(served.url, ssl=served.keys.client_context(name)) as answer:
                bodies.append(await answer.text())

    assert bodies == [served.digest(name) if name else "nobody"] * 2


async def test_a_client_cannot_say_that_it_is_somewhere_else(served: Served):
    async with aiohttp.ClientSession(headers={"x-forwarded-for": "10.1.2.3"}) as session:
        await session.get(served.url, ssl=served.keys.client_context())

    assert served.echo.client is not None
    assert served.echo.client[0] == "127.0.0.1"


async def test_a_websocket_has_the_certificate_too(served: Served):
    url, tls = served.url + "/exec", served.keys.client_context()
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(url, ssl=tls, protocols=("v5.channel.k8s.io", "v4.channel.k8s.io")) as socket_,
    ):
        message = await socket_.receive_bytes()

    assert (message.decode(), socket_.protocol) == (served.digest("admin"), "v5.channel.k8s.io")


async def test_a_stranger_s_certificate_ends_the_handshake(served: Served, tmp_path: Path):
    (tmp_path / "stranger").mkdir()
    stranger = ClusterKeys(tmp_path / "stranger")
    context = served.keys.client_context("")
    context.load_cert_chain(stranger.folder / "admin.crt", stranger.folder / "admin.key")

    async with aiohttp.ClientSession() as session:
        with pytest.raises((aiohttp.ClientError, ssl.SSLError)):
            await session.get(served.url, ssl=context)

    assert served.echo.calls == 0


@pytest.mark.parametrize("count", [1, 100])
async def test_headers_without_end_are_refused_before_the_app(served: Served, count: int):
    size = 2 * MAX_HEADER_BYTES // count
    headers = b"".join(b"x-%d: %s\r\n" % (number, b"y" * size) for number in range(count))

    answer = await served.raw(b"GET / HTTP/1.1\r\nhost: a\r\n" + headers + b"\r\n")

    assert answer[:12] in (b"", b"HTTP/1.1 400")
    assert served.echo.calls == 0


async def test_large_headers_within_the_limit_pass(served: Served):
    answer = await served.raw(
        b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: " + b"y" * (MAX_HEADER_BYTES // 2) + b"\r\n\r\n"
    )

    assert answer.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "request_",
    [
        b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"GET / HTTP/1.1\r\nhost: a\r\ncontent-length: -5\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nbad header: \x00\r\n\r\n",
        b"\x16\x03\x01 nonsense\r\n\r\n",
    ],
)
async def test_what_could_be_read_in_two_ways_is_refused(served: Served, request_: bytes):
    answer = await served.raw(request_)

    assert answer.startswith(b"HTTP/1.1 400")
    assert served.echo.calls == 0


async def test_chunks_written_past_asgi_arrive_between_those_that_are_sent(served: Served, monkeypatch):
    async def direct(self: Echo, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"a", "more_body": True})
        write = scope["extensions"]["chunk_writer"](send)
        wrote = write(b"b" * 20)
        await send({"type": "http.response.body", "body": b"c"})
        assert (wrote, write(b"d")) == (True, False)

    monkeypatch.setattr(Echo, "__call__", direct)

    answer = await served.raw(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")

    assert answer.endswith(b"1\r\na\r\n14\r\n" + b"b" * 20 + b"\r\n1\r\nc\r\n0\r\n\r\n")


@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nhost: a\r\nx: 1\r\n"])
async def test_who_never_says_what_they_want_is_cut_off(served: Served, monkeypatch: pytest.MonkeyPatch, begun: bytes):
    monkeypatch.setattr(http, "HEADER_SECONDS", 0.1)

    assert await served.raw(begun) == b""
    assert served.echo.calls == 0


async def test_who_has_asked_may_be_silent(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http, "HEADER_SECONDS", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=served.keys.client_context(""))

    answers = []
    for _ in range(2):
        writer.write(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")
        answers.append(await reader.readuntil(b"nobody"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), 0.2)

    assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 2
    writer.close()


async def test_whose_client_leaves_is_told_though_more_requests_wait_behind(served: Served, monkeypatch):
    told: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    begun = asyncio.Event()

    async def until_left(self: Echo, scope: dict[str, Any], receive: Any, send: Any) -> None:
        await receive()
        begun.set()
        told.set_result(await receive())

    monkeypatch.setattr(Echo, "__call__", until_left)
    _, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=served.keys.client_context(""))
    writer.write(b"GET /watch HTTP/1.1\r\nhost: a\r\n\r\nGET /more HTTP/1.1\r\nhost: a\r\n\r\n")
    await begun.wait()

    writer.transport.abort()

    assert await asyncio.wait_for(told, 5) == {"type": "http.disconnect"}


CLOSING = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"


async def test_a_connection_that_has_ended_leaves_nothing_to_the_collector(served: Served, monkeypatch):
    seen: list[weakref.ref[Any]] = []
    answer = Echo.__call__

    async def noted(self: Echo, scope: dict[str, Any], receive: Any, send: Any) -> None:
        seen.append(weakref.ref(scope["extensions"]["take_over"].__self__))
        await answer(self, scope, receive, send)

    monkeypatch.setattr(Echo, "__call__", noted)
    gc.disable()
    try:
        await served.raw(CLOSING)
        for _ in range(500):  # until both sides have said goodbye
            if seen[0]() is None:
                break
            await asyncio.sleep(0.01)
        assert [each() for each in seen] == [None]
    finally:
        gc.enable()


async def test_of_what_is_narrow_the_kernel_holds_little(served: Served, monkeypatch):
    held: list[int] = []

    async def narrow(self: Echo, scope: dict[str, Any], receive: Any, send: Any) -> None:
        scope["extensions"]["narrow"]()
        carrier = scope["extensions"]["narrow"].__self__.transport.get_extra_info("socket")
        held.append(carrier.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF))
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    monkeypatch.setattr(Echo, "__call__", narrow)
    await served.raw(CLOSING)

    assert held == [2 * KERNEL_BUFFER_BYTES]  # Linux doubles it, for what it notes beside


async def test_of_too_many_who_ask_for_nothing_the_oldest_must_go(served: Served, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(http, "MOST_UNHEARD", 2)
    monkeypatch.setattr(http, "UNHEARD_SECONDS", 0.0)
    context = served.keys.client_context("")
    readers = []

    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=context)
        writer.write(b"GET / HTTP/1.1\r\nx-slow: ")
        readers.append((reader, writer))

    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(readers[0][0].read(), 10) == b""
    readers[1][1].write(b"no\r\n\r\n")
    assert (await readers[1][0].readline()).startswith(b"HTTP/1.1 200")
    for _, writer in readers:
        writer.transport.abort()


class Closed(Turnstile):
    """Lets nobody pass until it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.line: asyncio.Queue[Callable[[], bool]] = asyncio.Queue()

    def passes(self, flow: str) -> bool:
        return False

    def line_up(self, flow: str, begin: Callable[[], bool]) -> None:
        self.line.put_nowait(begin)


async def test_the_next_request_of_a_known_flow_is_not_parsed_before_its_turn(served: Served, monkeypatch):
    turnstile, passed, answer = Closed(), [], Echo.__call__

    async def known(self: Echo, scope: dict[str, Any], receive: Any, send: Any) -> None:
        passed.append((scope["path"], scope["extensions"]["known_as"](turnstile, "greedy")))
        await answer(self, scope, receive, send)

    monkeypatch.setattr(Echo, "__call__", known)
    reader, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=served.keys.client_context(""))
    writer.write(b"GET /1 HTTP/1.1\r\nhost: a\r\n\r\n")
    await reader.readuntil(b"nobody")

    writer.write(b"GET /2 HTTP/1.1\r\nhost: a\r\n\r\n")
    begin = await asyncio.wait_for(turnstile.line.get(), 5)
    before = list(passed)
    begun = begin()
    await reader.readuntil(b"nobody")

    assert (before, begun, passed) == ([("/1", False)], True, [("/1", False), ("/2", True)])
    writer.close()
