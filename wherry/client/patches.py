"""What to write so that an object becomes what a view says: JSON merge patches (RFC 7386) made from views.

    status_patch(rs, rs.with_status(replicas=2))     # {"status": {"replicas": 2}}
    merged({"a": 1, "b": 2}, {"b": None})            # {"a": 1}

Pure. Kubernetes: strategicpatch's CreateTwoWayMergePatch, for the plain merge patch.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any

import msgspec

from wherry.machinery.resource import Kind, Resource
from wherry.machinery.schema import Schema, UnknownKind, schema_for
from wherry.machinery.time import micro_time_text, time_text
from wherry.machinery.view import Verbatim, View

_EMPTY: tuple[Any, ...] = (None, "", 0, False, (), {})


def status_patch(before: Resource, after: Resource) -> dict[str, Any]:
    """The merge patch between the statuses of two views of one object; empty when they are the same."""
    told, tells = getattr(before, "status", None), getattr(after, "status", None)
    if told == tells:
        return {}  # most plans find all as it was: nothing need be spelled out for them
    schema = _status_schema(after.kind)
    change = difference(_wire(told, schema), _wire(tells, schema))
    return {"status": change} if change else {}


def difference(before: Any, after: Any) -> dict[str, Any]:
    """The merge patch from one JSON object to another. Lists change as a whole.

    >>> difference({"a": 1, "b": {"c": 2}, "d": []}, {"a": 1, "b": {"c": 3}})
    {'b': {'c': 3}, 'd': None}
    """
    before, after = before or {}, after or {}
    patch: dict[str, Any] = {}
    for key, value in after.items():
        old = before.get(key)
        if isinstance(value, dict) and isinstance(old, dict):
            if inner := difference(old, value):
                patch[key] = inner
        elif value != old:
            patch[key] = value
    return patch | {key: None for key in before if key not in after}


def merged(target: Any, patch: Any) -> Any:
    """The target with a merge patch applied; neither is changed."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def _wire(value: Any, schema: Schema | None) -> Any:
    """A view as JSON, without the empty values that are taken for granted anyway.

    What the schema requires is written always: Kubernetes takes for granted neither `replicas: 0` of a ReplicaSet nor
    the `status` of a condition.
    """
    if isinstance(value, View):
        fields = {}
        for field in _fields(type(value)):
            part = getattr(value, field.name)
            required = schema is not None and field.encode_name in schema.required
            if required or part not in _EMPTY or part != _default(field):
                fields[field.encode_name] = _wire(part, schema and schema.properties.get(field.encode_name))
        return {name: part for name, part in fields.items() if part is not None and part != {}}
    if isinstance(value, Verbatim):
        return value.raw
    if isinstance(value, datetime):
        return micro_time_text(value) if value.microsecond else time_text(value)
    if isinstance(value, Mapping):
        return {key: _wire(part, schema and schema.additional) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_wire(part, schema and schema.items) for part in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


@lru_cache(maxsize=256)
def _fields(view: type[View]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(view)


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default


def _status_schema(kind: Kind) -> Schema | None:
    try:
        return schema_for(kind.api_version, kind.name).properties.get("status")
    except UnknownKind:
        return None
