"""Fields that a text gives twice: decoders keep the last in silence, Kubernetes warns or refuses (Strict).

>>> duplicate_fields(b'{"data": {"a": "1", "a": "2"}}', key_count=2)
['data.a']
>>> duplicate_fields(b"data: {a: 1, b: 2}", key_count=3, is_yaml=True)
[]
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import yaml

_BLANKS = b" \t\r\n"


def duplicate_fields(body: bytes, key_count: int, *, is_yaml: bool = False) -> list[str]:
    """The paths of fields that stand twice in the same object of `body`, in order, each once.

    Callers print each as `duplicate field "data.a"`. `key_count` is the number of keys in the value that `body`
    decodes to, with nothing added (`Walked.key_count`); the walk must have found no errors, which bounds the depth.
    Texts without duplicates, nearly all, are recognized without decoding them again.
    """
    if is_yaml:
        return list(dict.fromkeys(_in_node(yaml.compose(body, Loader=yaml.CSafeLoader), "", set())))
    if _proves_absence(body, key_count):
        return []
    return list(dict.fromkeys(_in_value(json.loads(body, object_pairs_hook=_Pairs), "")))


def _proves_absence(body: bytes, key_count: int) -> bool:
    """Each key ends in a quote and a colon: a text with as many of those as distinct keys has none twice."""
    return body.translate(None, _BLANKS).count(b'":') == key_count


class _Pairs(list[tuple[str, Any]]):
    """An object of the text as written, with repeated keys."""


def _in_value(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, _Pairs):
        seen: set[str] = set()
        for key, item in value:
            here = f"{path}.{key}" if path else key
            if key in seen:
                yield here
            seen.add(key)
            yield from _in_value(item, here)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _in_value(item, f"{path}[{index}]")


def _in_node(node: yaml.Node | None, path: str, visited: set[int]) -> Iterator[str]:
    if node is None or id(node) in visited:
        return
    # An alias leads to a node that was already read; following it again could take exponential time.
    visited.add(id(node))
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, item in node.value:
            here = f"{path}.{key.value}" if path else str(key.value)
            if key.value in seen:
                yield here
            seen.add(str(key.value))
            yield from _in_node(item, here, visited)
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            yield from _in_node(item, f"{path}[{index}]", visited)
