"""What every place of an object that divides into fields can do, whichever way it divides (`topology.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.machinery.schema.field_sets import LEAF, FieldSet, is_member

# Fields added or changed, and fields removed.
Changes = tuple[FieldSet, FieldSet]

ABSENT = object()
"""What a value is where there is none; null is one."""


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


def whole(child: Node | None, item: Any) -> FieldSet:
    """Everything in a value that came or went as a whole, itself included."""
    if child is None or type(item) is not child.container or not item:
        return LEAF
    return child.owned(item, containers=True, member=True)


def merged(child: Node | None, live: Any, applied: Any) -> Any:
    if child is None or type(live) is not child.container or type(applied) is not child.container:
        return applied
    return child.merge(live, applied)


def left_of(child: Node | None, item: Any, label: str, gone: FieldSet, held: FieldSet | None) -> Any:
    """What is left of a value, or `ABSENT`."""
    below = gone.get(label)
    if below is None:
        return item
    if is_member(below):
        return ABSENT
    if child is None or type(item) is not child.container:
        return item
    if held is None:
        return child.without(item, below)
    still = held.get(label)
    left = child.without(item, below, still or {})
    return left if left or (still is not None and is_member(still)) else ABSENT
