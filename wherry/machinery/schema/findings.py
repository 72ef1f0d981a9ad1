"""What a walk finds wrong, where, and in which words Kubernetes says so.

A path is a linked tuple that costs almost nothing to extend: (parent, field), (parent, index), or (parent, key, True)
for a map's key. It is rendered, and the struct that owns a field is looked up, only once there is something to
report.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wherry.machinery.schema import leaves
from wherry.machinery.schema.definitions import Schema

# orjson cannot encode more than 254 levels; this leaves room for what the API server wraps around an object.
MAX_DEPTH = 200
DEPTH_EXCEEDED = "exceeded max depth"
# How much JSON the defaults of a schema may add: no object is longer. A list of a thousand empty items is short, and
# each may have a thousand fields with defaults.
MAX_FILLED_BYTES = 3 * 1024 * 1024
TOO_MUCH_FILLED = f"its defaults are longer than {MAX_FILLED_BYTES} bytes"
# Kubernetes stops collecting strict decoding errors at this number.
MAX_UNKNOWN = 100

Path = tuple[Any, ...] | None


@dataclass(frozen=True, slots=True)
class TypeMismatch:
    """A value that its field cannot hold.

    `path` leads to it (`spec.containers[0].image`); `field` is the same in Go's words, without indexes and map keys.
    `owner` is the struct that has the field, `seen` the JSON type (with the number where a number does not fit),
    `wanted` the Go type, `type` the schema's. `text`, where present, is the complete complaint of a parser.
    """

    path: str
    field: str
    owner: str
    seen: str
    wanted: str
    type: str
    text: str = ""

    def message(self, kind: str, version: str) -> str:
        """What Kubernetes answers (400 BadRequest) to an object with this value."""
        return f'{kind} in version "{version}" cannot be handled as a {kind}: {self.complaint()}'

    def complaint(self) -> str:
        """The decoder's own part of the message."""
        if self.text:
            return self.text
        target = f"struct field {self.owner}.{self.field}" if self.field else "value"
        return f"json: cannot unmarshal {self.seen} into Go {target} of type {self.wanted}"


class Run:
    """The findings of one walk, and its counters. `settled` holds the ids of what is taken as it is."""

    __slots__ = ("depth", "errors", "filled_bytes", "keys", "root", "settled", "unknown")

    def __init__(self, root: Schema, settled: frozenset[int] = frozenset()) -> None:
        self.root = root
        self.settled = settled
        self.unknown: list[str] = []
        self.errors: list[TypeMismatch] = []
        self.keys = 0
        self.depth = 0
        self.filled_bytes = 0

    def drop(self, value: Any, path: Path, field: str) -> None:
        """Report a field that the schema does not know."""
        keys, depth = weigh(value)
        self.keys += keys
        if depth > MAX_DEPTH:
            self.mismatch(value, path, DEPTH_EXCEEDED)
        if len(self.unknown) < MAX_UNKNOWN:
            self.unknown.append(render((path, field)))

    def mismatch(self, value: Any, path: Path, text: str = "") -> Any:
        """Report a value of the wrong type; the value is returned so that the walk goes on."""
        owner, schema = _locate(self.root, path)
        seen = leaves.json_type(value)
        if seen == "number" and schema.type == "integer":
            seen = f"number {value}"
        field = ".".join(segment for segment in _segments(path, map_keys=False) if isinstance(segment, str))
        wanted = go_type(schema)
        self.errors.append(TypeMismatch(render(path), field, _short(owner), seen, wanted, schema.type, text))
        return value

    def zero_or_mismatch(self, value: Any, path: Path, zero: Any) -> Any:
        """A null where it cannot be left out, in a list or a map, is the type's zero value."""
        return zero if value is None else self.mismatch(value, path)


def render(path: Path) -> str:
    """The path as Kubernetes prints it: `spec.containers[0].image`."""
    text = ""
    for segment in _segments(path):
        text += f"[{segment}]" if isinstance(segment, int) else f".{segment}"
    return text.removeprefix(".")


def _segments(path: Path, map_keys: bool = True) -> list[str | int]:
    segments: list[str | int] = []
    while path is not None:
        if map_keys or len(path) == 2:
            segments.append(path[1])
        path = path[0]
    return segments[::-1]


def _locate(schema: Schema, path: Path) -> tuple[Schema | None, Schema]:
    """The struct that holds the last named field of the path, and the schema at its end."""
    owner: Schema | None = None
    for segment in _segments(path):
        if isinstance(segment, int):
            schema = schema.items or schema
        elif segment in schema.properties:
            owner, schema = schema, schema.properties[segment]
        else:
            schema = schema.additional or schema
    return owner, schema


def go_type(schema: Schema) -> str:
    """The Go type of a schema node, as Go's decoder prints it.

    >>> from wherry.machinery.schema.definitions import definition
    >>> go_type(definition("io.k8s.api.core.v1.PodSpec").properties["containers"])
    '[]v1.Container'
    """
    if schema.name:
        return ".".join(schema.name.split(".")[-2:])
    match schema.type:
        case "object":
            return f"map[string]{go_type(schema.additional)}" if schema.additional else "map[string]interface {}"
        case "array":
            return f"[]{go_type(schema.items)}" if schema.items else "[]interface {}"
        case "string":
            return "[]uint8" if schema.format == "byte" else "string"
        case "integer":
            return schema.format or "int64"
    return {"number": "float64", "boolean": "bool"}.get(schema.type, "interface {}")


def _short(owner: Schema | None) -> str:
    return owner.name.rpartition(".")[2] if owner else ""


def weigh(value: Any) -> tuple[int, int]:
    """The number of keys in a JSON value at all depths, and its depth."""
    keys = depth = 0
    level = [value]
    while level:
        depth += 1
        below: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                keys += len(node)
                below.extend(node.values())
            elif isinstance(node, list):
                below.extend(node)
        level = below
    return keys, depth
