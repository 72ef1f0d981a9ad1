"""From the bytes of a request body to the object in it.

A body is four magic bytes and a message `Unknown`, which names apiVersion and kind and holds the object as a message
of that kind. Go writes every field that is not a pointer, zero or not; what JSON would leave out is left out here as
well, so that "not said" and "zero" come out as if the client had sent JSON.

Kubernetes: apimachinery `runtime/serializer/protobuf`. Differs: strings must be UTF-8; at most 64 levels of messages
and 200,000 fields.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from wherry.machinery.protobuf import wire
from wherry.machinery.protobuf.fields import Field, Fields, Shape, message, package
from wherry.machinery.protobuf.wire import Payload, Reader
from wherry.machinery.time import go_duration_text, micro_time_text, time_text

MAGIC = b"k8s\0"
MAX_DEPTH = 64

_OF_EVERY_VERSION = ("DeleteOptions", "Status", "APIVersions", "APIGroup", "APIGroupList", "APIResourceList")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def decode(body: bytes) -> dict[str, Any]:
    """The object in a body, apiVersion and kind included; ValueError if it cannot be read."""
    if not body.startswith(MAGIC):
        raise ValueError("the body is not protobuf: it does not begin with k8s\\0")
    decoder = _Decoder()
    api_version, kind, raw = decoder.envelope(body[len(MAGIC) :])
    name = message_of(api_version, kind)
    item = message_of(api_version, kind.removesuffix("List"))
    if name is None and item is not None and kind.endswith("List"):
        return {"apiVersion": api_version, "kind": kind} | decoder.items(raw, item)
    if name is None:
        raise ValueError(f'no protobuf form of kind "{kind}" in version "{api_version}" is known')
    return {"apiVersion": api_version, "kind": kind} | decoder.object(raw, name)


def message_of(api_version: str, kind: str) -> str | None:
    """The message of a kind. What belongs to every version is among those of metadata."""
    name = f"meta.{kind}" if kind in _OF_EVERY_VERSION else f"{package(api_version)}.{kind}"
    return None if message(name) is None else name


def decode_delete_options(body: bytes) -> dict[str, Any]:
    """The DeleteOptions in the body of a DELETE; ValueError if it holds anything else."""
    options = decode(body)
    if options["kind"] != "DeleteOptions":
        raise ValueError(f'the body of a DELETE holds DeleteOptions, this one holds a "{options["kind"]}"')
    return options


class _Decoder:
    """Decodes one body."""

    def __init__(self) -> None:
        self._reader = Reader()

    def envelope(self, data: bytes) -> tuple[str, str, bytes]:
        """apiVersion, kind and the object's message."""
        unknown = dict(self._byte_fields(data))
        if unknown.get(3):
            raise ValueError("encoded contents are not supported")
        type_meta = dict(self._byte_fields(unknown.get(1, b"")))
        return _text(type_meta.get(1, b"")), _text(type_meta.get(2, b"")), unknown.get(2, b"")

    def _byte_fields(self, data: bytes) -> list[tuple[int, bytes]]:
        fields = self._reader.fields(data)
        return [(number, payload) for number, _, payload in fields if isinstance(payload, bytes)]

    def object(self, data: bytes, name: str, depth: int = 0) -> dict[str, Any]:
        """A message as a JSON object."""
        fields = message(name)
        if fields is None or depth > MAX_DEPTH:
            raise ValueError(
                f"messages are nested deeper than {MAX_DEPTH} levels" if fields else f"unknown message {name}"
            )
        result: dict[str, Any] = {}
        for number, payloads in self._payloads(data, fields, name).items():
            field = fields[number]
            value = self._field(field, payloads, depth)
            if not field.name:
                result.update(value)
            elif value is not None and (field.keeps_zero or not _is_zero(value)):
                result[field.name] = value
        return result

    def items(self, data: bytes, item: str) -> dict[str, Any]:
        """A list of messages: all of Kubernetes' lists have the same two fields."""
        found: dict[str, Any] = {"metadata": {}, "items": []}
        for number, payload in self._byte_fields(data):
            if number == 1:
                found["metadata"] = self.object(payload, "meta.ListMeta")
            elif number == 2:
                found["items"].append(self.object(payload, item))
        return found

    def _payloads(self, data: bytes, fields: Fields, name: str) -> dict[int, list[Payload]]:
        """What the wire has for each known field, numbers of packed lists unpacked."""
        payloads: dict[int, list[Payload]] = {}
        for number, wire_type, payload in self._reader.fields(data):
            field = fields.get(number)
            if field is None:
                continue
            expected = _WIRE_TYPES.get(field.type, wire.BYTES) if field.shape is not Shape.MAP else wire.BYTES
            found = payloads.setdefault(number, [])
            if wire_type == expected:
                found.append(payload)
            elif field.shape is Shape.LIST and expected == wire.VARINT and isinstance(payload, bytes):
                found.extend(self._reader.varints(payload))
            else:
                raise ValueError(f"field {field.name} of {name}: wire type {wire_type}, expected {expected}")
        return payloads

    def _field(self, field: Field, payloads: list[Payload], depth: int) -> Any:
        if field.shape is Shape.LIST:
            return [self._value(field.type, payload, depth) for payload in payloads]
        if field.shape is Shape.MAP:
            return dict(self._entry(field.type, payload, depth) for payload in payloads if isinstance(payload, bytes))
        if field.type in _SCALARS:
            return self._value(field.type, payloads[-1], depth)
        # A message in pieces is the same as the message of all pieces.
        return self._value(field.type, b"".join(piece for piece in payloads if isinstance(piece, bytes)), depth)

    def _entry(self, type: str, data: bytes, depth: int) -> tuple[str, Any]:
        """Key and value of one entry of a map; what is absent is zero."""
        key, value = b"", _ZEROS.get(type, b"")
        expected = _WIRE_TYPES.get(type, wire.BYTES)
        for number, wire_type, payload in self._reader.fields(data):
            if number == 1 and isinstance(payload, bytes):
                key = payload
            elif number == 2 and wire_type == expected:
                value = payload
        return _text(key), self._value(type, value, depth)

    def _value(self, type: str, payload: Payload, depth: int) -> Any:
        if scalar := _SCALARS.get(type):
            return scalar(payload)
        if not isinstance(payload, bytes):
            raise ValueError(f"{type} is a message, not a number")
        value = self.object(payload, type, depth + 1)
        fold = _FOLDS.get(type)
        return fold(value) if fold else value


def _is_zero(value: Any) -> bool:
    return not value


def _text(payload: Any) -> str:
    try:
        return str(payload, "utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"a string is not UTF-8: {error}") from None


def _json(payload: Any) -> Any:
    return orjson.loads(payload) if payload else None


def _double(payload: Any) -> float:
    number: float = struct.unpack("<d", payload)[0]
    if number - number != 0:
        raise ValueError(f"{number} is not a number that JSON can tell")
    return number


_SCALARS: Mapping[str, Callable[[Any], Any]] = {
    "string": _text,
    "bytes": lambda payload: base64.b64encode(payload).decode(),
    "int": wire.signed,
    "bool": bool,
    "double": _double,
    "json": _json,
}
_WIRE_TYPES = {"int": wire.VARINT, "bool": wire.VARINT, "double": wire.FIXED64}
_ZEROS: Mapping[str, Payload] = {"int": 0, "bool": 0, "double": bytes(8)}


def _time(value: dict[str, Any]) -> str | None:
    return time_text(_instant(value)) if value else None


def _micro_time(value: dict[str, Any]) -> str | None:
    return micro_time_text(_instant(value)) if value else None


def _instant(value: dict[str, Any]) -> datetime:
    try:
        return _EPOCH + timedelta(seconds=value.get("seconds", 0), microseconds=value.get("nanos", 0) // 1000)
    except OverflowError:
        raise ValueError(f"a time {value.get('seconds', 0)} seconds from 1970 is out of range") from None


def _int_or_string(value: dict[str, Any]) -> int | str:
    number: int = value.get("int", 0)
    text: str = value.get("string", "")
    return text if value.get("type") == 1 else number


def _schema_or_list(value: dict[str, Any]) -> Any:
    return value["schema"] if "schema" in value else value.get("list", [])


def _schema_or_bool(value: dict[str, Any]) -> Any:
    return value["schema"] if "schema" in value else value.get("allows", False)


# Messages that stand for something else than an object of their fields. None is what Go would not write.
_FOLDS: Mapping[str, Callable[[dict[str, Any]], Any]] = {
    "value.Duration": lambda value: go_duration_text(value.get("nanoseconds", 0)),
    "value.IntOrString": _int_or_string,
    "value.Json": lambda value: value.get("raw"),
    "value.MicroTime": _micro_time,
    "value.Quantity": lambda value: value.get("string") or "0",
    "value.Strings": lambda value: value.get("items", []),
    "value.Time": _time,
    "apiext.JSONSchemaPropsOrArray": _schema_or_list,
    "apiext.JSONSchemaPropsOrBool": _schema_or_bool,
    "apiext.JSONSchemaPropsOrStringArray": _schema_or_list,
}
