"""The frames of HTTP/2 (RFC 9113), and headers as we send them: never compressed."""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct

DATA, HEADERS, RESET, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 5, 6, 7, 8, 9
ACK = END_STREAM = 0x1
END_HEADERS, PADDED, PRIORITY = 0x4, 0x8, 0x20
HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE = 1, 2, 3, 4, 5
CANCEL = 8

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
# What holds where nothing else was said.
LONGEST_FRAME = 16_384
FIRST_WINDOW = 65_535
LARGEST_WINDOW = LAST_STREAM = 2**31 - 1

HEAD_BYTES = 9
# Length and kind share a number, as no format has three bytes.
_HEAD = Struct(">IBI")
SETTING = Struct(">HI")
NUMBER = Struct(">I")


class ProtocolError(Exception):
    """The other side does not speak HTTP/2 as it should."""


def frame(kind: int, flags: int, stream: int, payload: bytes | memoryview = b"") -> bytes:
    """A frame as it is sent.

    >>> frame(PING, ACK, 0, b"12345678").hex(" ", 1)
    '00 00 08 06 01 00 00 00 00 31 32 33 34 35 36 37 38'
    """
    return _HEAD.pack(len(payload) << 8 | kind, flags, stream) + payload


def head_at(data: bytes, at: int) -> tuple[int, int, int, int]:
    """Length, kind, flags and stream of the frame that begins there."""
    length_and_kind, flags, stream = _HEAD.unpack_from(data, at)
    return length_and_kind >> 8, length_and_kind & 0xFF, flags, stream & LAST_STREAM


def settings(values: dict[int, int]) -> bytes:
    """Our settings."""
    return frame(SETTINGS, 0, 0, b"".join(SETTING.pack(*value) for value in values.items()))


def window_update(stream: int, more: int) -> bytes:
    """So many more bytes may be sent to us: on a stream, or (0) on all together."""
    return frame(WINDOW_UPDATE, 0, stream, NUMBER.pack(more))


def content(payload: bytes, flags: int) -> bytes:
    """The payload of DATA or HEADERS without padding and priority.

    >>> content(b"\\x02abc..", PADDED)
    b'abc'
    """
    begin, end = 0, len(payload)
    if flags & PADDED:
        if not payload or payload[0] >= end:
            raise ProtocolError("a frame with more padding than content")
        begin, end = 1, end - payload[0]
    return payload[begin + (5 if flags & PRIORITY else 0) : end]


def header_block(headers: Iterable[tuple[str, str]]) -> bytes:
    """Headers that no table of the other side is to remember.

    >>> header_block([("te", "trailers")])
    b'\\x10\\x02te\\x08trailers'
    """
    return b"".join(b"\x10" + _text(name) + _text(value) for name, value in headers)


def _text(text: str) -> bytes:
    """A text of a header: its length in seven bits and, where they do not suffice, more bytes."""
    value = text.encode()
    if len(value) < 127:
        return bytes((len(value),)) + value
    more, length = bytearray(b"\x7f"), len(value) - 127
    while length > 127:
        more.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes(more) + bytes((length,)) + value
