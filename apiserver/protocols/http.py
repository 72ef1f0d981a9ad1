"""HTTP/1.1: uvicorn's protocol on httptools, with six things that requests need to know or do, and a limit to how long
a request may take to say what it wants.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Any, ClassVar, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from apiserver.fairness.turnstile import Turnstile
from apiserver.protocols.together import Together

# What a request line and its headers may have together. Kubernetes: Go's DefaultMaxHeaderBytes.
MAX_HEADER_BYTES = 1024 * 1024

# How long a new connection or a begun request may take until its headers are complete. Kubernetes: ReadHeaderTimeout.
HEADER_SECONDS = 32.0

# Connections that have not asked for anything yet. Beyond that, who has kept the server waiting for longest must go, if
# that is longer than any client needs.
MOST_UNHEARD = 500
UNHEARD_SECONDS = 2.0

# What waits in the server's memory for a client that does not read. asyncio's own limit under TLS is 512 KiB.
WRITE_BUFFER_BYTES = 64 * 1024

# The same for what a client sends and nobody reads yet, before it is decrypted.
READ_BUFFER_BYTES = 64 * 1024

# What the kernel holds of a long body, and thus what is read of it at once: uvloop takes up to 256 KiB, and keeps twice
# as much for as long as the connection lives.
KERNEL_BUFFER_BYTES = 64 * 1024


def tls_of(transport: asyncio.BaseTransport) -> dict[str, Any] | None:
    """The peer's certificate, read once per connection."""
    tls = transport.get_extra_info("ssl_object")
    if tls is None:
        return None
    return {"client_cert_der": tls.getpeercert(True)}


def _chunk_writer(send: Any) -> Callable[[bytes], bool] | None:
    """None for an answer that is not sent in chunks. The function says False, and writes nothing, to a client that
    does not read as fast, or has left.
    """
    cycle: RequestResponseCycle = send.__self__
    if not cycle.chunked_encoding or cycle.scope["method"] == "HEAD":
        return None
    flow, transport = cycle.flow, cycle.transport

    def write_chunk(body: bytes) -> bool:
        if flow.write_paused or cycle.disconnected or cycle.response_complete or transport.is_closing():
            return False
        transport.write(b"%x\r\n%b\r\n" % (len(body), body))
        return True

    return write_chunk


class HeadersTooLarge(Exception):
    """Raised into the parser, which ends the connection with a 400."""


class HttpProtocol(HttpToolsProtocol):
    """HTTP/1.1 with six extensions in every scope.

    `tls`: the client's certificate; `abort`: ends the connection at once; `narrow`: what the client sends from now on
    is read in small pieces; `take_over`: answers with the given head and
    hands the connection over, for protocols other than WebSocket that a client asks to upgrade to; `chunk_writer`:
    given `send` of a body that has begun, a function that writes a chunk of it past ASGI, without waiting; `known_as`:
    of which flow this request is, so that the next one on the connection waits for its turn before it is parsed.
    """

    # Connections whose first headers are awaited, in the order they came.
    unheard: ClassVar[dict[HttpProtocol, float]] = {}

    _together: Together
    _extensions: dict[str, Any]
    _header_bytes = 0
    # Whose answer is under way: uvicorn's `cycle` is the last request that was read, and several may have come at once.
    _answering: RequestResponseCycle | None = None
    # Since when headers are awaited; None while they are not.
    _awaited_since: float | None = None
    _patience: asyncio.TimerHandle | None = None
    # Where the next request waits, as part of which flow; and what has come of it.
    _turnstile: Turnstile | None = None
    _flow = ""
    _passed_as = ""
    _held = b""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Remember the certificate of this connection."""
        super().connection_made(transport)
        self._together = Together(transport, self.loop)
        self.transport = cast("asyncio.Transport", self._together)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        if hasattr(transport, "set_read_buffer_limits"):  # with TLS
            transport.set_read_buffer_limits(high=READ_BUFFER_BYTES)
        self._extensions = {"abort": transport.abort, "narrow": self._narrow, "take_over": self._take_over}
        self._extensions |= {"chunk_writer": _chunk_writer, "known_as": self._known_as}
        tls = tls_of(transport)
        if tls is not None:
            self._extensions["tls"] = tls
        self._awaited_since = self.unheard[self] = self.loop.time()
        self._make_room()
        self._patience = self.loop.call_later(HEADER_SECONDS, self._end_if_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nobody waits any more."""
        self.unheard.pop(self, None)
        if self._patience is not None:
            self._patience.cancel()
        super().connection_lost(exc)
        if self._answering is not None and self._answering is not self.cycle:
            self._answering.disconnected = True
            self._answering.message_event.set()
        # Without this it would be a part of itself, and wait for the collector with all its buffers.
        self.scope = self.cycle = self._answering = None  # type: ignore[assignment]
        self._extensions = {}
        self._held = b""

    def _make_room(self) -> None:
        if len(self.unheard) > MOST_UNHEARD:
            longest, since = next(iter(self.unheard.items()))
            if self.loop.time() - since > UNHEARD_SECONDS:
                del self.unheard[longest]
                longest.transport.abort()

    def _end_if_slow(self) -> None:
        # One timer per connection, which looks again as late as it may: requests themselves start and stop none.
        if self.transport.is_closing():
            return
        now = self.loop.time()
        left = HEADER_SECONDS if self._awaited_since is None else self._awaited_since + HEADER_SECONDS - now
        if left <= 0:
            self.transport.abort()
        else:
            self._patience = self.loop.call_later(left, self._end_if_slow)

    def data_received(self, data: bytes) -> None:
        """Parse it, unless others must come first."""
        if self._turnstile is None or not self._must_wait(self._turnstile, data):
            super().data_received(data)

    def _known_as(self, turnstile: Turnstile, flow: str) -> bool:
        """Whether this request has already had its turn as one of the flow."""
        has_passed = self._passed_as == flow
        self._turnstile, self._flow, self._passed_as = turnstile, flow, ""
        return has_passed

    def _must_wait(self, turnstile: Turnstile, data: bytes) -> bool:
        if self._held:
            self._held += data
            if len(self._held) > READ_BUFFER_BYTES:
                self.flow.pause_reading()
            return True
        if self._awaited_since is not None or self.cycle.more_body or not self.cycle.response_complete:
            return False  # it goes on with a request that has begun
        if turnstile.passes(self._flow):
            self._passed_as = self._flow
            return False
        self._unset_keepalive_if_required()
        self._held = data
        turnstile.line_up(self._flow, self._begin_held)
        return True

    def _begin_held(self) -> bool:
        held, self._held = self._held, b""
        if not held or self.transport.is_closing():
            return False
        self._passed_as = self._flow
        self.flow.resume_reading()
        super().data_received(held)
        return True

    def shutdown(self) -> None:
        """What has come is answered."""
        self._begin_held()
        super().shutdown()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    def on_headers_complete(self) -> None:
        """The request has said what it wants."""
        self._awaited_since = None
        self.unheard.pop(self, None)
        super().on_headers_complete()

    def on_message_begin(self) -> None:
        """Put it into the scope of each request."""
        super().on_message_begin()
        self._header_bytes = 0
        self._awaited_since = self.loop.time()
        self.scope["extensions"] = self._extensions
        self._together.expect_head()

    def _narrow(self) -> None:
        if not self.transport.is_closing():
            carrier: socket.socket = self.transport.get_extra_info("socket")
            carrier.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BUFFER_BYTES)

    def _take_over(self, head: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        transport = self._together.transport
        if transport.is_closing():
            raise ConnectionResetError("the client has left")
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        self.connections.discard(self)
        # The answer is given here: uvicorn must not add one of its own when the app returns.
        self.cycle.response_started = self.cycle.response_complete = True
        transport.write(head)
        return reader, asyncio.StreamWriter(transport, protocol, reader, self.loop)

    def _unsupported_upgrade_warning(self) -> None:
        """Whether an upgrade is supported is the app's to decide: it may take the connection over."""

    def on_url(self, url: bytes) -> None:
        """Count the request line as well."""
        self._count(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Refuse what grows without end before it is complete."""
        self._count(name + value)
        super().on_header(name, value)

    def _count(self, piece: bytes) -> None:
        self._header_bytes += len(piece)
        if self._header_bytes > MAX_HEADER_BYTES:
            raise HeadersTooLarge(f"request line and headers exceed {MAX_HEADER_BYTES} bytes")
