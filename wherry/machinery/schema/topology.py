"""What can be owned by itself: how an object divides into fields that different managers may hold.

A struct or a map divides into its fields, a list of type `map` into items by their keys, a list of type `set` into its
values. Everything else is one leaf: scalars, other lists, and what the schema calls atomic. `topology_of` gives the
node for a schema, None for a leaf; nodes are built once and know four things to do with a value:

    owned    the set of all fields in it
    compare  which fields of it were added or changed, and which removed
    merge    what a live value becomes when somebody applies a configuration
    without  the value less some fields

>>> from wherry.machinery.schema.definitions import schema_for
>>> service = topology_of(schema_for("v1", "Service"))
>>> service.owned({"spec": {"ports": [{"port": 80}], "selector": {"app": "web"}}}, containers=False)
{'f:spec': {'f:ports': {'k:{"port":80,"protocol":"TCP"}': {'.': {}, 'f:port': {}}}, 'f:selector': {}}}

Results share what did not change with their arguments. Kubernetes: structured-merge-diff over the typed schema.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from wherry.machinery.schema.associative import Items, Values
from wherry.machinery.schema.definitions import RAW_EXTENSION, Schema
from wherry.machinery.schema.field_sets import LEAF, SELF, FieldSet
from wherry.machinery.schema.nodes import ABSENT, Changes, Node, left_of, merged, whole

Json = dict[str, Any]
# A client could write a struct with any of its fields left out.
MAX_PLANS = 256


def topology_of(schema: Schema) -> Node | None:
    """The schema's node, or None where a value is owned as a whole."""
    if schema.topology is NotImplemented:
        schema.topology = _build(schema)
    node: Node | None = schema.topology
    return node


def _build(schema: Schema) -> Node | None:
    if schema.type == "array" and schema.items is not None:
        if schema.list_type == "map":
            return Items(topology_of(schema.items), schema)
        return Values() if schema.list_type == "set" else None
    is_custom = schema.nullable is not None
    if schema.map_type == "atomic" or schema.name == RAW_EXTENSION or schema.int_or_string:
        return None
    if schema.type == "object" and (schema.properties or schema.additional is not None):
        return Fields(schema)
    if is_custom and schema.preserve_unknown and schema.type in ("object", "any"):
        return FREE_FORM
    return Fields(schema) if schema.type == "object" and not schema.preserve_unknown else None


class _Plan(NamedTuple):
    """The fields of a struct with certain names: all as leaves, with and without itself, and those that may divide."""

    base: FieldSet
    member: FieldSet
    inner: list[tuple[str, str, Node, bool]]


class Fields(Node):
    """A struct, a map, or a struct with further fields. `rest` is the node of fields that the struct does not name."""

    __slots__ = ("_named", "_plans", "_schema", "rest")
    container = dict

    def __init__(self, schema: Schema | None) -> None:
        self._schema = schema
        self._named: dict[str, tuple[str, Node | None]] | None = None
        self._plans: dict[tuple[str, ...], _Plan] = {}
        self.rest: Node | None = None
        if schema is None or (schema.preserve_unknown and schema.nullable is not None):
            self.rest = self if schema is None else FREE_FORM
        elif schema.additional is not None:
            self.rest = topology_of(schema.additional)

    @property
    def named(self) -> dict[str, tuple[str, Node | None]]:
        """The struct's own fields: label and node; built at first use because schemas may be recursive."""
        if self._named is None:
            properties = self._schema.properties if self._schema is not None else {}
            self._named = {name: ("f:" + name, topology_of(child)) for name, child in properties.items()}
        return self._named

    def child(self, name: str) -> Node | None:
        """The node of a field."""
        known = self.named.get(name)
        return self.rest if known is None else known[1]

    def owned(self, value: Json, *, containers: bool, member: bool = False) -> FieldSet:
        if self.rest is None and not self.named:
            return {SELF: LEAF, **_leaves(value)} if member else _leaves(value)
        names = tuple(value)
        plan = self._plans.get(names) or self._planned(names)
        base = plan.member if member else plan.base
        if not plan.inner:
            return base
        found = dict(base)
        for name, label, child, is_key in plan.inner:
            item = value[name]
            if item and type(item) is child.container:
                found[label] = child.owned(item, containers=containers, member=containers or is_key)
        return found

    def _planned(self, names: tuple[str, ...]) -> _Plan:
        """What is the same for all objects with these fields. Kept for structs: few combinations are ever written."""
        known = [(name, *self.named.get(name, ("f:" + name, self.rest))) for name in names]
        base: FieldSet = {label: LEAF for _, label, _ in known}
        inner = [(name, label, child, name not in self.named) for name, label, child in known if child is not None]
        plan = _Plan(base, {SELF: LEAF, **base}, inner)
        if all(name in self.named for name in names):
            if len(self._plans) >= MAX_PLANS:
                self._plans.clear()
            self._plans[names] = plan
        return plan

    def compare(self, before: Json, after: Json) -> Changes:
        changed: FieldSet = {}
        removed: FieldSet = {}
        for name, item in after.items():
            old = before.get(name, ABSENT)
            if old == item:
                continue
            child = self.child(name)
            if child is not None and type(item) is child.container and type(old) is child.container:
                below, gone = child.compare(old, item)
                if below:
                    changed["f:" + name] = below
                if gone:
                    removed["f:" + name] = gone
            else:
                changed["f:" + name] = whole(child, item)
        for name, old in before.items():
            if name not in after:
                removed["f:" + name] = whole(self.child(name), old)
        return changed, removed

    def merge(self, live: Json, applied: Json) -> Json:
        result = dict(live)
        for name, item in applied.items():
            result[name] = merged(self.child(name), live.get(name), item)
        return result

    def without(self, value: Json, gone: FieldSet, held: FieldSet | None = None) -> Json:
        left = {}
        for name, item in value.items():
            kept = left_of(self.child(name), item, "f:" + name, gone, held)
            if kept is not ABSENT:
                left[name] = kept
        return left

    def with_containers(self, fields: FieldSet) -> FieldSet:
        result: FieldSet = {}
        for label, below in fields.items():
            child = self.child(label[2:]) if label != SELF else None
            inner = child.with_containers(below) if child is not None and below else below
            is_struct_field = inner and label[2:] in self.named and SELF not in inner
            result[label] = {SELF: LEAF, **inner} if is_struct_field else inner
        return result

    def faults(self, value: Json, path: str = "") -> Iterator[str]:
        for name, item in value.items():
            child = self.child(name)
            if child is not None and type(item) is child.container:
                yield from child.faults(item, f"{path}.{name}")


FREE_FORM = Fields(None)
"""What a custom resource's schema does not describe: objects divide into their fields, all else is a leaf."""


def _leaves(value: Json) -> FieldSet:
    return {"f:" + name: LEAF for name in value}
