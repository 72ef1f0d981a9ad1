"""The ASGI application: a request in, the pipeline, an answer out."""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from apiserver.fairness.slices import others_first
from apiserver.pipeline import PIPELINE, chain
from apiserver.request import Receive, Request, Response, Scope, Send, Stream
from apiserver.server import Server

# How the bytes of a stream travel over a WebSocket. Kubernetes: wsstream's reader.
_BINARY, _BASE64 = "binary.k8s.io", "base64.binary.k8s.io"

_NOT_TO_BE_KEPT = (b"cache-control", b"no-cache, private")

_NOTHING = {"type": "http.response.body", "body": b"", "more_body": True}

# As much of a long body is encrypted at once; then others get their turn.
SLICE_BYTES = 256 * 1024


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
            await (_send_response if scope["type"] == "http" else _refuse_websocket)(answer, request, send)
        elif isinstance(answer, Stream):
            await (_send_stream if scope["type"] == "http" else _send_messages)(answer, request, send)
        else:
            await answer.serve(scope, receive, send)


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": message["type"] + ".complete"})
        if message["type"] == "lifespan.shutdown":
            return


def _start(answer: Response | Stream, request: Request) -> dict[str, Any]:
    """The head of an answer: what all say, and what this one says. Kubernetes: WithAuditInit, WithCacheControl."""
    audit_id = (b"audit-id", request.audit_id.encode("latin-1"))
    headers = [audit_id, (b"content-type", answer.content_type), *request.told, *answer.headers]
    if b"cache-control" not in dict(answer.headers):
        headers.append(_NOT_TO_BE_KEPT)
    if isinstance(answer, Response) and answer.status != 304:
        headers.append((b"content-length", str(len(answer.body) + sum(map(len, answer.more))).encode()))
    return {"type": "http.response.start", "status": answer.status, "headers": headers}


async def _send_response(answer: Response, request: Request, send: Send) -> None:
    await send(_start(answer, request))
    if not answer.more and len(answer.body) <= SLICE_BYTES:
        await send({"type": "http.response.body", "body": answer.body})
        return
    for body in _slices(itertools.chain((answer.body,), answer.more)):
        await send(_NOTHING)  # returns when the client has read what it was sent; then this waits for its turn
        await others_first()
        await send({"type": "http.response.body", "body": body, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _slices(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A body in slices of about one size: small pieces together, long ones cut."""
    gathered: list[bytes] = []
    size = 0
    for piece in pieces:
        if size + len(piece) > SLICE_BYTES and gathered:
            yield b"".join(gathered)
            gathered, size = [], 0
        if len(piece) <= SLICE_BYTES:
            gathered.append(piece)
            size += len(piece)
            continue
        for start in range(0, len(piece), SLICE_BYTES):
            yield piece[start : start + SLICE_BYTES]
    yield b"".join(gathered)


async def _refuse_websocket(answer: Response, request: Request, send: Send) -> None:
    await request.receive()  # websocket.connect
    start = _start(answer, request)
    await send({**start, "type": "websocket.http.response.start"})
    await send({"type": "websocket.http.response.body", "body": answer.body})


async def _send_stream(answer: Stream, request: Request, send: Send) -> None:
    """Send chunks until they end or the client goes."""
    await send(_start(answer, request))
    await send(_NOTHING)  # headers go out at once
    chunk_writer = (request.scope.get("extensions") or {}).get("chunk_writer")
    write = chunk_writer(send) if chunk_writer is not None else None
    if answer.direct is not None and write is not None:
        answer.direct(write)
    if await _until_either_ends(answer, request.receive, send, _in_body):
        await send({"type": "http.response.body", "body": b""})


def _in_body(chunk: bytes) -> Iterable[dict[str, Any]]:
    yield {"type": "http.response.body", "body": chunk, "more_body": True}


async def _send_messages(answer: Stream, request: Request, send: Send) -> None:
    """A stream over a WebSocket: lines of JSON as texts, everything else as it comes. Kubernetes: wsstream."""
    await request.receive()  # websocket.connect
    offered = request.scope.get("subprotocols") or ()
    protocol = next((each for each in offered if each in (_BINARY, _BASE64)), None)
    await send({"type": "websocket.accept", "subprotocol": protocol})

    def messages(chunk: bytes) -> Iterable[dict[str, Any]]:
        if answer.content_type.startswith(b"application/json"):
            yield from ({"type": "websocket.send", "text": line.decode()} for line in chunk.split(b"\n") if line)
        elif protocol == _BASE64:
            yield {"type": "websocket.send", "text": base64.b64encode(chunk).decode()}
        else:
            yield {"type": "websocket.send", "bytes": chunk}

    if await _until_either_ends(answer, request.receive, send, messages):
        await send({"type": "websocket.close", "code": 1000})


Framing = Callable[[bytes], Iterable[dict[str, Any]]]


async def _until_either_ends(answer: Stream, receive: Receive, send: Send, framing: Framing) -> bool:
    """Send every chunk; whether that was done, and the client is still there."""
    gone = asyncio.ensure_future(_until_gone(receive))
    pump = asyncio.ensure_future(_pump(answer, send, framing))
    try:
        await asyncio.wait((gone, pump), return_when=asyncio.FIRST_COMPLETED)
    finally:
        gone.cancel()
        if not pump.done():
            pump.cancel()
        await asyncio.gather(gone, pump, return_exceptions=True)
    return not pump.cancelled() and pump.exception() is None


async def _pump(answer: Stream, send: Send, framing: Framing) -> None:
    try:
        async for chunk in answer.chunks:
            for message in framing(chunk):
                await send(message)
            await asyncio.sleep(0)  # one that always has more must not keep everybody else waiting
    finally:
        close = getattr(answer.chunks, "aclose", None)
        if close is not None:
            await close()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] not in ("http.disconnect", "websocket.disconnect"):
        pass
