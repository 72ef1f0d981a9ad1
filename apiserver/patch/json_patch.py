"""JSON patch: a list of operations, each on one place in the object.

>>> json_patch({"a": [1, 2]}, [{"op": "add", "path": "/a/-", "value": 3}, {"op": "move", "from": "/a", "path": "/b"}])
{'b': [1, 2, 3]}

A list that is none is a `PatchError`; one that does not fit this object, a failed `test` or an operation without its
words included, is a `PatchFailed`. The result shares with the object and the patch what no operation touched: only the
containers on the way to a change are copied, and those once for the whole patch.

Kubernetes: evanphx/json-patch v4, which is RFC 6902 and RFC 6901 with a limit on what `copy` may add; beyond them,
indices below zero count from a list's end (-1 of `add` is behind it) and may have zeros in front; a field that is
missing may be replaced, copied as null, and tested for null; an operation without its value has null for it, and no
`test` without one holds of something; what stands in front of a pointer's first slash does not count. How many
operations are allowed is the caller's business. Differs: the moves of list items are limited, so that a small patch
cannot keep the server busy with a huge list.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import orjson

from apiserver.patch import PatchError

LIMIT_BYTES = 3 * 1024 * 1024
# Each is a pointer of 8 bytes: about half a second of work.
MAX_MOVES = 200_000_000

_INDEX = re.compile(r"[-+]?[0-9]{1,9}", re.ASCII)

Json = dict[str, Any]


class PatchFailed(PatchError):
    """The patch is well-formed but does not apply to this object (422 Invalid)."""


def json_patch(document: Json, operations: Any, *, limit_bytes: int = LIMIT_BYTES) -> Json:
    """The object after all operations; `copy` may add `limit_bytes` at most. Raises PatchError or PatchFailed."""
    if not isinstance(operations, list):
        raise PatchError("a JSON patch must be a list of operations")
    patching = _Patching(document, limit_bytes)
    for operation in operations:
        patching.apply(operation)
    if not isinstance(patching.root, dict):
        raise PatchFailed("the patch replaces the object by something that is no object")
    return patching.root


class _Patching:
    """A document while operations change it."""

    def __init__(self, root: Any, limit_bytes: int) -> None:
        self.root = root
        self._bytes_left = limit_bytes
        self._moves_left = MAX_MOVES
        # Containers made here, which may be changed in place; kept alive so that an id stays theirs.
        self._own: dict[int, Any] = {}

    def apply(self, operation: Any) -> None:
        """Carry out one operation."""
        if not isinstance(operation, dict | None):
            raise PatchError("an operation of a JSON patch must be an object")
        name = operation.get("op") if operation else None
        perform = _OPERATIONS.get(name) if isinstance(name, str) else None
        if operation is None or perform is None:
            raise PatchFailed(
                f"unknown JSON patch operation {str(name)[:64]!r}: add, copy, move, remove, replace, test are possible"
            )
        perform(self, operation)

    def add(self, operation: Json) -> None:
        self._put(_pointer(operation, "path"), operation.get("value"))

    def remove(self, operation: Json) -> None:
        self._take(_pointer(operation, "path"))

    def replace(self, operation: Json) -> None:
        path, value = _pointer(operation, "path"), operation.get("value")
        if not path:
            self.root = value
            return
        container = self._writable(path[:-1])
        container[path[-1] if isinstance(container, dict) else _existing(container, path[-1])] = value

    def move(self, operation: Json) -> None:
        source, target = _pointer(operation, "from"), _pointer(operation, "path")
        if source == target:
            self._get(source)
        elif source == target[: len(source)]:
            raise PatchFailed(f"{_text(source)} cannot be moved into itself")
        else:
            self._put(target, self._take(source))

    def copy(self, operation: Json) -> None:
        source, target = _pointer(operation, "from"), _pointer(operation, "path")
        try:
            text = orjson.dumps(self._field(source))
        except orjson.JSONEncodeError as error:
            raise PatchFailed(f"{_text(source)} cannot be copied: {error}") from None
        self._bytes_left -= len(text)
        if self._bytes_left < 0:
            raise PatchFailed("the patch copies too much: the object would grow over the limit")
        self._put(target, orjson.loads(text))

    def test(self, operation: Json) -> None:
        path = _pointer(operation, "path")
        seen = self._field(path) if path else self.root
        if not (_same(seen, operation["value"]) if "value" in operation else seen is None):
            raise PatchFailed(f"testing value {_text(path)} failed")

    def _field(self, path: list[str]) -> Any:
        """What is at a place; None for a field that its object lacks."""
        if not path:
            raise PatchFailed("the whole object is no field")
        container = self._get(path[:-1])
        return container.get(path[-1]) if isinstance(container, dict) else container[_existing(container, path[-1])]

    def _get(self, path: list[str]) -> Any:
        node = self.root
        for token in path:
            node = node[_existing(node, token)]
        return node

    def _put(self, path: list[str], value: Any) -> None:
        if not path:
            raise PatchFailed("nothing can be put in the place of the whole object")
        container, token = self._writable(path[:-1]), path[-1]
        if isinstance(container, dict):
            container[token] = value
        else:
            index = len(container) if token == "-" else _index(container, token, len(container) + 1)
            self._spend(len(container) - index)
            container.insert(index, value)

    def _take(self, path: list[str]) -> Any:
        if not path:
            raise PatchFailed("the whole object cannot be removed")
        container = self._writable(path[:-1])
        key = _existing(container, path[-1])
        if isinstance(container, list):
            self._spend(len(container) - int(key))
        return container.pop(key)

    def _writable(self, path: list[str]) -> Any:
        """The container at a path, it and those above it made ours."""
        node = self.root = self._ours(self.root)
        for token in path:
            key = _existing(node, token)
            node[key] = node = self._ours(node[key])
        return node

    def _ours(self, container: Any) -> Any:
        if id(container) in self._own:
            return container
        if not isinstance(container, dict | list):
            raise PatchFailed("a path leads through a value that is neither object nor list")
        self._spend(len(container))
        fresh = container.copy()
        self._own[id(fresh)] = fresh
        return fresh

    def _spend(self, moves: int) -> None:
        self._moves_left -= moves
        if self._moves_left < 0:
            raise PatchFailed("the patch moves too many items")


_OPERATIONS: dict[str, Callable[[_Patching, Json], None]] = {
    "add": _Patching.add,
    "remove": _Patching.remove,
    "replace": _Patching.replace,
    "move": _Patching.move,
    "copy": _Patching.copy,
    "test": _Patching.test,
}


def _pointer(operation: Json, field: str) -> list[str]:
    """The tokens of a JSON pointer; none for the whole document."""
    text = operation.get(field)
    if not isinstance(text, str):
        raise PatchFailed(f"JSON patch operation {operation['op']!r} lacks its {field}")
    if text and "/" not in text:
        raise PatchFailed(f"{text[:256]!r} is not a JSON pointer")
    return [token.replace("~1", "/").replace("~0", "~") for token in text.split("/")[1:]]


def _text(path: list[str]) -> str:
    return "/" + "/".join(path)[:256]


def _existing(container: Any, token: str) -> Any:
    """The key or index of something that is there."""
    if isinstance(container, dict) and token in container:
        return token
    if isinstance(container, list):
        return _index(container, token, len(container))
    raise PatchFailed(f"there is no {token[:256]!r} here")


def _index(container: list[Any], token: str, places: int) -> int:
    """One of so many places, counted from the first or, below zero, from the last."""
    if not _INDEX.fullmatch(token) or not -places <= int(token) < places:
        raise PatchFailed(f"{token[:256]!r} is not an index into a list of {len(container)}")
    return int(token) % places


def _same(left: Any, right: Any) -> bool:
    """Equality of JSON values: 1 and 1.0 are equal, 1 and true are not."""
    pairs = [(left, right)]
    while pairs:
        one, other = pairs.pop()
        if isinstance(one, bool) is not isinstance(other, bool):
            return False
        if isinstance(one, dict) and isinstance(other, dict):
            if one.keys() != other.keys():
                return False
            pairs.extend((value, other[key]) for key, value in one.items())
        elif isinstance(one, list) and isinstance(other, list):
            if len(one) != len(other):
                return False
            pairs.extend(zip(one, other, strict=True))
        elif one != other:
            return False
    return True
