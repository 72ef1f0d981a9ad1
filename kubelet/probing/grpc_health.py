"""The gRPC health check: one call of `grpc.health.v1.Health/Check`, by hand, over HTTP/2 without TLS.

One request on one connection needs six kinds of frames and no library. Headers are sent as they are, uncompressed;
those of the answer are not read, since all that counts is in its message. Kubernetes: pkg/probe/grpc.

Differs: what the server says of a call it refuses is not repeated.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from wherry.machinery.protobuf.wire import BYTES, delimited, tag, varint_bytes

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_PATH = b"/grpc.health.v1.Health/Check"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_ACK = _END_STREAM = 0x1
_END_HEADERS, _PADDED = 0x4, 0x8
_STREAM = 1
# The one field of a HealthCheckRequest.
_SERVICE = tag(1, BYTES)
# What no server may exceed that was told nothing else.
_LONGEST_FRAME = 16_384
# An answer is a few bytes in a few frames.
_MOST_FRAMES = 100

SERVING = "SERVING"
_STATES = {0: "UNKNOWN", 1: SERVING, 2: "NOT_SERVING", 3: "SERVICE_UNKNOWN"}


class NoHealth(Exception):
    """The server answered, but not with a state of health."""


class _Frame(NamedTuple):
    kind: int
    flags: int
    stream: int
    payload: bytes

    def to_bytes(self) -> bytes:
        head = len(self.payload).to_bytes(3, "big") + bytes((self.kind, self.flags))
        return head + self.stream.to_bytes(4, "big") + self.payload


async def health_of(host: str, port: int, service: str, agent: str) -> str:
    """The state of a service, `SERVING` if it is well; raises OSError or NoHealth. The caller limits the time."""
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(_request(f"{host}:{port}", service, agent))
        return _state_in(await _answer(reader, writer))
    except (asyncio.IncompleteReadError, ConnectionError):
        raise NoHealth("the connection was closed") from None
    finally:
        writer.transport.abort()


def _request(authority: str, service: str, agent: str) -> bytes:
    headers = {
        b":method": b"POST",
        b":scheme": b"http",
        b":path": _PATH,
        b":authority": authority.encode(),
        b"te": b"trailers",
        b"content-type": b"application/grpc",
        b"user-agent": agent.encode(),
    }
    block = b"".join(b"\x10" + _text(name) + _text(value) for name, value in headers.items())
    name = service.encode()
    message = delimited(_SERVICE, name) if name else b""
    body = b"\0" + len(message).to_bytes(4, "big") + message
    frames = (
        _Frame(_SETTINGS, 0, 0, b""),
        _Frame(_HEADERS, _END_HEADERS, _STREAM, block),
        _Frame(_DATA, _END_STREAM, _STREAM, body),
    )
    return _PREFACE + b"".join(frame.to_bytes() for frame in frames)


def _text(value: bytes) -> bytes:
    """A text of a header: its length in seven bits and, where they do not suffice, more bytes."""
    if len(value) < 127:
        return bytes((len(value),)) + value
    return b"\x7f" + varint_bytes(len(value) - 127) + value


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The body of the answer; raises NoHealth for what is no HTTP/2."""
    body = b""
    for _ in range(_MOST_FRAMES):
        frame = await _read(reader)
        if frame.kind in (_SETTINGS, _PING) and not frame.flags & _ACK:
            writer.write(_Frame(frame.kind, _ACK, 0, frame.payload if frame.kind == _PING else b"").to_bytes())
        elif frame.kind == _GOAWAY or (frame.kind == _RESET and frame.stream == _STREAM):
            return body
        elif frame.stream == _STREAM and frame.kind in (_DATA, _HEADERS):
            if frame.kind == _DATA:
                body += _unpadded(frame)
            if frame.flags & _END_STREAM:
                return body
    raise NoHealth("the answer has no end")


async def _read(reader: asyncio.StreamReader) -> _Frame:
    head = await reader.readexactly(9)
    length = int.from_bytes(head[:3], "big")
    if length > _LONGEST_FRAME:
        raise NoHealth("the answer is no HTTP/2")
    stream = int.from_bytes(head[5:], "big") & 0x7FFFFFFF
    return _Frame(head[3], head[4], stream, await reader.readexactly(length))


def _unpadded(frame: _Frame) -> bytes:
    payload = frame.payload
    return payload[1 : len(payload) - payload[0]] if frame.flags & _PADDED and payload else payload


def _state_in(body: bytes) -> str:
    """The state that a HealthCheckResponse tells.

    >>> _state_in(b"\\0\\0\\0\\0\\x02\\x08\\x01"), _state_in(b"\\0\\0\\0\\0\\0")
    ('SERVING', 'UNKNOWN')
    """
    message = body[5:]
    if len(body) < 5 or body[0] or len(message) != int.from_bytes(body[1:5], "big"):
        raise NoHealth("it tells no state of health")
    if not message:
        return _STATES[0]
    if message[0] != 0x08 or len(message) < 2:
        raise NoHealth("it tells no state of health")
    return _STATES.get(message[1], str(message[1]))
