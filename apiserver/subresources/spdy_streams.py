"""exec, attach and port-forward for clients that speak SPDY/3.1 itself: kubectl before 1.31.

Towards the kubelet it is the same WebSocket as for everybody else. The bytes of a port-forward pass as they are; the
streams of a command become the channels of the remote-command protocol, and the other way round.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING

from apiserver.proxying.upgrades import until_one_ends
from apiserver.request import Answer, Receive, Request, Scope, Send, Upgrade
from wherry.machinery import channels
from wherry.machinery.errors import Forbidden
from wherry.machinery.spdy import Data, Frame, Opened, Ping, Spdy, SpdyError

if TYPE_CHECKING:
    import aiohttp

    from apiserver.kubelets import Kubelet

Join = Callable[["Kubelet", str, Request], Awaitable[Answer]]

_PORT_FORWARD = "portforward.k8s.io"
_VERSION_HEADER = b"x-stream-protocol-version"
# How long a client may take to open its streams, and to close the connection when all was said. Kubernetes: 30 s.
_STREAMS_SECONDS = 30
_GOODBYE_SECONDS = 5
_READ_BYTES = 64 * 1024

_CHANNELS = {
    "stdin": channels.STDIN,
    "stdout": channels.STDOUT,
    "stderr": channels.STDERR,
    "error": channels.ERROR,
    "resize": channels.RESIZE,
}
_OUTGOING = (channels.STDOUT, channels.STDERR, channels.ERROR)


async def joined_port_forward(kubelet: Kubelet, path: str, request: Request) -> Answer:
    """The client's connection, byte for byte, is what the kubelet finds in its WebSocket."""
    head = _switching(request, _PORT_FORWARD)
    return _taking_over(head, await kubelet.connect(path, channels.SPDY_TUNNEL), _PortForward)


async def joined_exec(kubelet: Kubelet, path: str, request: Request) -> Answer:
    """The client's streams are the channels of the kubelet's WebSocket."""
    head = _switching(request, channels.V4)
    wanted = {"error", *(name for name in ("stdin", "stdout", "stderr") if request.flag(name))}
    if request.flag("tty"):
        wanted = wanted - {"stderr"} | {"resize"}
    command = partial(_Command, wanted={_CHANNELS[name] for name in wanted})
    return _taking_over(head, await kubelet.connect(path, channels.V5), command)


class _PortForward:
    """Bytes on both legs."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, backend: aiohttp.ClientWebSocketResponse
    ) -> None:
        self._reader, self._writer, self._backend = reader, writer, backend

    async def upstream(self) -> None:
        """What the client says, until it is gone."""
        while data := await self._reader.read(_READ_BYTES):
            await self._backend.send_bytes(data)

    async def downstream(self) -> None:
        """What the kubelet says."""
        async for message in self._backend:
            self._writer.write(message.data)
            await self._writer.drain()


class _Command:
    """A command's streams on both legs."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        backend: aiohttp.ClientWebSocketResponse,
        wanted: set[int],
    ) -> None:
        self._reader, self._writer, self._backend = reader, writer, backend
        self._wanted = wanted
        self._spdy = Spdy()
        self._streams: dict[int, int] = {}
        self._has_all = asyncio.Event()

    async def upstream(self) -> None:
        """What the client says, until it is gone."""
        while data := await self._reader.read(_READ_BYTES):
            for frame in self._spdy.feed(data):
                await self._take(frame)
            await self._writer.drain()

    async def _take(self, frame: Frame) -> None:
        if isinstance(frame, Opened):
            self._writer.write(self._spdy.reply(frame.stream_id))
            channel = _CHANNELS.get(frame.headers.get("streamtype", ""))
            if channel is not None:
                self._streams[channel] = frame.stream_id
            if self._wanted <= self._streams.keys():
                self._has_all.set()
        elif isinstance(frame, Ping) and frame.number % 2:
            self._writer.write(self._spdy.pong(frame))
        elif isinstance(frame, Data):
            await self._pass_on(frame)

    async def _pass_on(self, frame: Data) -> None:
        channel = next((each for each, stream in self._streams.items() if stream == frame.stream_id), None)
        if channel in (channels.STDIN, channels.RESIZE) and frame.data:
            await self._backend.send_bytes(channels.encode(channel, frame.data))
        if channel == channels.STDIN and frame.is_last:
            await self._backend.send_bytes(channels.encode_close(channels.STDIN))

    async def downstream(self) -> None:
        """What the command says, its status, and the end of every stream; then the client is to close."""
        async with asyncio.timeout(_STREAMS_SECONDS):
            await self._has_all.wait()
        async for message in self._backend:
            channel, data = channels.decode(message.data)
            if channel in self._streams:
                self._writer.write(self._spdy.data(self._streams[channel], data))
                await self._writer.drain()
        for channel in _OUTGOING:
            if channel in self._streams:
                self._writer.write(self._spdy.data(self._streams[channel], b"", is_last=True))
        await self._writer.drain()
        await asyncio.sleep(_GOODBYE_SECONDS)


def _switching(request: Request, protocol: str) -> bytes:
    """The head of the answer; Forbidden if the client does not speak the protocol."""
    offered = list(_words(value for name, value in request.scope["headers"] if name.lower() == _VERSION_HEADER))
    if protocol not in offered:
        raise Forbidden(f"unable to upgrade: {offered} are offered, only {protocol} is spoken here")
    lines = ("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: SPDY/3.1")
    return "\r\n".join((*lines, f"X-Stream-Protocol-Version: {protocol}", "", "")).encode()


def _words(values: Iterable[bytes]) -> Iterable[str]:
    return (word.strip() for value in values for word in value.decode("latin-1").split(","))


Legs = Callable[
    [asyncio.StreamReader, asyncio.StreamWriter, "aiohttp.ClientWebSocketResponse"], "_PortForward | _Command"
]


def _taking_over(head: bytes, backend: aiohttp.ClientWebSocketResponse, legs: Legs) -> Upgrade:
    """The client's connection, for ourselves; in the end, or if it has left already, the kubelet's is closed too."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            reader, writer = scope["extensions"]["take_over"](head)
        except ConnectionError:
            await backend.close()
            raise
        both = legs(reader, writer, backend)
        try:
            await until_one_ends(both.upstream(), both.downstream(), expected=(OSError, SpdyError))
        finally:
            await _close(writer, backend)

    return Upgrade(serve)


async def _close(writer: asyncio.StreamWriter, backend: aiohttp.ClientWebSocketResponse) -> None:
    await backend.close()
    with contextlib.suppress(OSError):
        writer.close()
        await writer.wait_closed()
