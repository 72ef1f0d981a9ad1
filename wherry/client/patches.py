"""What to write so that an object becomes what a view says: JSON merge patches (RFC 7386) made from views.

status_patch(rs, rs.with_status(replicas=2))     # {"status": {"replicas": 2}}
merged({"a": 1, "b": 2}, {"b": None})            # {"a": 1}
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from wherry.machinery.resource import Resource
from wherry.machinery.time import micro_time_text, time_text
from wherry.machinery.view import Verbatim, View


def status_patch(before: Resource, after: Resource) -> dict[str, Any]:
    """The merge patch between the statuses of two views of one object; empty when they are the same."""
    change = difference(_wire(getattr(before, "status", None)), _wire(getattr(after, "status", None)))
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


def _wire(value: Any) -> Any:
    """A view as JSON, less what is empty.

    Numbers, truths and texts are written even when they are the view's defaults, because what the view takes for
    granted others may not: `status: Unknown` of a condition is required.
    """
    if isinstance(value, View):
        names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        fields = {wire: _wire(getattr(value, name)) for name, wire in names}
        return {wire: part for wire, part in fields.items() if part not in (None, "", {}, [])}
    if isinstance(value, Verbatim):
        return value.raw
    if isinstance(value, datetime):
        return micro_time_text(value) if value.microsecond else time_text(value)
    if isinstance(value, Mapping):
        return {key: _wire(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_wire(part) for part in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
