"""Whole connections that are passed on: WebSockets message by message, every other protocol byte by byte.

Bytes flow freely only after the backend has agreed to switch protocols. Otherwise a client could go on with requests of
its own on the connection to the backend, past authentication and authorization.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from apiserver.proxying.headers import Headers
from apiserver.proxying.places import Place
from apiserver.request import Receive, Scope, Send
from wherry.machinery.errors import BadRequest, Unavailable

if TYPE_CHECKING:
    import aiohttp

CONNECT_SECONDS = 10
# How long a backend may take to say whether it upgrades. Kubernetes: proxy.go reads the answer for 30 s.
ANSWER_SECONDS = 30
_READ_BYTES = 64 * 1024


async def relay_websocket(backend: aiohttp.ClientWebSocketResponse, receive: Receive, send: Send) -> None:
    """Join a client's WebSocket to a backend's, message by message, until either side closes."""
    await receive()  # websocket.connect
    await send({"type": "websocket.accept", "subprotocol": backend.protocol})
    upstream = asyncio.ensure_future(_client_to_backend(receive, backend))
    try:
        await _backend_to_client(backend, send)
    finally:
        upstream.cancel()
        await backend.close()


async def _client_to_backend(receive: Receive, backend: aiohttp.ClientWebSocketResponse) -> None:
    while True:
        message = await receive()
        if message["type"] != "websocket.receive":
            await backend.close()
            return
        if message.get("bytes") is not None:
            await backend.send_bytes(message["bytes"])
        else:
            await backend.send_str(message["text"])


async def _backend_to_client(backend: aiohttp.ClientWebSocketResponse, send: Send) -> None:
    import aiohttp

    async for message in backend:
        if message.type == aiohttp.WSMsgType.BINARY:
            await send({"type": "websocket.send", "bytes": message.data})
        elif message.type == aiohttp.WSMsgType.TEXT:
            await send({"type": "websocket.send", "text": message.data})
    await send({"type": "websocket.close", "code": backend.close_code or 1000})


def _line(name: str, value: str) -> bytes:
    """A header: what a client sent as its bytes were, and who it is as text in UTF-8."""
    return f"{name}: {value}".encode("utf-8" if name.startswith("X-Remote-") else "latin-1")


class Switch:
    """A connection to a backend that was asked to switch to another protocol, and what it answered."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> None:
        self._reader, self._writer, self._head = reader, writer, head

    @classmethod
    async def asked(cls, method: str, place: Place, path: str, headers: Headers) -> Switch:
        """Ask; raises Unavailable if nobody is there or the answer makes no sense."""
        parts = urlsplit(place.url)
        port = parts.port or (443 if place.tls else 80)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(
                    parts.hostname, port, ssl=place.tls, server_hostname=place.server_name
                )
        except (OSError, TimeoutError) as error:
            raise Unavailable(f"error trying to reach service: {error}") from None
        lines = [f"{method} {path} HTTP/1.1".encode("latin-1"), *(_line(name, value) for name, value in headers)]
        if any(b"\r" in line or b"\n" in line for line in lines):
            writer.close()
            raise BadRequest("a header or the path holds a line break")
        try:
            writer.write(b"\r\n".join((*lines, b"", b"")))
            async with asyncio.timeout(ANSWER_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
        except (OSError, TimeoutError, EOFError, asyncio.LimitOverrunError) as error:
            writer.close()
            raise Unavailable(f"error trying to reach service: {error}") from None
        return cls(reader, writer, head)

    @property
    def has_happened(self) -> bool:
        """Whether the backend agreed."""
        return self._head.split(b" ", 2)[1:2] == [b"101"]

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The client's connection joined to the backend's, or the backend's refusal and the end of both."""
        try:
            client, to_client = scope["extensions"]["take_over"](self._head if self.has_happened else self._refusal())
            directions = [_copied(self._reader, to_client)]
            if self.has_happened:
                directions.append(_copied(client, self._writer))
            await until_one_ends(*directions)
            await _close(to_client)
        finally:
            await _close(self._writer)

    def _refusal(self) -> bytes:
        """The backend's head, in which no word lets the client go on."""
        lines = self._head.split(b"\r\n")[:-2]
        kept = [line for line in lines if not line.lower().startswith((b"connection:", b"keep-alive:"))]
        if self._writer.can_write_eof():
            self._writer.write_eof()
        return b"\r\n".join((*kept, b"Connection: close", b"", b""))


async def _copied(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(_READ_BYTES):
        sink.write(data)
        await sink.drain()


async def until_one_ends(*directions: Awaitable[None], expected: tuple[type[Exception], ...] = (OSError,)) -> None:
    """Both directions at once; one that ends, or fails as expected of peers that go away, ends the other."""
    tasks = [asyncio.ensure_future(direction) for direction in directions]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception) and not isinstance(ended, expected):
                raise ended


async def _close(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.close()
        await writer.wait_closed()
