"""Views name fields that exist, with types that fit; those whose updates are judged by comparison name all of them."""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec
import pytest

import wherry.api.kinds  # noqa: F401  # registers every kind
from wherry.api.core.claim_spec import PersistentVolumeClaimSpec
from wherry.api.core.persistent_volume import PersistentVolumeSpec
from wherry.api.core.pod.spec import PodSpec
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Resource, all_kinds
from wherry.machinery.schema import Schema, schema_for
from wherry.machinery.view import Verbatim, View

SCALARS = {"string": str, "integer": int, "boolean": bool}


def fields_of(view: type[View]) -> dict[str, Any]:
    """JSON name to type."""
    return {field.encode_name: field.type for field in msgspec.structs.fields(view)}


def without_none(kind: Any) -> Any:
    """`X` out of `X | None`."""
    if isinstance(kind, types.UnionType):
        rest = [part for part in typing.get_args(kind) if part is not type(None)]
        return rest[0] if len(rest) == 1 else kind
    return kind


def visits(view: type[View], schema: Schema, path: str) -> Iterator[tuple[type[View], Schema, str]]:
    """Every view below this one, with the definition it stands for."""
    yield view, schema, path
    for name, kind in fields_of(view).items():
        if name in schema.properties:
            yield from _visits_of(without_none(kind), schema.properties[name], f"{path}.{name}")


def _visits_of(kind: Any, schema: Schema, path: str) -> Iterator[tuple[type[View], Schema, str]]:
    if isinstance(kind, type) and issubclass(kind, View):
        yield from visits(kind, schema, path)
    elif typing.get_origin(kind) is tuple and schema.items is not None:
        yield from _visits_of(typing.get_args(kind)[0], schema.items, path)
    elif typing.get_origin(kind) is dict and schema.additional is not None:
        yield from _visits_of(typing.get_args(kind)[1], schema.additional, path)


def fits(kind: Any, schema: Schema) -> bool:
    """Whether a view's type can hold whatever the schema allows there."""
    kind = without_none(kind)
    if schema.is_quantity or schema.is_time:
        return kind is (Quantity if schema.is_quantity else datetime)
    if schema.int_or_string:
        return {int, str} <= set(typing.get_args(kind))
    if schema.type == "array":
        return (
            typing.get_origin(kind) is tuple
            and schema.items is not None
            and fits(typing.get_args(kind)[0], schema.items)
        )
    if schema.additional is not None:
        return typing.get_origin(kind) is dict and fits(typing.get_args(kind)[1], schema.additional)
    if schema.type in SCALARS:
        return kind is SCALARS[schema.type]
    if schema.preserve_unknown and kind is Any:
        return True
    return isinstance(kind, type) and issubclass(kind, View | Verbatim)


def akin(one: type[View], other: type[View]) -> bool:
    """Whether one derives from the other."""
    return issubclass(one, other) or issubclass(other, one)


ALL = [
    visit
    for cls in all_kinds()
    for visit in visits(cls, schema_for(cls.kind.api_version, cls.kind.name), cls.kind.name)
]


@pytest.mark.parametrize("cls", all_kinds(), ids=lambda cls: cls.kind.resource)
def test_every_field_has_a_type_that_fits(cls: type[Resource]):
    schema = schema_for(cls.kind.api_version, cls.kind.name)

    wrong = [
        f"{path}.{name}: {kind} cannot hold {schema.properties[name]}"
        for view, schema, path in visits(cls, schema, cls.kind.name)
        for name, kind in fields_of(view).items()
        if name in schema.properties and not fits(kind, schema.properties[name])
    ]

    assert wrong == []


def test_every_field_exists_somewhere():
    known: dict[type[View], set[str]] = {}
    for view, schema, _ in ALL:
        known.setdefault(view, set()).update(schema.properties)

    # Probes and lifecycle hooks derive from one action, which has the fields of both.
    family = {view: set().union(*(known[each] for each in known if akin(view, each))) for view in known}
    invented = {
        f"{view.__name__}.{name}" for view, names in family.items() for name in fields_of(view) if name not in names
    }

    assert invented == set()


@pytest.mark.parametrize("root", [PodSpec, PersistentVolumeSpec, PersistentVolumeClaimSpec])
def test_what_is_judged_by_comparison_is_known_whole(root: type[View]):
    [(schema, path), *_] = [(schema, path) for view, schema, path in ALL if view is root]

    missing = {
        f"{place}.{name}"
        for view, definition, place in visits(root, schema, path)
        for name in definition.properties
        # A claim's reference carries what identifies the claim; nothing else of it is used.
        if name not in fields_of(view) and not view.__name__.endswith("Reference")
    }

    assert missing == set()
