"""A gRPC server that does what a test asks for, on an independent implementation of HTTP/2 (`h2`)."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, Event, RemoteSettingsChanged, RequestReceived, StreamEnded, StreamReset
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes, Settings

HEAD = [(":status", "200"), ("content-type", "application/grpc")]
MANY = 40


def framed(message: bytes) -> bytes:
    return b"\0" + len(message).to_bytes(4, "big") + message


class GrpcServer(asyncio.Protocol):
    """Connections tell it what comes; what it has heard is kept for the test to look at."""

    def __init__(self, heard: "Heard", settings: dict[SettingCodes, int]) -> None:
        self.heard, self.settings = heard, settings
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.paths: dict[int, str] = {}
        self.bodies: dict[int, bytes] = {}
        self.unsent: dict[int, bytes] = {}

    def connection_made(self, transport) -> None:
        self.transport = transport
        self.heard.connections.append(self)
        self.h2.local_settings = Settings(client=False, initial_values=self.settings)
        self.h2.max_inbound_frame_size = self.h2.local_settings.max_frame_size
        self.h2.initiate_connection()
        self.flush()

    def data_received(self, data: bytes) -> None:
        for event in self.h2.receive_data(data):
            self.take(event)
        for stream in list(self.unsent):
            self.pump(stream)
        self.flush()

    def take(self, event: Event) -> None:
        if isinstance(event, RequestReceived):
            headers = dict(event.headers)
            self.heard.headers.append(headers)
            self.paths[event.stream_id], self.bodies[event.stream_id] = headers[":path"], b""
            self.heard.most_at_once = max(self.heard.most_at_once, len(self.paths))
            if headers[":path"] == "/many":
                self.answer(event.stream_id, framed(b"x" * 100_000) * MANY)
        elif isinstance(event, DataReceived):
            self.bodies[event.stream_id] += event.data
            with contextlib.suppress(ProtocolError):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            self.asked(event.stream_id, self.paths[event.stream_id])
        elif isinstance(event, StreamReset):
            self.heard.resets.append(event.stream_id)
            self.paths.pop(event.stream_id, None)
            self.unsent.pop(event.stream_id, None)
        elif isinstance(event, RemoteSettingsChanged) and self.heard.keeps_table:
            self.h2.encoder.header_table_size = 4096

    def asked(self, stream: int, path: str) -> None:
        if path == "/refuse":
            self.end(stream, [*HEAD, ("grpc-status", "5"), ("grpc-message", "no such%20thing: 50%25 ü")])
        elif path == "/busy":
            self.end(stream, [(":status", "503")])
        elif path == "/reset":
            self.h2.reset_stream(stream, 7)
        elif path == "/leave":
            self.h2.close_connection(0, last_stream_id=stream - 2)
        elif path == "/padded":
            self.h2.send_headers(stream, HEAD)
            self.h2.send_data(stream, framed(b"padded"), pad_length=200)
            self.h2.send_headers(stream, [("grpc-status", "0"), ("long", "y" * 40_000)], end_stream=True)
        elif path == "/short":
            self.h2.send_headers(stream, HEAD)
            self.h2.send_data(stream, framed(b"cut short")[:-3])
            self.h2.send_headers(stream, [("grpc-status", "0")], end_stream=True)
        elif path != "/never":
            self.answer(stream, self.bodies[stream])

    def answer(self, stream: int, body: bytes) -> None:
        self.h2.send_headers(stream, HEAD)
        self.unsent[stream] = body
        self.pump(stream)

    def end(self, stream: int, headers: list[tuple[str, str]]) -> None:
        self.h2.send_headers(stream, headers, end_stream=True)
        self.paths.pop(stream)

    def pump(self, stream: int) -> None:
        while body := self.unsent.get(stream, b""):
            size = min(self.h2.local_flow_control_window(stream), self.h2.max_outbound_frame_size, len(body))
            if size <= 0:
                return
            self.h2.send_data(stream, body[:size])
            self.heard.sent += size
            self.unsent[stream] = body[size:]
        del self.unsent[stream]
        # One name that changes and one that does not: a table would hold both.
        self.end(stream, [("grpc-status", "0"), ("served", str(len(self.heard.headers)))])

    def flush(self) -> None:
        self.transport.write(self.h2.data_to_send())


class Heard:
    """What came to a server, over all its connections."""

    def __init__(self) -> None:
        self.connections: list[GrpcServer] = []
        self.headers: list[dict[str, str]] = []
        self.resets: list[int] = []
        self.most_at_once = self.sent = 0
        self.keeps_table = False
        self.url = ""


@contextlib.asynccontextmanager
async def grpc_server(settings: dict[SettingCodes, int] | None = None, tls: ssl.SSLContext | None = None):
    """A server on a free port, and what it hears."""
    heard = Heard()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: GrpcServer(heard, settings or {}), "127.0.0.1", 0, ssl=tls)
    heard.url = f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield heard
    finally:
        server.close()
        for connection in heard.connections:
            connection.transport.abort()
        await asyncio.sleep(0)


class Dumb(asyncio.Protocol):
    """Says one thing and hears nothing."""

    def __init__(self, said: bytes, transports: list[asyncio.Transport]) -> None:
        self.said, self.transports = said, transports

    def connection_made(self, transport) -> None:
        self.transports.append(transport)
        transport.write(self.said)


@contextlib.asynccontextmanager
async def dumb_server(said: bytes = b"") -> AsyncIterator[str]:
    """Its URL; it takes connections, says so much and no more."""
    transports: list[asyncio.Transport] = []
    server = await asyncio.get_running_loop().create_server(lambda: Dumb(said, transports), "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for transport in transports:
            transport.abort()
        await asyncio.sleep(0)
