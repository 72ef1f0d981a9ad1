"""An OpenAPI v2 document as the protobuf message that Go clients read: gnostic's `openapi.v2.Document`.

Maps are lists of pairs there, and what the message has no field for is text in YAML; JSON is YAML.
Kubernetes: kube-openapi's /openapi/v2, gnostic `OpenAPIv2.proto`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import orjson

from wherry.machinery.protobuf import wire
from wherry.machinery.protobuf.wire import delimited, varint_bytes

Json = Mapping[str, Any]
# A field: its number, and how its value is written.
Field = tuple[int, Callable[[int, Any], bytes]]


def swagger(document: Json) -> bytes:
    """The document's message."""
    paths = b"".join(_named(2, path, _path_item(item)) for path, item in document["paths"].items())
    definitions = b"".join(_named(1, name, _schema(node)) for name, node in document["definitions"].items())
    head = _text(1, document["swagger"]) + _part(2, _fields(document["info"], _INFO))
    return head + _part(8, paths) + _part(9, definitions)


# ---- how values are written ----------------------------------------------------------------------------------------


def _part(number: int, data: bytes) -> bytes:
    return delimited(wire.tag(number, wire.BYTES), data)


def _text(number: int, value: str) -> bytes:
    return _part(number, value.encode())


def _texts(number: int, value: Iterable[str]) -> bytes:
    return b"".join(_text(number, each) for each in value)


def _flag(number: int, value: bool) -> bytes:
    return wire.tag(number, wire.VARINT) + (b"\x01" if value else b"\x00")


def _count(number: int, value: int) -> bytes:
    return wire.tag(number, wire.VARINT) + varint_bytes(value)


def _double(number: int, value: float) -> bytes:
    return wire.tag(number, wire.FIXED64) + struct.pack("<d", value)


def _any(number: int, value: Any) -> bytes:
    return _part(number, _part(2, orjson.dumps(value)))


def _anys(number: int, value: Iterable[Any]) -> bytes:
    return b"".join(_any(number, each) for each in value)


def _named(number: int, name: str, value: bytes) -> bytes:
    """One pair of a map."""
    return _part(number, _text(1, name) + _part(2, value))


def _fields(node: Json, known: Mapping[str, Field], extensions: int = 0) -> bytes:
    """What a table of fields knows of a node, and what begins with `x-` as extensions."""
    return b"".join(_each(node, known, extensions))


def _each(node: Json, known: Mapping[str, Field], extensions: int) -> Iterator[bytes]:
    for name, value in node.items():
        if name in known:
            number, write = known[name]
            yield write(number, value)
        elif extensions and name.startswith("x-"):
            yield _named(extensions, name, _part(2, orjson.dumps(value)))


# ---- the parts of a document ---------------------------------------------------------------------------------------


def _schema(node: Json) -> bytes:
    return _fields(node, _SCHEMA, 31)


def _schema_part(number: int, value: Json) -> bytes:
    return _part(number, _schema(value))


def _additional(number: int, value: Json | bool) -> bytes:
    return _part(number, _flag(2, value) if isinstance(value, bool) else _schema_part(1, value))


def _path_item(item: Json) -> bytes:
    return _fields(item, _PATH_ITEM, 10)


def _parameters(number: int, value: Iterable[Json]) -> bytes:
    return b"".join(_part(number, _part(1, _parameter(each))) for each in value)


def _parameter(parameter: Json) -> bytes:
    place = parameter["in"]
    if place == "body":
        return _part(1, _fields(parameter, _BODY, 6))
    if place == "query":
        return _part(2, _part(3, _fields(parameter, {**_COMMON, **_QUERY}, 23)))
    return _part(2, _part(4, _fields(parameter, {**_COMMON, **_PATH}, 22)))


def _responses(number: int, value: Json) -> bytes:
    pairs = (_named(1, code, _part(1, _fields(each, _RESPONSE, 5))) for code, each in value.items())
    return _part(number, b"".join(pairs))


_INFO: Mapping[str, Field] = {"title": (1, _text), "version": (2, _text)}
_COMMON: Mapping[str, Field] = {"required": (1, _flag), "in": (2, _text), "description": (3, _text), "name": (4, _text)}
_QUERY: Mapping[str, Field] = {"type": (6, _text), "format": (7, _text), "uniqueItems": (20, _flag)}
_PATH: Mapping[str, Field] = {"type": (5, _text), "format": (6, _text), "uniqueItems": (19, _flag)}
_BODY: Mapping[str, Field] = {
    "description": (1, _text),
    "name": (2, _text),
    "in": (3, _text),
    "required": (4, _flag),
    "schema": (5, _schema_part),
}
_RESPONSE: Mapping[str, Field] = {
    "description": (1, _text),
    "schema": (2, lambda number, value: _part(number, _schema_part(1, value))),
}
_OPERATION: Mapping[str, Field] = {
    "tags": (1, _texts),
    "description": (3, _text),
    "operationId": (5, _text),
    "produces": (6, _texts),
    "consumes": (7, _texts),
    "parameters": (8, _parameters),
    "responses": (9, _responses),
    "deprecated": (11, _flag),
}


def _operation(number: int, value: Json) -> bytes:
    return _part(number, _fields(value, _OPERATION, 13))


_PATH_ITEM: Mapping[str, Field] = {
    "get": (2, _operation),
    "put": (3, _operation),
    "post": (4, _operation),
    "delete": (5, _operation),
    "patch": (8, _operation),
    "parameters": (9, _parameters),
}
_SCHEMA: Mapping[str, Field] = {
    "$ref": (1, _text),
    "format": (2, _text),
    "title": (3, _text),
    "description": (4, _text),
    "default": (5, _any),
    "multipleOf": (6, _double),
    "maximum": (7, _double),
    "exclusiveMaximum": (8, _flag),
    "minimum": (9, _double),
    "exclusiveMinimum": (10, _flag),
    "maxLength": (11, _count),
    "minLength": (12, _count),
    "pattern": (13, _text),
    "maxItems": (14, _count),
    "minItems": (15, _count),
    "uniqueItems": (16, _flag),
    "maxProperties": (17, _count),
    "minProperties": (18, _count),
    "required": (19, _texts),
    "enum": (20, _anys),
    "additionalProperties": (21, _additional),
    "type": (22, lambda number, value: _part(number, _text(1, value))),
    "items": (23, lambda number, value: _part(number, _schema_part(1, value))),
    "properties": (
        25,
        lambda number, value: _part(number, b"".join(_named(1, name, _schema(each)) for name, each in value.items())),
    ),
    "example": (30, _any),
}
