"""The ASGI application: a request in, the pipeline, an answer out."""

from __future__ import annotations

import asyncio
from typing import Any

from apiserver.pipeline import PIPELINE, chain
from apiserver.request import Receive, Request, Response, Scope, Send, Stream
from apiserver.server import Server


class App:
    """Serves HTTP and WebSocket requests of one server."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._walk = chain(PIPELINE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
            return
        request = Request.of(scope, receive)
        answer = await self._walk(self.server, request)
        if isinstance(answer, Response):
            await (_send_response if scope["type"] == "http" else _refuse_websocket)(answer, receive, send)
        elif isinstance(answer, Stream):
            await _send_stream(answer, receive, send)
        else:
            await answer.serve(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _start(answer: Response | Stream) -> dict[str, Any]:
    headers = [(b"content-type", answer.content_type), *answer.headers]
    if isinstance(answer, Response) and answer.status != 304:
        headers.append((b"content-length", str(len(answer.body)).encode()))
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


async def _send_response(answer: Response, receive: Receive, send: Send) -> None:
    await send(_start(answer))
    await send({"type": "http.response.body", "body": answer.body})


async def _refuse_websocket(answer: Response, receive: Receive, send: Send) -> None:
    await receive()  # websocket.connect
    start = _start(answer)
    await send({**start, "type": "websocket.http.response.start"})
    await send({"type": "websocket.http.response.body", "body": answer.body})


async def _send_stream(answer: Stream, receive: Receive, send: Send) -> None:
    """Send chunks until they end or the client goes."""
    await send(_start(answer))
    await send({"type": "http.response.body", "body": b"", "more_body": True})  # headers go out at once
    gone = asyncio.ensure_future(_until_gone(receive))
    pump = asyncio.ensure_future(_pump(answer, send))
    try:
        await asyncio.wait((gone, pump), return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        if not pump.done():
            pump.cancel()
        await asyncio.gather(gone, pump, return_exceptions=True)


async def _pump(answer: Stream, send: Send) -> None:
    try:
        async for chunk in answer.chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        close = getattr(answer.chunks, "aclose", None)
        if close is not None:
            await close()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
