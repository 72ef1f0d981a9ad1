"""Port-forward: what a client sends comes out at a port of the pod, and the other way round.

Two ways of the wire, both in a WebSocket: channels, two for each port that was asked for (client libraries), and a
tunnelled SPDY connection, two streams for each connection that is made (kubectl). Inside the pod a `nc` in the sandbox
connects, so that servers that listen on the pod's loopback only are reached as well.

Kubernetes: pkg/kubelet/cri streaming portforward. Differs: a pod that ends its side of a connection ends both sides.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

from aiohttp import WSMsgType, web

from kubelet.charge import Charge
from kubelet.runtime.base import STDOUT, ExecRequest, Runtime, RuntimeFailure, Session, State
from wherry.machinery import channels
from wherry.machinery.errors import BadRequest
from wherry.machinery.spdy import Data, Frame, Opened, Ping, Reset, Spdy, SpdyError

Say = Callable[[bytes], Awaitable[None]]
"""Sends data to the client."""

_MOST_PORT = 65535
_KEPT_ERROR_BYTES = 1024
# What of one connection may wait for the pod before the client is no longer read, in messages of up to 32 KiB.
_MOST_WAITING = 64
# Each is a process in the pod.
_MOST_CONNECTIONS, _MOST_PORTS = 256, 64
# With a server that stays silent, `nc` would outlive its client: the end of its input alone does not end it.
_CONNECT = 'echo $$ >&2; exec /bin/busybox nc 127.0.0.1 "$0"'
_KILL_SECONDS = 5.0


class Door:
    """The way into one pod."""

    def __init__(self, runtime: Runtime, sandbox_id: str, charge: Charge) -> None:
        self._runtime, self._sandbox_id, self._charge = runtime, sandbox_id, charge

    async def connect(self, port: int) -> Line:
        """Input goes to the port of the pod; output comes from there."""
        command = ("/bin/busybox", "sh", "-c", _CONNECT, str(port))
        return Line(self, port, await self._runtime.exec(self._sandbox_id, ExecRequest(command, stdin=True)))

    def end(self, pid: str) -> None:
        """End a process that connects, soon: whoever asks may itself be at its end."""
        self._charge.spawn(self._kill(pid))

    async def _kill(self, pid: str) -> None:
        with contextlib.suppress(RuntimeFailure, TimeoutError):
            await self._runtime.run(self._sandbox_id, ("/bin/busybox", "kill", pid), _KILL_SECONDS)

    def complaint(self, port: int, why: str) -> str:
        """What the client is told when a port cannot be reached."""
        pod = self._charge.pod.metadata
        return f"error forwarding port {port} to pod {pod.namespace}/{pod.name}: {why}"


class Line:
    """One connection: a process in the pod that connects, says its pid first, and goes when its client is gone."""

    def __init__(self, door: Door, port: int, session: Session) -> None:
        self._door, self._port, self.session = door, port, session
        self._said = b""
        self._has_ended = False

    async def carry(self, say: Say) -> str:
        """Everything the port says, until its end; returns what went wrong, empty if nothing did."""
        try:
            while (piece := await self.session.read()) is not None:
                stream, data = piece
                if stream == STDOUT:
                    await say(data)
                else:
                    self._said = (self._said + data)[:_KEPT_ERROR_BYTES]
            self._has_ended = True
            code, trouble = await self.session.exit_code(), self._said.partition(b"\n")[2]
        except RuntimeFailure as error:
            code, trouble = 1, str(error).encode()
        why = trouble.decode(errors="replace").strip()
        return self._door.complaint(self._port, why) if code and why else ""

    async def hang_up(self) -> None:
        """Nobody is left to hear what the pod may still say."""
        await self.session.close()
        pid = self._said.partition(b"\n")[0].decode(errors="replace")
        if pid.isdecimal() and not self._has_ended:
            self._door.end(pid)


async def open_door(runtime: Runtime, charge: Charge) -> Door:
    """The way into a pod; BadRequest while it does not run."""
    pod = charge.pod.metadata
    found = (await runtime.inventory(pod.uid)).sandboxes
    running = next((sandbox for sandbox in found if sandbox.state is State.RUNNING), None)
    if running is None:
        raise BadRequest(f"unable to forward port because pod is not running: pod {pod.name} has no running sandbox")
    return Door(runtime, running.id, charge)


async def serve_channels(socket: web.WebSocketResponse, door: Door, ports: list[int]) -> None:
    """Each port is connected once, at once. It ends when every port has ended, or the client goes."""
    lines: dict[int, Line] = {}
    try:
        for index, port in enumerate(ports):
            lines[index] = await door.connect(port)
        async with asyncio.TaskGroup() as tasks:
            incoming = tasks.create_task(_from_channels(socket, lines))
            for index, port in enumerate(ports):
                for channel in (channels.data_channel(index), channels.error_channel(index)):
                    await socket.send_bytes(channels.encode(channel, channels.encode_port(port)))
            await asyncio.gather(*(_to_channel(socket, index, line) for index, line in lines.items()))
            incoming.cancel()
        await socket.close(code=1000)
    finally:
        for line in lines.values():
            await line.hang_up()


async def _to_channel(socket: web.WebSocketResponse, index: int, line: Line) -> None:
    async def say(data: bytes) -> None:
        if not socket.closed:
            await socket.send_bytes(channels.encode(channels.data_channel(index), data))

    trouble = await line.carry(say)
    if trouble and not socket.closed:
        await socket.send_bytes(channels.encode(channels.error_channel(index), trouble.encode()))


async def _from_channels(socket: web.WebSocketResponse, lines: dict[int, Line]) -> None:
    async for message in socket:
        if message.type is WSMsgType.BINARY and message.data:
            channel, data = channels.decode(message.data)
            line = lines.get(channel // 2)
            if line is not None and channel % 2 == 0:
                await line.session.write(data)
    for line in lines.values():
        await line.hang_up()


class SpdyForward:
    """A tunnelled SPDY connection: for every connection of the client's a stream of data and one for errors."""

    def __init__(self, socket: web.WebSocketResponse, door: Door) -> None:
        self._socket, self._door = socket, door
        self._spdy = Spdy()
        self._error_streams: dict[str, int] = {}
        self._inputs: dict[int, asyncio.Queue[Data]] = {}
        self._carriers: dict[int, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Until the client closes, or says what nobody understands."""
        try:
            async with asyncio.TaskGroup() as tasks:
                async for message in self._socket:
                    if message.type is WSMsgType.BINARY:
                        for frame in self._spdy.feed(message.data):
                            await self._take(frame, tasks)
                for carrier in self._carriers.values():
                    carrier.cancel()
        except* SpdyError:
            await self._socket.close(code=1002)

    async def _take(self, frame: Frame, tasks: asyncio.TaskGroup) -> None:
        if isinstance(frame, Opened):
            await self._send(self._spdy.reply(frame.stream_id))
            if frame.headers.get("streamtype") != "data":
                self._error_streams[frame.headers.get("requestid", str(frame.stream_id))] = frame.stream_id
            elif len(self._carriers) >= _MOST_CONNECTIONS:
                await self._send(self._spdy.reset(frame.stream_id))
            else:
                self._inputs[frame.stream_id] = asyncio.Queue(_MOST_WAITING)
                self._carriers[frame.stream_id] = tasks.create_task(self._forward(frame))
        elif isinstance(frame, Data) and frame.stream_id in self._inputs:
            await self._inputs[frame.stream_id].put(frame)
        elif isinstance(frame, Reset) and frame.stream_id in self._carriers:
            self._carriers[frame.stream_id].cancel()
        elif isinstance(frame, Ping) and frame.number % 2:
            await self._send(self._spdy.pong(frame))

    async def _forward(self, opened: Opened) -> None:
        """One connection, from its opening to its end; then, on the other stream, whether all went well."""
        stream = opened.stream_id
        # Without a request id, the stream of errors is the one opened right before the stream of data.
        pair = opened.headers.get("requestid", str(stream - 2))
        try:
            trouble = await self._carry(stream, opened.headers.get("port", ""))
            await self._send(self._spdy.data(stream, b"", is_last=True))
            if pair in self._error_streams:
                await self._send(self._spdy.data(self._error_streams[pair], trouble.encode(), is_last=True))
        finally:
            self._error_streams.pop(pair, None)
            del self._carriers[stream]
            left = self._inputs.pop(stream)
            while not left.empty():  # somebody may wait for room in it
                left.get_nowait()

    async def _carry(self, stream: int, wanted: str) -> str:
        async def say(data: bytes) -> None:
            await self._send(self._spdy.data(stream, data))

        port = _port(wanted)
        if port is None:
            return f"{wanted[:16]!r} is not a port"
        try:
            line = await self._door.connect(port)
        except RuntimeFailure as error:
            return self._door.complaint(port, str(error))
        writing = asyncio.ensure_future(_write(self._inputs[stream], line.session))
        try:
            return await line.carry(say)
        finally:
            writing.cancel()
            await line.hang_up()

    async def _send(self, frame: bytes) -> None:
        if not self._socket.closed:
            await self._socket.send_bytes(frame)


async def _write(frames: asyncio.Queue[Data], session: Session) -> None:
    """To the pod, for as long as it listens; what comes later is dropped, and holds nobody else up."""
    is_listening = True
    while True:
        frame = await frames.get()
        try:
            if frame.data and is_listening:
                await session.write(frame.data)
            if frame.is_last and is_listening:
                await session.end_input()
        except (ConnectionError, RuntimeFailure):
            is_listening = False


def _port(text: str) -> int | None:
    port = int(text) if text.isdecimal() and len(text) < 6 else 0
    return port if 0 < port <= _MOST_PORT else None


def ports_of(texts: list[str]) -> list[int]:
    """The ports of a query, `?ports=80,443` or repeated; raises ValueError naming the one that is none."""
    ports = []
    for text in (part for each in texts for part in each.split(",")):
        port = _port(text)
        if port is None:
            raise ValueError(f"ports: {text[:16]!r} is not a port, expected a number from 1 to {_MOST_PORT}")
        ports.append(port)
    if len(ports) > _MOST_PORTS:
        raise ValueError(f"ports: {len(ports)} are asked for, at most {_MOST_PORTS} can be forwarded at once")
    return ports
