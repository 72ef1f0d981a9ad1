"""JSONPath as CustomResourceDefinitions use it: one path into an object, for columns, selectable fields and scales.

>>> ready = parse(".status.conditions[?(@.type=='Ready')].status")
>>> first(ready, {"status": {"conditions": [{"type": "Ready", "status": "True"}]}})
'True'

Kubernetes: client-go `util/jsonpath`, the part that names places. Differs: no `..`, slices with steps, or unions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import orjson


class Key(NamedTuple):
    """A field of an object."""

    name: str


class Index(NamedTuple):
    """An item of a list, from the end if negative."""

    number: int


class Every(NamedTuple):
    """All items of a list, or all values of an object."""


class Where(NamedTuple):
    """The items of a list in which a place compares so with a value; with no operator, those that have it."""

    place: tuple[Step, ...]
    operator: str
    value: Any


Step = Key | Index | Every | Where
Path = tuple[Step, ...]

# What a path of a new definition may have at most, which is many times what a place in an object needs.
LONGEST = 1024

# A name, or a place in brackets: a quoted name, a number or all.
_STEP = re.compile(
    r"\.(?:((?:\\.|[^.\[\]()'\"\s\\*])+)|(\*))"
    r"|\[\s*(?:'((?:\\.|[^'\\])*)'|\"((?:\\.|[^\"\\])*)\"|(-?\d{1,9})|(\*))\s*\]"
)
_NUMBER = 5
_EVERY = (2, 6)
_WHERE = re.compile(
    r"\[\?\(\s*@((?:\.[^\s=!<>)\]]+)?)\s*(?:(==|!=|<=|>=|<|>)\s*((?:'[^']*'|\"[^\"]*\"|[^)'\"]+?)))?\s*\)\]"
)
_ESCAPED = re.compile(r"\\(.)")


def parse(text: str) -> Path:
    """The steps of a path such as `.spec.items[0]['a.b']`; ValueError says where it cannot be read."""
    return _kept(text) if len(text) <= LONGEST else _parsed(text)


def _parsed(text: str) -> Path:
    inner = text.strip()
    if inner.startswith("{") and inner.endswith("}"):
        inner = inner[1:-1].strip()
    inner = inner.removeprefix("$")
    if inner and inner[0] not in ".[":
        inner = "." + inner
    if inner == ".":
        return ()
    steps: list[Step] = []
    position = 0
    while position < len(inner):
        step, position = _step(inner, position)
        steps.append(step)
    if not steps:
        raise ValueError("is not a path")
    return tuple(steps)


_kept = lru_cache(maxsize=2048)(_parsed)


def _step(text: str, at: int) -> tuple[Step, int]:
    if found := _STEP.match(text, at):
        which = found.lastindex or 0
        if which in _EVERY:
            return Every(), found.end()
        value = found[which]
        if which == _NUMBER:
            return Index(int(value)), found.end()
        return Key(_ESCAPED.sub(r"\1", value) if "\\" in value else value), found.end()
    if found := _WHERE.match(text, at):
        place = parse(found[1]) if found[1] else ()
        return Where(place, found[2] or "", _literal(found[3])), found.end()
    raise ValueError(f"unexpected {text[at : at + 20]!r} at position {at}")


def _literal(text: str | None) -> Any:
    if text is None:
        return None
    text = text.strip()
    if text[:1] in "'\"":
        return text[1:-1]
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        raise ValueError(f"unexpected {text!r} in a comparison") from None


def find(path: Path, value: Any) -> Iterator[Any]:
    """Every value at the path; none where it leads nowhere."""
    if not path:
        yield value
        return
    for child in _below(path[0], value):
        yield from find(path[1:], child)


def first(path: Path, value: Any) -> Any:
    """The first value at the path, or None."""
    return next(find(path, value), None)


def _below(step: Step, value: Any) -> Iterator[Any]:
    match step, value:
        case Key(name), dict():
            if name in value:
                yield value[name]
        case Index(number), list():
            if -len(value) <= number < len(value):
                yield value[number]
        case Every(), list():
            yield from value
        case Every(), dict():
            yield from value.values()
        case Where(place, operator, wanted), list():
            yield from (item for item in value if _holds(first(place, item), operator, wanted))


def _holds(seen: Any, operator: str, wanted: Any) -> bool:
    if not operator:
        return seen is not None
    if operator in ("==", "!="):
        return (seen == wanted and type(seen) is type(wanted)) is (operator == "==")
    if type(seen) is not type(wanted) and not (isinstance(seen, int | float) and isinstance(wanted, int | float)):
        return False
    return bool({"<": seen < wanted, "<=": seen <= wanted, ">": seen > wanted, ">=": seen >= wanted}[operator])
