"""Lists as YAML, or as JSON indented for people: made value by value of the JSON, so that nobody waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson
import yaml

from apiserver.fairness.slices import Slice

# What stands between two values of a list, in which a piece may hold several.
COMMA = b","


class Style(NamedTuple):
    """How a value is written at the top and within its list, and what stands around the values."""

    whole: Callable[[Any], bytes]
    value: Callable[[Any], bytes]
    empty: bytes  # how a whole ends whose list is empty
    opening: bytes
    between: bytes
    closing: bytes


def in_yaml(value: Any) -> bytes:
    """As YAML, in the order of the JSON."""
    text: bytes = yaml.dump(value, Dumper=yaml.CSafeDumper, sort_keys=False, encoding="utf-8")
    return text


def indented(value: Any) -> bytes:
    """As JSON that people read."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"


def _further_in(value: Any) -> bytes:
    return b"    " + indented(value)[:-1].replace(b"\n", b"\n    ")


AS_YAML = Style(in_yaml, lambda value: in_yaml([value]), b" []\n", b"\n", b"", b"")
INDENTED = Style(indented, _further_in, b"[]\n}\n", b"[\n", b",\n", b"\n  ]\n}\n")


async def restyled(pieces: list[bytes], style: Style) -> list[bytes]:
    """A list in another style; its pieces are a head, some values, a comma, some values ..., and an end."""
    head, *values, end = pieces
    empty = style.whole(orjson.loads(head + end))
    if not values:
        return [empty]
    result = [empty.removesuffix(style.empty), style.opening]
    time = Slice()
    for piece in values:
        if piece == COMMA:
            continue
        for value in orjson.loads(b"[%b]" % piece):
            result += (style.value(value), style.between)
            await time.maybe_others_first()
    result[-1] = style.closing
    return result
