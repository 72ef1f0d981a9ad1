"""The wire format: a message is a row of numbered fields, each a number or a run of bytes.

Kubernetes: protobuf's encoding, as the gogo-generated `Unmarshal` methods read it. Groups are refused: nothing sends
them.
"""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

_ONE_BYTE = [bytes((number,)) for number in range(128)]

# A body of 3 MiB may consist of a million empty fields, which nobody sends and which would take seconds to look at.
MAX_FIELDS = 200_000

Payload = int | bytes


class Reader:
    """Reads the messages of one body; ValueError when they are cut short, malformed or too many."""

    def __init__(self) -> None:
        self._fields_left = MAX_FIELDS

    def fields(self, data: bytes) -> Iterator[tuple[int, int, Payload]]:
        """Number, wire type and payload of each field, in the order of the wire."""
        position, end = 0, len(data)
        while position < end:
            self._fields_left -= 1
            if self._fields_left < 0:
                raise ValueError(f"a body may not have more than {MAX_FIELDS} fields")
            tag, position = varint(data, position)
            number, wire_type = tag >> 3, tag & 7
            if number == 0:
                raise ValueError("illegal field number 0")
            payload, position = _payload(data, position, wire_type)
            yield number, wire_type, payload

    def varints(self, data: bytes) -> Iterator[int]:
        """The numbers of a packed list."""
        position = 0
        while position < len(data):
            self._fields_left -= 1
            if self._fields_left < 0:
                raise ValueError(f"a body may not have more than {MAX_FIELDS} fields")
            number, position = varint(data, position)
            yield number


def varint(data: bytes, position: int) -> tuple[int, int]:
    """An unsigned number of at most 64 bits, and the position behind it.

    >>> varint(b"\\xac\\x02", 0)
    (300, 2)
    """
    number = 0
    for shift, byte in zip(range(0, 70, 7), data[position : position + 10], strict=False):
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number & 0xFFFF_FFFF_FFFF_FFFF, position + shift // 7 + 1
    raise ValueError("unexpected end of the body" if len(data) - position < 10 else "a number has more than 64 bits")


def varint_bytes(number: int) -> bytes:
    """A number on the wire; a negative one as its two's complement.

    >>> varint_bytes(300), varint(varint_bytes(-1), 0)[0] == 2**64 - 1
    (b'\\xac\\x02', True)
    """
    if 0 <= number < 128:
        return _ONE_BYTE[number]
    number &= 0xFFFF_FFFF_FFFF_FFFF
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    written.append(number)
    return bytes(written)


def tag(number: int, wire_type: int) -> bytes:
    """What stands before a field's payload."""
    return varint_bytes(number << 3 | wire_type)


def delimited(tag: bytes, data: bytes) -> bytes:
    """A field that holds a run of bytes."""
    return b"%b%b%b" % (tag, varint_bytes(len(data)), data)


def signed(number: int) -> int:
    """The two's complement reading of an unsigned 64-bit number."""
    return number - (1 << 64) if number >> 63 else number


def _payload(data: bytes, position: int, wire_type: int) -> tuple[Payload, int]:
    if wire_type == VARINT:
        return varint(data, position)
    if wire_type == BYTES:
        length, position = varint(data, position)
    elif wire_type in (FIXED64, FIXED32):
        length = 8 if wire_type == FIXED64 else 4
    else:
        raise ValueError(f"wire type {wire_type} is not supported")
    if length > len(data) - position:
        raise ValueError("unexpected end of the body")
    return data[position : position + length], position + length
