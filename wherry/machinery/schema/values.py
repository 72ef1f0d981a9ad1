"""What a custom resource's schema says about values: required fields, bounds, patterns, formats, `oneOf` …

    check = checker(schema_of_the_version)
    errors = list(check(value, "", old_value))

The schema is compiled once into closures. Types, unknown fields and defaults are the walker's business; a type that is
wrong is told here too, because a custom resource is refused as invalid (422), not as unreadable (400).

On an update, what did not change is not judged again, as far as it can be found in the old object: in fields, in maps,
and in lists of type `map` by their keys.

Kubernetes: apiextensions' schema validation, in the words of kube-openapi, and its ratcheting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

from wherry.machinery.cel import matches
from wherry.machinery.field_errors import (
    FieldError,
    _show,
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)
from wherry.machinery.schema.formats import is_in_format

Json = dict[str, Any]
Check = Callable[[Any, str, Any], Iterator[FieldError]]

# Stands for the old value where there is none: at creation, and for what is new.
NOTHING: Any = object()


def checker(source: Mapping[str, Any]) -> Check:
    """The closure that judges values by a schema."""
    children = _Children(source)
    rules = [make(source[word], source) for word, make in _RULES.items() if _is_said(source.get(word))]
    wanted = _types(source)
    nullable = bool(source.get("nullable"))

    def check(value: Any, path: str, old: Any = NOTHING) -> Iterator[FieldError]:
        if old is not NOTHING and old == value:
            return
        if value is None and (nullable or not wanted):
            return
        if wanted and not _is_of(value, wanted):
            yield invalid(
                path, _type_of(value), f"{path} in body must be of type {wanted[0]}: {_show(_type_of(value))}"
            )
            return
        for rule in rules:
            yield from rule(value, path)
        yield from children.check(value, path, old)

    return check


class _Children:
    """What a schema says about fields, values and items."""

    def __init__(self, source: Mapping[str, Any]) -> None:
        self.fields = {name: checker(node) for name, node in (source.get("properties") or {}).items()}
        extra, items = source.get("additionalProperties"), source.get("items")
        self.extra = checker(extra) if isinstance(extra, dict) else None
        self.items = checker(items) if isinstance(items, dict) else None
        is_map = source.get("x-kubernetes-list-type") == "map"
        self.keys: tuple[str, ...] = tuple(source.get("x-kubernetes-list-map-keys") or ()) if is_map else ()

    def check(self, value: Any, path: str, old: Any) -> Iterator[FieldError]:
        if type(value) is dict:
            before = old if type(old) is dict else {}
            for name, item in value.items():
                check = self.fields.get(name) or self.extra
                if check is not None:
                    yield from check(item, f"{path}.{name}" if path else name, before.get(name, NOTHING))
        elif type(value) is list and self.items is not None:
            known = self._by_key(old)
            for index, item in enumerate(value):
                before = known.get(self._key(item), NOTHING) if known else NOTHING
                yield from self.items(item, f"{path}[{index}]", before)

    def _by_key(self, old: Any) -> dict[Any, Any]:
        return {self._key(item): item for item in old} if self.keys and type(old) is list else {}

    def _key(self, item: Any) -> Any:
        return tuple(repr(item.get(key)) for key in self.keys) if isinstance(item, dict) else None


def _is_said(value: Any) -> bool:
    return value is not None and value is not False  # 0 is a bound


def correlated(items: list[Any], old: Any, keys: tuple[str, ...]) -> list[Any]:
    """The old item of each item of a list of type `map`, or NOTHING."""
    children = _Children({"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": list(keys)})
    known = children._by_key(old)
    return [known.get(children._key(item), NOTHING) for item in items]


# ---- types -----------------------------------------------------------------------------------------------------------

_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
}


def _types(source: Mapping[str, Any]) -> tuple[str, ...]:
    if source.get("x-kubernetes-int-or-string"):
        return ("integer,string", "integer", "string")
    return (source["type"],) if source.get("type") in _PYTHON_TYPES else ()


def _is_of(value: Any, wanted: tuple[str, ...]) -> bool:
    return any(type(value) in _PYTHON_TYPES.get(name, ()) for name in wanted)


def _type_of(value: Any) -> str:
    for name, types in _PYTHON_TYPES.items():
        if type(value) in types:
            return name
    return "null"


# ---- rules -----------------------------------------------------------------------------------------------------------

Rule = Callable[[Any, str], Iterator[FieldError]]


def _rule(
    applies_to: tuple[type, ...], holds: Callable[[Any], bool], complain: Callable[[Any, str], FieldError]
) -> Rule:
    def rule(value: Any, path: str) -> Iterator[FieldError]:
        if type(value) in applies_to and not holds(value):
            yield complain(value, path)

    return rule


def _in_body(detail: str) -> Callable[[Any, str], FieldError]:
    return lambda value, path: invalid(path, value, f"{path} in body {detail}")


def _minimum(bound: float, source: Mapping[str, Any]) -> Rule:
    if source.get("exclusiveMinimum"):
        return _rule((int, float), lambda value: value > bound, _in_body(f"should be greater than {_plain(bound)}"))
    return _rule(
        (int, float), lambda value: value >= bound, _in_body(f"should be greater than or equal to {_plain(bound)}")
    )


def _maximum(bound: float, source: Mapping[str, Any]) -> Rule:
    if source.get("exclusiveMaximum"):
        return _rule((int, float), lambda value: value < bound, _in_body(f"should be less than {_plain(bound)}"))
    return _rule(
        (int, float), lambda value: value <= bound, _in_body(f"should be less than or equal to {_plain(bound)}")
    )


def _multiple_of(factor: float, source: Mapping[str, Any]) -> Rule:
    if not factor > 0:
        return lambda value, path: iter(())

    def holds(value: float) -> bool:
        return value % factor == 0 if type(value) is type(factor) is int else _is_whole(value / factor)

    return _rule((int, float), holds, _in_body(f"should be a multiple of {_plain(factor)}"))


def _is_whole(number: float) -> bool:
    return abs(number) == float("inf") or abs(number - round(number)) < 1e-9


def _plain(number: float) -> float:
    """A number as Go prints it: `1`, not `1.0`."""
    return int(number) if isinstance(number, float) and number.is_integer() and abs(number) < 1e21 else number


def _min_length(bound: int, source: Mapping[str, Any]) -> Rule:
    return _rule((str,), lambda value: len(value) >= bound, _in_body(f"should be at least {bound} chars long"))


def _max_length(bound: int, source: Mapping[str, Any]) -> Rule:
    return _rule((str,), lambda value: len(value) <= bound, lambda value, path: too_long(path, bound, "characters"))


@lru_cache(maxsize=8192)
def _found(text: str, pattern: str) -> bool:
    try:
        return matches(text, pattern)
    except ValueError:
        return True  # such a pattern is refused when it is declared


def _pattern(pattern: str, source: Mapping[str, Any]) -> Rule:
    return _rule((str,), lambda value: _found(value, pattern), _in_body(f"should match '{pattern}'"))


def _format(format: str, source: Mapping[str, Any]) -> Rule:
    if source.get("type") != "string":
        return lambda value, path: iter(())

    def complain(value: Any, path: str) -> FieldError:
        return invalid(path, value, f"{path} in body must be of type {format}: {_show(value)}")

    return _rule((str,), lambda value: is_in_format(value, format), complain)


def _enum(choices: list[Any], source: Mapping[str, Any]) -> Rule:
    shown = [choice if isinstance(choice, str) else _show(choice) for choice in choices]

    def rule(value: Any, path: str) -> Iterator[FieldError]:
        if not any(value == choice and type(value) is type(choice) for choice in choices):
            yield not_supported(path, value, shown)

    return rule


def _min_items(bound: int, source: Mapping[str, Any]) -> Rule:
    return _rule((list,), lambda value: len(value) >= bound, _in_body(f"should have at least {bound} items"))


def _max_items(bound: int, source: Mapping[str, Any]) -> Rule:
    return _rule((list,), lambda value: len(value) <= bound, lambda value, path: too_many(path, len(value), bound))


def _min_properties(bound: int, source: Mapping[str, Any]) -> Rule:
    return _rule((dict,), lambda value: len(value) >= bound, _in_body(f"should have at least {bound} properties"))


def _max_properties(bound: int, source: Mapping[str, Any]) -> Rule:
    return _rule((dict,), lambda value: len(value) <= bound, lambda value, path: too_many(path, len(value), bound))


def _required(fields: list[str], source: Mapping[str, Any]) -> Rule:
    def rule(value: Any, path: str) -> Iterator[FieldError]:
        if type(value) is dict:
            for name in fields:
                if name not in value:
                    yield required(f"{path}.{name}" if path else name)

    return rule


def _list_type(kind: str, source: Mapping[str, Any]) -> Rule:
    keys = list(source.get("x-kubernetes-list-map-keys") or ())

    def rule(value: Any, path: str) -> Iterator[FieldError]:
        if type(value) is not list or kind not in ("set", "map"):
            return
        seen: set[str] = set()
        for index, item in enumerate(value):
            shown = (
                item if kind == "set" or not isinstance(item, dict) else {key: item[key] for key in keys if key in item}
            )
            mark = _show(shown)
            if mark in seen:
                yield duplicate(f"{path}[{index}]", shown)
            seen.add(mark)

    return rule


def _any_of(schemas: list[Json], source: Mapping[str, Any]) -> Rule:
    checks = [checker(schema) for schema in schemas]

    def rule(value: Any, path: str) -> Iterator[FieldError]:
        # Each alternative is looked at once: nested ones would double the work at every level.
        broken = [list(check(value, path, NOTHING)) for check in checks]
        if broken and all(broken):
            yield invalid(path, value, f'"{path}" must validate at least one schema (anyOf)')
            yield from min(broken, key=len)

    return rule


def _one_of(schemas: list[Json], source: Mapping[str, Any]) -> Rule:
    checks = [checker(schema) for schema in schemas]

    def rule(value: Any, path: str) -> Iterator[FieldError]:
        broken = [list(check(value, path, NOTHING)) for check in checks]
        valid = sum(not errors for errors in broken)
        if broken and valid != 1:
            found = f"Found {valid} valid alternatives" if valid else "Found none valid"
            yield invalid(path, value, f'"{path}" must validate one and only one schema (oneOf). {found}')
            if not valid:
                yield from min(broken, key=len)

    return rule


def _all_of(schemas: list[Json], source: Mapping[str, Any]) -> Rule:
    checks = [checker(schema) for schema in schemas]

    def rule(value: Any, path: str) -> Iterator[FieldError]:
        found = [error for check in checks for error in check(value, path, NOTHING)]
        if found:
            yield from found
            yield invalid(path, value, f'"{path}" must validate all the schemas (allOf)')

    return rule


def _not(schema: Json, source: Mapping[str, Any]) -> Rule:
    check = checker(schema)

    def rule(value: Any, path: str) -> Iterator[FieldError]:
        if not _breaks(check, value, path):
            yield invalid(path, value, f'"{path}" must not validate the schema (not)')

    return rule


def _breaks(check: Check, value: Any, path: str) -> bool:
    return next(check(value, path, NOTHING), None) is not None


_RULES: dict[str, Callable[[Any, Mapping[str, Any]], Rule]] = {
    "required": _required,
    "minimum": _minimum,
    "maximum": _maximum,
    "multipleOf": _multiple_of,
    "minLength": _min_length,
    "maxLength": _max_length,
    "pattern": _pattern,
    "format": _format,
    "enum": _enum,
    "minItems": _min_items,
    "maxItems": _max_items,
    "minProperties": _min_properties,
    "maxProperties": _max_properties,
    "x-kubernetes-list-type": _list_type,
    "allOf": _all_of,
    "anyOf": _any_of,
    "oneOf": _one_of,
    "not": _not,
}
