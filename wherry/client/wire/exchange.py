"""Exchanges: requests and their answers over connections that are kept, one at a time on each.

HTTP/1.1 as servers of the Kubernetes API speak it, and no more than that: bodies are bytes, and nothing is compressed,
redirected or kept in cookies.

A kept connection that the server has closed meanwhile is found out by using it. Then a GET is sent once more, on a new
one; of anything else nobody knows whether it was carried out.

Kubernetes: net/http's Transport under client-go.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import httptools

from wherry.client.kubeconfig import Connection
from wherry.client.wire.sockets import notice_loss

CONNECT_SECONDS = 10.0
# Connections that nobody used for so long are closed: a server, or what stands before it, may be about to.
IDLE_SECONDS = 45.0

_PLAIN = re.compile(r"[\w/.:~-]*", re.ASCII)


class Answer(NamedTuple):
    """A whole HTTP answer; the names of headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Exchanges:
    """See the module. Raises OSError where no answer comes. Belongs to the loop it is first used on."""

    def __init__(self, connection: Connection, tls: ssl.SSLContext | bool) -> None:
        url = urlsplit(connection.server)
        self._tls = tls if isinstance(tls, ssl.SSLContext) else None
        self._host, self._port = url.hostname or "", url.port or (443 if self._tls else 80)
        self._server_name = connection.server_name or self._host
        self._prefix, self._host_header = url.path.rstrip("/"), url.netloc.rpartition("@")[2]
        self._idle: deque[_Line] = deque()
        self._lines: set[_Line] = set()

    async def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        """Send a request; any status is an answer."""
        text = self._text(method, path, query, headers, body)
        kept = self._kept()
        if kept is not None:
            try:
                return await self._ask(kept, text)
            except ConnectionError:
                if method != "GET" or kept.has_heard:
                    raise
        return await self._ask(await self._open(), text)

    def close(self) -> None:
        """Hang up."""
        for line in tuple(self._lines):
            line.close()
        self._idle.clear()

    def _text(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> bytes:
        target = self._prefix + (path if _PLAIN.fullmatch(path) else quote(path, safe="/:@!$&'()*+,;=~%"))
        if query:
            target += f"?{urlencode(query)}"
        lines = [f"{method} {target} HTTP/1.1\r\nHost: {self._host_header}\r\n"]
        lines += (f"{name}: {value}\r\n" for name, value in headers.items())
        if body is None and method == "GET":
            lines.append("\r\n")
            return "".join(lines).encode()
        lines.append(f"Content-Length: {len(body or b'')}\r\n\r\n")
        return "".join(lines).encode() + (body or b"")

    def _kept(self) -> _Line | None:
        now = asyncio.get_running_loop().time()
        while self._idle and self._idle[0].rests_since + IDLE_SECONDS < now:
            self._idle.popleft().close()
        while self._idle:
            line = self._idle.pop()
            if line.is_open:
                return line
        return None

    async def _open(self) -> _Line:
        loop = asyncio.get_running_loop()
        name = self._server_name if self._tls else None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                _, line = await loop.create_connection(
                    lambda: _Line(self._lines), self._host, self._port, ssl=self._tls, server_hostname=name
                )
        except TimeoutError as error:
            raise ConnectionError("no connection in time") from error
        return line

    async def _ask(self, line: _Line, text: bytes) -> Answer:
        answer = await line.ask(text)
        if line.is_open:
            line.rests_since = asyncio.get_running_loop().time()
            self._idle.append(line)
        return answer


class _Line(asyncio.Protocol):
    """One connection; it is among `lines` while it is open."""

    _transport: asyncio.Transport

    def __init__(self, lines: set[_Line]) -> None:
        self._lines = lines
        self._parser: Any = httptools.HttpResponseParser(self)
        self._answered: asyncio.Future[Answer] | None = None
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self.is_open = False
        # Whether anything of the answer to the last request has come.
        self.has_heard = False
        self.rests_since = 0.0

    async def ask(self, text: bytes) -> Answer:
        """Send a request and wait for the answer; whoever gives up on it ends the connection."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answered, self.has_heard = answered, False
        self._transport.write(text)
        try:
            return await answered
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the connection."""
        self.is_open = False
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        self._transport = transport  # type: ignore[assignment]
        self.is_open = True
        self._lines.add(self)
        notice_loss(transport.get_extra_info("socket"))

    def connection_lost(self, exc: Exception | None) -> None:
        """It is not there any more."""
        self.is_open = False
        self._lines.discard(self)
        self._fail(str(exc) if exc else "the server hung up")

    def data_received(self, data: bytes) -> None:
        """Something of an answer."""
        self.has_heard = True
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(f"the answer is no HTTP: {error!r}")
            self.close()

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser's."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        """The parser's."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """The parser's: an answer is whole, or the server says that one will come."""
        status = self._parser.get_status_code()
        answer = Answer(status, self._headers, b"".join(self._body))
        self._headers, self._body = {}, []
        if status < 200:
            return
        answered, self._answered = self._answered, None
        if answered is None or not self._parser.should_keep_alive():
            self.close()
        if answered is not None and not answered.done():
            answered.set_result(answer)

    def _fail(self, why: str) -> None:
        answered, self._answered = self._answered, None
        if answered is not None and not answered.done():
            answered.set_exception(ConnectionError(why))
