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
from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from wherry.machinery.schema.definitions import RAW_EXTENSION, Schema
from wherry.machinery.schema.field_sets import LEAF, SELF, FieldSet, is_member, segment

Json = dict[str, Any]
# A client could write a struct with any of its fields left out.
MAX_PLANS = 256
# Fields added or changed, and fields removed.
Changes = tuple[FieldSet, FieldSet]


def topology_of(schema: Schema) -> Node | None:
    """The schema's node, or None where a value is owned as a whole."""
    if schema.topology is NotImplemented:
        schema.topology = _build(schema)
    node: Node | None = schema.topology
    return node


def _build(schema: Schema) -> Node | None:
    if schema.type == "array" and schema.items is not None:
        if schema.list_type == "map":
            return Items(schema.items, schema.list_map_keys)
        return Values() if schema.list_type == "set" else None
    is_custom = schema.nullable is not None
    if schema.map_type == "atomic" or schema.name == RAW_EXTENSION or schema.int_or_string:
        return None
    if schema.type == "object" and (schema.properties or schema.additional is not None):
        return Fields(schema)
    if is_custom and schema.preserve_unknown and schema.type in ("object", "any"):
        return FREE_FORM
    return Fields(schema) if schema.type == "object" and not schema.preserve_unknown else None


class Node:
    """A place that divides further. `container` is the Python type of values that can."""

    __slots__ = ()
    container: type

    def owned(self, value: Any, *, containers: bool, member: bool = False) -> FieldSet:
        """All fields in a value, as the children of its node; with `member` the node is in the set too.

        `containers` counts structs and lists as fields of their own, as updates do; an applier owns only map keys and
        list items that way.
        """
        raise NotImplementedError

    def compare(self, before: Any, after: Any) -> Changes:
        """What differs between two values; the order of items does not count."""
        raise NotImplementedError

    def merge(self, live: Any, applied: Any) -> Any:
        """The live value with what is applied laid over it."""
        raise NotImplementedError

    def without(self, value: Any, gone: FieldSet, held: FieldSet | None = None) -> Any:
        """The value less the fields in `gone`.

        With `held`, structs, maps and lists that this empties go too, unless they are in it.
        """
        raise NotImplementedError

    def with_containers(self, fields: FieldSet) -> FieldSet:
        """The set with every struct field in it that has something below it in the set."""
        raise NotImplementedError

    def faults(self, value: Any, path: str = "") -> Iterator[str]:
        """What keeps a value from being applied: items of one list that cannot be told apart."""
        raise NotImplementedError


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
            old = before.get(name, _ABSENT)
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
                changed["f:" + name] = _whole(child, item)
        for name, old in before.items():
            if name not in after:
                removed["f:" + name] = _whole(self.child(name), old)
        return changed, removed

    def merge(self, live: Json, applied: Json) -> Json:
        result = dict(live)
        for name, item in applied.items():
            result[name] = _merged(self.child(name), live.get(name), item)
        return result

    def without(self, value: Json, gone: FieldSet, held: FieldSet | None = None) -> Json:
        left = {}
        for name, item in value.items():
            kept = _left_of(self.child(name), item, "f:" + name, gone, held)
            if kept is not _ABSENT:
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


class _Labelled(Node):
    """A list whose items have names of their own."""

    __slots__ = ("element",)
    container = list
    element: Node | None

    def label(self, item: Any) -> str:
        """What tells this item from the others."""
        raise NotImplementedError

    def by_label(self, items: list[Any]) -> dict[str, Any]:
        """The items by label; of two with the same one, the first."""
        found: dict[str, Any] = {}
        for item in items:
            found.setdefault(self.label(item), item)
        return found

    def owned(self, value: list[Any], *, containers: bool, member: bool = False) -> FieldSet:
        found: FieldSet = {SELF: LEAF} if member else {}
        element = self.element
        for item in value:
            is_leaf = element is None or type(item) is not element.container or not item
            found[self.label(item)] = (
                LEAF if is_leaf or element is None else element.owned(item, containers=containers, member=True)
            )
        return found

    def compare(self, before: list[Any], after: list[Any]) -> Changes:
        changed: FieldSet = {}
        removed: FieldSet = {}
        old_items, new_items = self.by_label(before), self.by_label(after)
        for label, item in new_items.items():
            old = old_items.get(label, _ABSENT)
            if old is _ABSENT:
                changed[label] = _whole(self.element, item)
            elif old != item:
                below, gone = self.element.compare(old, item) if self.element is not None else (LEAF, None)
                if below or self.element is None:
                    changed[label] = below
                if gone:
                    removed[label] = gone
        for label, old in old_items.items():
            if label not in new_items:
                removed[label] = _whole(self.element, old)
        return changed, removed

    def merge(self, live: list[Any], applied: list[Any]) -> list[Any]:
        old, new = self.by_label(live), self.by_label(applied)
        return [
            _merged(self.element, old.get(label), new[label]) if label in new else old[label]
            for label in _woven(list(old), list(new))
        ]

    def without(self, value: list[Any], gone: FieldSet, held: FieldSet | None = None) -> list[Any]:
        left = []
        for item in value:
            kept = _left_of(self.element, item, self.label(item), gone, held)
            if kept is not _ABSENT:
                left.append(kept)
        return left

    def with_containers(self, fields: FieldSet) -> FieldSet:
        if self.element is None:
            return fields
        return {label: below and self.element.with_containers(below) for label, below in fields.items()}

    def faults(self, value: list[Any], path: str = "") -> Iterator[str]:
        seen = set()
        for item in value:
            label = self.label(item)
            if label in seen:
                yield f"{path}: duplicate entries for key {segment(label)}"
            seen.add(label)
            if self.element is not None and type(item) is self.element.container:
                yield from self.element.faults(item, path + segment(label))


class Items(_Labelled):
    """A list of type `map`: items known by the values of some keys, for which the schema may have defaults."""

    __slots__ = ("_defaults", "keys")

    def __init__(self, element: Schema, keys: tuple[str, ...]) -> None:
        self.element = topology_of(element)
        self.keys = tuple(sorted(keys))
        fields = element.properties
        self._defaults = tuple(fields[key].default if key in fields else None for key in self.keys)

    def label(self, item: Any) -> str:
        if type(item) is not dict:
            return "v:" + orjson.dumps(item).decode()
        if len(self.keys) == 1 and type(value := item.get(self.keys[0])) is str:
            return _name_label(self.keys[0], value)
        values = tuple([item.get(key, default) for key, default in zip(self.keys, self._defaults, strict=True)])
        try:
            return _key_label(self.keys, values)
        except TypeError:  # a key that is no scalar; validation has a word for it
            return "k:" + orjson.dumps(dict(zip(self.keys, values, strict=True))).decode()

    def faults(self, value: list[Any], path: str = "") -> Iterator[str]:
        for index, item in enumerate(value):
            missing = [
                key
                for key, default in zip(self.keys, self._defaults, strict=True)
                if default is None and key not in item
            ]
            for key in missing:
                why = f"associative list with keys has an element that omits key field {orjson.dumps(key).decode()}"
                yield f"{path}: element {index}: {why} (and doesn't have default value)"
        yield from super().faults(value, path)


class Values(_Labelled):
    """A list of type `set`: items are known by their values."""

    __slots__ = ()

    def __init__(self) -> None:
        self.element = None

    def label(self, item: Any) -> str:
        return "v:" + orjson.dumps(item).decode()


FREE_FORM = Fields(None)
"""What a custom resource's schema does not describe: objects divide into their fields, all else is a leaf."""

_ABSENT = object()


def _leaves(value: Json) -> FieldSet:
    return {"f:" + name: LEAF for name in value}


@lru_cache(maxsize=4096)
def _name_label(key: str, value: str) -> str:
    return "k:" + orjson.dumps({key: value}).decode()


@lru_cache(maxsize=4096, typed=True)
def _key_label(keys: tuple[str, ...], values: tuple[Any, ...]) -> str:
    given = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
    return "k:" + orjson.dumps(given).decode()


def _whole(child: Node | None, item: Any) -> FieldSet:
    """Everything in a value that came or went as a whole, itself included."""
    if child is None or type(item) is not child.container or not item:
        return LEAF
    return child.owned(item, containers=True, member=True)


def _merged(child: Node | None, live: Any, applied: Any) -> Any:
    if child is None or type(live) is not child.container or type(applied) is not child.container:
        return applied
    return child.merge(live, applied)


def _left_of(child: Node | None, item: Any, label: str, gone: FieldSet, held: FieldSet | None) -> Any:
    """What is left of a value, or `_ABSENT`."""
    below = gone.get(label)
    if below is None:
        return item
    if is_member(below):
        return _ABSENT
    if child is None or type(item) is not child.container:
        return item
    if held is None:
        return child.without(item, below)
    still = held.get(label)
    left = child.without(item, below, still or {})
    return left if left or (still is not None and is_member(still)) else _ABSENT


def _woven(live: list[str], applied: list[str]) -> list[str]:
    """The order of a merged list: the applied one, with what only the live list has kept before its successors."""
    known, wanted = set(live), set(applied)
    shared = iter([label for label in applied if label in known])
    next_shared = next(shared, None)
    result: list[str] = []
    left = right = 0
    while left < len(live) or right < len(applied):
        head = live[left] if left < len(live) else None
        if head is not None and head not in wanted:
            result.append(head)
            left += 1
        elif head is not None and (head != next_shared or right == len(applied)):
            left += 1  # it stands where the applied list has it
        else:
            label = applied[right]
            right += 1
            result.append(label)
            if label == next_shared:
                next_shared = next(shared, None)
                left += head == label
    return result
