"""Wire: one HTTP/1.1 connection, on which one request after the other is answered.

It knows nothing of redirects, cookies and proxies, which no API server asks of its clients: a request costs a third of
what it does with a client for the whole web.
"""

from __future__ import annotations

import asyncio
import zlib
from typing import cast

import httptools

# Status, headers with names in lower case, body.
Answered = tuple[int, dict[str, str], bytes]

# To zlib: with the head and the checksum of gzip.
GZIP = 31


class Broken(ConnectionError):
    """The connection ended, or made no sense, before the answer was whole; `is_silent`: before any of it came."""

    def __init__(self, why: str, *, is_silent: bool = False) -> None:
        super().__init__(why)
        self.is_silent = is_silent


class Wire(asyncio.Protocol):
    """See the module."""

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Answered] | None = None
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._is_silent = self._is_kept = True
        self._has_head = False

    @property
    def is_usable(self) -> bool:
        """Whether another request can be sent on it."""
        return self._is_kept and self._transport is not None and not self._transport.is_closing()

    def ask(self, request: bytes) -> asyncio.Future[Answered]:
        """Send a request; the answer to the one before must have come."""
        answer = self._answer = asyncio.get_running_loop().create_future()
        self._is_silent = True
        if self._transport is None:
            self._fail(Broken("the connection has ended", is_silent=True))
        else:
            self._transport.write(request)
        return answer

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It stands."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """More of the answer, or something that nobody asked for."""
        if self._answer is None:
            self.abort()
            return
        self._is_silent = False
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade, zlib.error) as error:
            self._fail(Broken(f"the answer is not HTTP/1.1: {error}"))
            self.abort()

    def connection_lost(self, error: Exception | None) -> None:
        """It is over. An answer that does not say how long it is ends with it."""
        self._transport = None
        if self._answer is None:
            return
        if error is None and self._ends_with_connection():
            try:
                self._finish()
            except zlib.error as broken:
                self._fail(Broken(f"the answer is not HTTP/1.1: {broken}"))
        else:
            why = f": {error}" if error else ""
            self._fail(Broken(f"the connection ended before the answer{why}", is_silent=self._is_silent))

    def on_header(self, name: bytes, value: bytes) -> None:
        """One header of the answer."""
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """All of them."""
        self._has_head = self._parser.get_status_code() >= 200

    def on_body(self, piece: bytes) -> None:
        """A piece of its body."""
        self._body.append(piece)

    def on_message_complete(self) -> None:
        """All of it."""
        if self._parser.get_status_code() < 200:
            self._headers = {}  # the answer proper is still to come
            return
        self._is_kept = self._parser.should_keep_alive()
        self._finish()

    def _ends_with_connection(self) -> bool:
        return self._has_head and not self._headers.keys() & {"content-length", "transfer-encoding"}

    def _finish(self) -> None:
        headers, pieces = self._headers, self._body
        self._headers, self._body, self._has_head = {}, [], False
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if headers.get("content-encoding") == "gzip":
            body = zlib.decompress(body, wbits=GZIP)
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_result((self._parser.get_status_code(), headers, body))

    def _fail(self, error: Broken) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and not answer.done():
            answer.set_exception(error)
