"""Exec and attach: the channels of a WebSocket on one side, the streams of a container on the other.

Kubernetes: the CRI streaming server. Both directions run at once; the end of input ends no output.
"""

from __future__ import annotations

import asyncio
import contextlib

from aiohttp import WSMsgType, web

from kubelet.runtime.base import STDOUT, ExecRequest, RuntimeFailure, Session
from wherry.machinery import channels


async def serve(socket: web.WebSocketResponse, session: Session, request: ExecRequest, *, is_exec: bool) -> None:
    """Copy until the command has ended, then send its status and close."""
    try:
        async with asyncio.TaskGroup() as tasks:
            incoming = tasks.create_task(_incoming(socket, session, request))
            status = await _outgoing(socket, session, request, is_exec=is_exec)
            incoming.cancel()
        with contextlib.suppress(ConnectionError):
            if words := channels.last_words(socket.ws_protocol or "", status):
                await socket.send_bytes(channels.encode(channels.ERROR, words))
            await socket.close(code=1000)
    finally:
        await session.close()


async def _outgoing(socket: web.WebSocketResponse, session: Session, request: ExecRequest, *, is_exec: bool) -> bytes:
    """Everything the command prints; then the status that ends the conversation."""
    try:
        while (frame := await session.read()) is not None:
            stream, data = frame
            is_wanted = request.stdout if stream == STDOUT else request.stderr
            if is_wanted and data:
                channel = channels.STDOUT if stream == STDOUT else channels.STDERR
                await socket.send_bytes(channels.encode(channel, data))
        return channels.exit_status(await session.exit_code()) if is_exec else channels.success_status()
    except RuntimeFailure as error:
        return channels.failure_status(str(error))
    except ConnectionError:
        return channels.failure_status("the client is gone")


async def _incoming(socket: web.WebSocketResponse, session: Session, request: ExecRequest) -> None:
    """Input, its end, and terminal sizes, as the client sends them. What is no message of the protocol is dropped."""
    async for message in socket:
        # The official Python client sends strings as text.
        data = message.data.encode() if message.type is WSMsgType.TEXT else message.data
        if not isinstance(data, bytes):
            continue
        with contextlib.suppress(ValueError):
            decoded = channels.decode(data)
            if decoded.channel == channels.STDIN and request.stdin:
                await session.write(decoded.data)
            elif decoded.channel == channels.RESIZE:
                await session.resize(*channels.decode_resize(decoded.data))
            elif channels.closed_channel(decoded) == channels.STDIN:
                await session.end_input()
    if request.stdin:
        await session.end_input()
