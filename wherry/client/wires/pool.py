"""Wires: the connections to one server, opened when they are needed and kept for a while.

Kubernetes: the idle connections of Go's http.Transport.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import aiohappyeyeballs

from wherry.client.wires.wire import Answered, Broken, Wire
from wherry.machinery.errors import BadRequest

CONNECT_SECONDS = 10.0
# An unused connection is kept for so long: less than servers do, since a request may cross with their farewell.
IDLE_SECONDS = 60.0
# When another address of the server is tried beside the first.
NEXT_ADDRESS_SECONDS = 0.25

# What is left as it is in a path: it may bring a query, and characters that are escaped already.
PLAIN = "/:@!$&'()*+,;=~%?"


class Wires:
    """See the module. `tls` is None for plain HTTP; `server_name` is who the certificate is for, if not the host."""

    def __init__(self, server: str, tls: ssl.SSLContext | None, server_name: str = "") -> None:
        parts = urlsplit(server)
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if tls else 80)
        self._tls, self._server_name = tls, (server_name or self._host) if tls else None
        self._prefix = parts.path.rstrip("/")
        self._head = f" HTTP/1.1\r\nHost: {parts.netloc.rpartition('@')[2]}\r\nAccept-Encoding: gzip\r\n"
        # Those that nobody uses and since when, the one used last at the end; and all.
        self._idle: list[tuple[float, Wire]] = []
        self._all: set[Wire] = set()
        self._is_closed = False

    async def exchange(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> Answered:
        """Send a request and wait for all of its answer; raises OSError if none comes, BadRequest if it cannot go."""
        try:
            request = self._request(method, path, query, headers, body)
        except UnicodeEncodeError as error:
            raise no_text(method, path, error) from error
        kept = self._kept()
        if kept is not None:
            try:
                return await self._ask(kept, request)
            except Broken as end:
                # The second of two equal writes may be answered otherwise: callers know what to do when in doubt.
                if not (end.is_silent and method == "GET"):
                    raise
        return await self._ask(await self._connect(), request)

    def close(self) -> None:
        """Hang up, for good."""
        self._is_closed = True
        for wire in self._all:
            wire.abort()
        self._all.clear()
        self._idle.clear()

    def _kept(self) -> Wire | None:
        oldest = asyncio.get_running_loop().time() - IDLE_SECONDS
        while self._idle:
            since, wire = self._idle.pop()
            if since > oldest and wire.is_usable:
                return wire
            self._drop(wire)
        return None

    async def _ask(self, wire: Wire, request: bytes) -> Answered:
        try:
            answer = await wire.ask(request)
        except BaseException:
            self._drop(wire)  # what still comes on it answers nothing that anybody asks
            raise
        if wire.is_usable:
            self._keep(wire)
        else:
            self._drop(wire)
        return answer

    def _keep(self, wire: Wire) -> None:
        now = asyncio.get_running_loop().time()
        self._idle.append((now, wire))
        if self._idle[0][0] < now - IDLE_SECONDS:
            self._drop(self._idle.pop(0)[1])

    def _drop(self, wire: Wire) -> None:
        self._all.discard(wire)
        wire.abort()

    async def _connect(self) -> Wire:
        self._check_open()
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                addresses = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
                carrier = await aiohappyeyeballs.start_connection(
                    addresses, happy_eyeballs_delay=NEXT_ADDRESS_SECONDS, interleave=1, socket_factory=lasting_socket
                )
                try:
                    _, wire = await loop.create_connection(
                        Wire, sock=carrier, ssl=self._tls, server_hostname=self._server_name
                    )
                except BaseException:
                    carrier.close()
                    raise
        except TimeoutError as error:
            raise ConnectionError("no connection in time") from error
        except OSError as error:
            raise ConnectionError(f"no connection to {self._host}:{self._port}: {error}") from error
        self._all.add(wire)
        try:
            self._check_open()
        except ConnectionError:
            self._drop(wire)
            raise
        return wire

    def _check_open(self) -> None:
        if self._is_closed:
            raise ConnectionError("the client was closed")

    def _request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> bytes:
        target = quote(self._prefix + path, safe=PLAIN)
        if query:
            target += ("&" if "?" in path else "?") + urlencode(query)
        lines = header_lines(method, path, headers)
        if body is not None or method in ("POST", "PUT", "PATCH"):
            lines += f"Content-Length: {len(body or b'')}\r\n"
        return f"{method} {target}{self._head}{lines}\r\n".encode() + (body or b"")


def no_text(method: str, path: str, error: UnicodeEncodeError) -> BadRequest:
    """Half a character cannot be sent, in a path or in a header."""
    return BadRequest(f"{method} {path!a} is no text: {error.reason}")


def header_lines(method: str, path: str, headers: Mapping[str, str]) -> str:
    """The headers as they are sent; raises BadRequest where one would smuggle in another."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\r") + lines.count("\n") != 2 * len(headers):
        raise BadRequest(f"a header of {method} {path} has a line break in it")
    return lines


def lasting_socket(address: Any) -> socket.socket:
    """A socket that notices within half a minute when the other side is gone without a word."""
    family, kind, protocol = address[:3]
    made = socket.socket(family, kind, protocol)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 15), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 3), ("TCP_USER_TIMEOUT", 30_000)):
        if hasattr(socket, option):
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made
