"""From an object to the bytes of an answer, by the same table by which bodies are read.

What an object does not say is not written, which a reader cannot tell from a zero that is. What its table of fields
does not know is not written either: it has no number.

Kubernetes: apimachinery `runtime/serializer/protobuf`, and its framing of watches.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping
from functools import cache, lru_cache
from typing import Any

import orjson

from wherry.machinery.protobuf import wire
from wherry.machinery.protobuf.body import MAGIC, message_of
from wherry.machinery.protobuf.fields import Field, Shape, message
from wherry.machinery.protobuf.wire import delimited, varint_bytes
from wherry.machinery.time import parse_go_duration, parse_time

# Adds a field's value to the pieces of a message.
Writer = Callable[[Any, list[bytes]], None]

_FIRST, _SECOND = wire.tag(1, wire.BYTES), wire.tag(2, wire.BYTES)
_FIRST_NUMBER, _SECOND_NUMBER = wire.tag(1, wire.VARINT), wire.tag(2, wire.VARINT)
_NO_ENCODING = b"\x1a\x00\x22\x00"


def is_known(api_version: str, kind: str) -> bool:
    """Whether objects of this kind have a protobuf form."""
    return message_of(api_version, kind) is not None


def encode(obj: Mapping[str, Any]) -> bytes:
    """An object, or a list of objects, as the body of an answer; ValueError for a kind without protobuf form."""
    # Some of Kubernetes' oldest answers name no version.
    api_version, kind = obj.get("apiVersion", "v1"), obj["kind"]
    if message_of(api_version, kind) is None and kind.endswith("List"):
        item = kind.removesuffix("List")
        items = [listed(contents(api_version, item, each)) for each in obj["items"]]
        head, end = around_list(api_version, kind, obj.get("metadata") or {}, sum(map(len, items)))
        return b"".join((head, *items, end))
    return enveloped(api_version, kind, contents(api_version, kind, obj))


def listed(contents: bytes) -> bytes:
    """An object as it stands in a list. Every list of Kubernetes has the same two fields."""
    return delimited(_SECOND, contents)


def around_list(api_version: str, kind: str, metadata: Mapping[str, Any], size: int) -> tuple[bytes, bytes]:
    """What stands before and behind the objects of a list, which have `size` bytes together."""
    lead = delimited(_FIRST, _message("meta.ListMeta", metadata))
    opening = b"".join((_opening(api_version, kind), _SECOND, varint_bytes(len(lead) + size), lead))
    return opening, _NO_ENCODING


def contents(api_version: str, kind: str, obj: Mapping[str, Any]) -> bytes:
    """An object without the envelope that says what it is; ValueError for a kind without protobuf form."""
    name = message_of(api_version, kind)
    if name is None:
        raise ValueError(f'no protobuf form of kind "{kind}" in version "{api_version}" is known')
    return _message(name, obj)


def enveloped(api_version: str, kind: str, raw: bytes) -> bytes:
    """The whole body: magic bytes, what it is, the object's message."""
    return b"".join((_opening(api_version, kind), delimited(_SECOND, raw), _NO_ENCODING))


def _opening(api_version: str, kind: str) -> bytes:
    type_meta = delimited(_FIRST, api_version.encode()) + delimited(_SECOND, kind.encode())
    return MAGIC + delimited(_FIRST, type_meta)


def event(type: str, body: bytes) -> bytes:
    """One event of a watch, with its length before it; `body` is that of an answer with the object."""
    frame = delimited(_FIRST, type.encode()) + delimited(_SECOND, delimited(_FIRST, body))
    return len(frame).to_bytes(4, "big") + frame


def _message(name: str, value: Mapping[str, Any]) -> bytes:
    pieces: list[bytes] = []
    _body(name)(value, pieces)
    return b"".join(pieces)


@cache
def _body(name: str) -> Writer:
    """Writes the fields of a message, without its length."""
    if name in _FOLDED:
        return _FOLDED[name]
    fields = message(name)
    if fields is None:
        raise ValueError(f"unknown message {name}")
    writers = {field.name: _writer(number, field) for number, field in fields.items() if field.name}
    parts = [(_names(field.type), _writer(number, field)) for number, field in fields.items() if not field.name]

    def write(value: Mapping[str, Any], pieces: list[bytes]) -> None:
        for key, each in value.items():
            writer = writers.get(key)
            if writer is not None and each is not None:
                writer(each, pieces)
        for names, part in parts:
            own = {key: each for key, each in value.items() if key in names}
            if own:
                part(own, pieces)

    return write


def _names(name: str) -> frozenset[str]:
    """The JSON names of a message's fields, those of embedded structs included."""
    names: set[str] = set()
    for field in (message(name) or {}).values():
        names |= {field.name} if field.name else _names(field.type)
    return frozenset(names)


def _writer(number: int, field: Field) -> Writer:
    if field.shape is Shape.MAP:
        return _map(wire.tag(number, wire.BYTES), field.type)
    write = _one(number, field.type)
    if field.shape is Shape.ONE:
        return write

    def write_list(value: Any, pieces: list[bytes]) -> None:
        for each in value:
            write(each, pieces)

    return write_list


def _one(number: int, type: str) -> Writer:
    if type in _NUMBERS:
        tag, number_bytes = wire.tag(number, _NUMBERS[type][0]), _NUMBERS[type][1]
        return lambda value, pieces: pieces.append(tag + number_bytes(value))
    tag = wire.tag(number, wire.BYTES)
    if type in _RUNS:
        run = _RUNS[type]

        def write_run(value: Any, pieces: list[bytes]) -> None:
            data = run(value)
            pieces += (tag, varint_bytes(len(data)), data)

        return write_run

    def write_message(value: Any, pieces: list[bytes]) -> None:
        inner: list[bytes] = []
        _body(type)(value, inner)
        data = b"".join(inner)
        pieces += (tag, varint_bytes(len(data)), data)

    return write_message


def _map(tag: bytes, type: str) -> Writer:
    write_value = _one(2, type)

    def write(value: Any, pieces: list[bytes]) -> None:
        for key, each in value.items():
            entry = [delimited(_FIRST, key.encode())]
            if each is not None:
                write_value(each, entry)
            pieces.append(delimited(tag, b"".join(entry)))

    return write


_NUMBERS: Mapping[str, tuple[int, Callable[[Any], bytes]]] = {
    "int": (wire.VARINT, lambda value: varint_bytes(int(value))),
    "bool": (wire.VARINT, lambda value: b"\x01" if value else b"\x00"),
    "double": (wire.FIXED64, lambda value: struct.pack("<d", value)),
}
_RUNS: Mapping[str, Callable[[Any], bytes]] = {
    "string": str.encode,
    "bytes": base64.b64decode,
    "json": orjson.dumps,
}


def _time(value: str, pieces: list[bytes]) -> None:
    pieces.append(_instant(value, False))


def _micro_time(value: str, pieces: list[bytes]) -> None:
    pieces.append(_instant(value, True))


# Most objects tell the same few instants several times.
@lru_cache(maxsize=1024)
def _instant(text: str, is_micro: bool) -> bytes:
    instant = parse_time(text)
    # Whole seconds apart from the rest: a float cannot hold a microsecond of every year.
    seconds = _FIRST_NUMBER + varint_bytes(int(instant.replace(microsecond=0).timestamp()))
    return seconds + _SECOND_NUMBER + varint_bytes(instant.microsecond * 1000 if is_micro else 0)


def _duration(value: str, pieces: list[bytes]) -> None:
    pieces.append(_FIRST_NUMBER + varint_bytes(parse_go_duration(value)))


def _quantity(value: Any, pieces: list[bytes]) -> None:
    pieces.append(delimited(_FIRST, str(value).encode()))


def _json(value: Any, pieces: list[bytes]) -> None:
    pieces.append(delimited(_FIRST, orjson.dumps(value)))


def _strings(value: Any, pieces: list[bytes]) -> None:
    pieces.extend(delimited(_FIRST, each.encode()) for each in value)


def _int_or_string(value: int | str, pieces: list[bytes]) -> None:
    is_text = isinstance(value, str)
    pieces.append(_FIRST_NUMBER + (b"\x01" if is_text else b"\x00"))
    pieces.append(_SECOND_NUMBER + (b"\x00" if is_text else varint_bytes(int(value))))
    pieces.append(delimited(wire.tag(3, wire.BYTES), str(value).encode() if is_text else b""))


def _schema_or_list(value: Any, pieces: list[bytes]) -> None:
    for each in value if isinstance(value, list) else ():
        pieces.append(delimited(_SECOND, _message(_SCHEMA, each)))
    if isinstance(value, dict):
        pieces.append(delimited(_FIRST, _message(_SCHEMA, value)))


def _schema_or_bool(value: Any, pieces: list[bytes]) -> None:
    pieces.append(_FIRST_NUMBER + (b"\x00" if value is False else b"\x01"))
    if isinstance(value, dict):
        pieces.append(delimited(_SECOND, _message(_SCHEMA, value)))


def _schema_or_strings(value: Any, pieces: list[bytes]) -> None:
    if isinstance(value, list):
        pieces.extend(delimited(_SECOND, each.encode()) for each in value)
    else:
        pieces.append(delimited(_FIRST, _message(_SCHEMA, value)))


_SCHEMA = "apiext.JSONSchemaProps"
# Messages that stand for something else than an object of their fields.
_FOLDED: Mapping[str, Writer] = {
    "value.Duration": _duration,
    "value.IntOrString": _int_or_string,
    "value.Json": _json,
    "value.MicroTime": _micro_time,
    "value.Quantity": _quantity,
    "value.Strings": _strings,
    "value.Time": _time,
    "apiext.JSONSchemaPropsOrArray": _schema_or_list,
    "apiext.JSONSchemaPropsOrBool": _schema_or_bool,
    "apiext.JSONSchemaPropsOrStringArray": _schema_or_strings,
}
