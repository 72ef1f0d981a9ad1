"""Lists whose items are fields of their own: known by keys, or by their values.

Kubernetes: `x-kubernetes-list-type` map and set.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import orjson

from wherry.machinery.schema.definitions import Schema
from wherry.machinery.schema.field_sets import LEAF, SELF, FieldSet, segment
from wherry.machinery.schema.nodes import ABSENT, Changes, Node, left_of, merged, whole

Json = dict[str, Any]


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
            old = old_items.get(label, ABSENT)
            if old is ABSENT:
                changed[label] = whole(self.element, item)
            elif old != item:
                below, gone = self.element.compare(old, item) if self.element is not None else (LEAF, None)
                if below or self.element is None:
                    changed[label] = below
                if gone:
                    removed[label] = gone
        for label, old in old_items.items():
            if label not in new_items:
                removed[label] = whole(self.element, old)
        return changed, removed

    def merge(self, live: list[Any], applied: list[Any]) -> list[Any]:
        old, new = self.by_label(live), self.by_label(applied)
        return [
            merged(self.element, old.get(label), new[label]) if label in new else old[label]
            for label in _woven(list(old), list(new))
        ]

    def without(self, value: list[Any], gone: FieldSet, held: FieldSet | None = None) -> list[Any]:
        left = []
        for item in value:
            kept = left_of(self.element, item, self.label(item), gone, held)
            if kept is not ABSENT:
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

    def __init__(self, element: Node | None, schema: Schema) -> None:
        self.element = element
        self.keys = tuple(sorted(schema.list_map_keys))
        fields = schema.items.properties if schema.items is not None else {}
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


@lru_cache(maxsize=4096)
def _name_label(key: str, value: str) -> str:
    return "k:" + orjson.dumps({key: value}).decode()


@lru_cache(maxsize=4096, typed=True)
def _key_label(keys: tuple[str, ...], values: tuple[Any, ...]) -> str:
    given = {key: value for key, value in zip(keys, values, strict=True) if value is not None}
    return "k:" + orjson.dumps(given).decode()


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
