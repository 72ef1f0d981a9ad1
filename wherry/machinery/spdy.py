"""SPDY/3.1, as far as kubectl speaks it: many streams on one connection, each with headers, and an end on each side.

    connection = Spdy()
    for frame in connection.feed(received):    # Opened, Data, Reset, Ping
        ...
    send(connection.reply(frame.stream_id), connection.data(frame.stream_id, b"hello", is_last=True))

Pure: bytes in, frames out, and the other way round. Kubernetes: moby/spdystream. Differs: windows and settings of the
peer are ignored, as they are there in practice; a connection that breaks the format ends with a SpdyError.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

# The longest frame and the largest headers that we take: clients send 32 KiB and some hundred bytes.
MAX_FRAME_BYTES = 1024 * 1024
MAX_HEADER_BYTES = 64 * 1024

_HEAD = struct.Struct(">II")
_IS_CONTROL, _VERSION_3 = 0x8000, 3
_SYN_STREAM, _SYN_REPLY, _RST_STREAM, _PING = 1, 2, 3, 6
_FIN = 0x01
_CANCEL = 5

# The preset dictionary of SPDY/3's header compression (1423 bytes), compressed.
_DICTIONARY = zlib.decompress(
    base64.b64decode(
        "eNplVNty2zYQ1dSylEmTtEl+AM8tGYMk6Did8YN7cet03GQad/oMgSsKMQggIKhLvr67oOQq7YwkHhzs5eyFmkwmc+ejdrafTCbTFciGnt71"
        "EZ8nfqDHrAEDERCdxiAVgZlUCjxdPhtRrlYy9EDMN3sGrHKNtu0RZaRtB9lShKd7KiAFlPxk5E+lMW6TDIa4ckF/liSPCCXVCnLlbAzOIPEY"
        "oQW1v35CF2BjvpA9Bfr2cD7S8cAdCXn2wIFt4+oLK6cOyb8+cF1TJy37Y5J/nD3uPJ2njUwdm0KUlHkGW49SEc0R6ZBKni6D61Lfx34/0su8"
        "k1GRiOeEUfdSQ5P32qa2P0XSOgsPVuRxkPAS8WD/72NkHx9Ckc9RWU86uc2XLmxkaEjRzAfZdhLRCx/cdpfTELAsrcZyXv7LHo/m9KBhHmAJ"
        "AQJ1LEAMaLqM6TjrIawT+ipFmuMqaZOI5whtj37Ho5oPvg2yIdPHA/rmOC1LTZquZdjRvqw16ZyjdLuf7maz+a/gWQcolco+adN2zvoo45Bq"
        "LTln736nGCisHyt59Nvd3fuz4lVBHkMwqSfDwmhFQnDBcf/cvU6y7gF8Lo1ep0TYj1bbgvOCFyV9ypLXJT+vOK94WfGq4qLidUXMa8FLwWvB"
        "zwXhC8HfiIKLohBFKYpKFEIUtSjORfG65mXNRU2hKvaHs/nV2HusAhOzG4vT69IcSi7QgP00LmLFC3br1tCw94AGFimzE1jxj7Jhf8KnAfoo"
        "0OYvexgmNAJTXLuw0E0DVqRwEYnBNjU63mDcYKVhH9Ik2S8huFBjCLK66byBDpMA2lbJRCug6Gscs1wYeCstu4YFu5WBXfmAzx17O1j8GnY1"
        "tOjiI3unIoZbs59BMc5/SB8sw2bsboCM/Q0NotWQseugM/ZBRvwZ8PbX2zu1Guw93kfYxrNV7EymO9yZM2/bPfroD6jVy0x6b/T4Ipxt0fqL"
        "M/l/T2yK5o3UdoQfsZ5eBe1jNq6FD3qNq0bvEUa+bD9rnzWwNMhlfaNW+//FyyEu84vDQfcuv7io3+RFRnz2XQb20yV/9Q/jxqfC"
    )
)


class SpdyError(ValueError):
    """What came is not SPDY/3.1, or larger than anybody needs."""


class Opened(NamedTuple):
    """The peer opened a stream. It must be answered with `reply`."""

    stream_id: int
    headers: dict[str, str]
    is_last: bool


class Data(NamedTuple):
    """More of a stream; after the last one the peer sends nothing more on it."""

    stream_id: int
    data: bytes
    is_last: bool


class Reset(NamedTuple):
    """The peer wants nothing more of a stream, in either direction."""

    stream_id: int


class Ping(NamedTuple):
    """To be sent back with `pong`."""

    number: int


Frame = Opened | Data | Reset | Ping


class Spdy:
    """One side of one connection: headers are compressed over all frames of a direction, so each needs its own."""

    def __init__(self) -> None:
        self._unread = bytearray()
        self._unpack = zlib.decompressobj(zdict=_DICTIONARY)
        self._pack = zlib.compressobj(zdict=_DICTIONARY)

    def feed(self, received: bytes) -> Iterator[Frame]:
        """The frames that are complete with these bytes, in order; kinds without meaning here are left out."""
        self._unread += received
        while len(self._unread) >= _HEAD.size:
            first, second = _HEAD.unpack_from(self._unread)
            end = _HEAD.size + (second & 0xFFFFFF)
            if end > MAX_FRAME_BYTES:
                raise SpdyError(f"a frame of {end} bytes; at most {MAX_FRAME_BYTES} are taken")
            if len(self._unread) < end:
                return
            body = bytes(self._unread[_HEAD.size : end])
            del self._unread[:end]
            frame = self._frame(first, second >> 24, body)
            if frame is not None:
                yield frame

    def _frame(self, first: int, flags: int, body: bytes) -> Frame | None:
        version, kind = (first >> 16) & 0x7FFF, first & 0xFFFF
        if not first >> 16 & _IS_CONTROL:
            return Data(first, body, bool(flags & _FIN))
        if version != _VERSION_3:
            raise SpdyError(f"a frame of SPDY version {version}; only version {_VERSION_3} is spoken")
        if kind == _SYN_STREAM:
            return Opened(_number(body), self._headers(body[10:]), bool(flags & _FIN))
        if kind == _RST_STREAM:
            return Reset(_number(body))
        return Ping(_number(body)) if kind == _PING else None

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            plain = self._unpack.decompress(block, MAX_HEADER_BYTES)
        except zlib.error as error:
            raise SpdyError(f"the headers of a stream cannot be decompressed: {error}") from None
        if self._unpack.unconsumed_tail:
            raise SpdyError(f"the headers of a stream exceed {MAX_HEADER_BYTES} bytes")
        words = list(_words(plain))
        return {name.lower(): value for name, value in zip(words[::2], words[1::2], strict=True)}

    def reply(self, stream_id: int) -> bytes:
        """Accept a stream; the peer waits for it."""
        block = self._pack.compress(struct.pack(">I", 0)) + self._pack.flush(zlib.Z_SYNC_FLUSH)
        return _control(_SYN_REPLY, 0, struct.pack(">I", stream_id) + block)

    def open(self, stream_id: int, headers: dict[str, str], *, is_last: bool = False) -> bytes:
        """Open a stream, as a client does: its number is odd and higher than those before."""
        words = [word.encode() for pair in headers.items() for word in pair]
        plain = struct.pack(">I", len(headers)) + b"".join(struct.pack(">I", len(word)) + word for word in words)
        block = self._pack.compress(plain) + self._pack.flush(zlib.Z_SYNC_FLUSH)
        return _control(_SYN_STREAM, _FIN * is_last, struct.pack(">IIH", stream_id, 0, 0) + block)

    def data(self, stream_id: int, data: bytes, *, is_last: bool = False) -> bytes:
        """More of a stream, or with `is_last` its end."""
        return _HEAD.pack(stream_id, _FIN * is_last << 24 | len(data)) + data

    def reset(self, stream_id: int) -> bytes:
        """End a stream in both directions."""
        return _control(_RST_STREAM, 0, struct.pack(">II", stream_id, _CANCEL))

    def pong(self, ping: Ping) -> bytes:
        """The answer to a ping; with a number of one's own it is a ping."""
        return _control(_PING, 0, struct.pack(">I", ping.number))


def _control(kind: int, flags: int, body: bytes) -> bytes:
    return _HEAD.pack((_IS_CONTROL | _VERSION_3) << 16 | kind, flags << 24 | len(body)) + body


def _number(body: bytes) -> int:
    if len(body) < 4:
        raise SpdyError(f"a frame of {len(body)} bytes ends within its number")
    return int.from_bytes(body[:4], "big") & 0x7FFFFFFF


def _words(plain: bytes) -> Iterator[str]:
    """Names and values by turns: a count of pairs, then each word with its length before it."""
    at = 4
    for _ in range(2 * int.from_bytes(plain[:4], "big")):
        length = int.from_bytes(plain[at : at + 4], "big")
        word, at = plain[at + 4 : at + 4 + length], at + 4 + length
        if at > len(plain):
            raise SpdyError("the headers of a stream end within a word")
        yield word.decode("utf-8", "replace")
