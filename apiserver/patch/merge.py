"""Merge patch: an object whose members replace those of the same name; null removes.

>>> json_merge({"a": {"b": 1, "c": [1]}, "d": 2}, {"a": {"b": None, "c": [2]}})
{'a': {'c': [2]}, 'd': 2}

Kubernetes: RFC 7386.
"""

from __future__ import annotations

from typing import Any

from apiserver.patch import PatchError

# Deeper objects cannot be written as JSON here anyway.
MAX_DEPTH = 200

Json = dict[str, Any]


def json_merge(document: Json, patch: Any) -> Json:
    """The object after the patch; shares with both whatever neither changes. Raises PatchError."""
    if not isinstance(patch, dict):
        raise PatchError("a merge patch must be an object")
    return _merged(document, patch, 0)


def _merged(target: Any, patch: Json, depth: int) -> Json:
    if depth > MAX_DEPTH:
        raise PatchError(f"the patch is nested deeper than {MAX_DEPTH} levels")
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            result[key] = _merged(result.get(key), value, depth + 1)
        else:
            result[key] = value
    return result
