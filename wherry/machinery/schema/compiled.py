"""Schema nodes as closures: what `walk` runs.

A closure takes (value, path, run) and returns the value in canonical form; problems go to the run (`findings.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from threading import RLock
from typing import Any, Never

import orjson

from wherry.machinery.schema import leaves
from wherry.machinery.schema.defaults import Defaults, Rule, fresh
from wherry.machinery.schema.definitions import (
    JSON_SCHEMA,
    MICRO_TIME,
    QUANTITY,
    RAW_EXTENSION,
    TIME,
    Schema,
    definition,
)
from wherry.machinery.schema.findings import (
    DEPTH_EXCEEDED,
    MAX_DEPTH,
    MAX_FILLED_BYTES,
    TOO_MUCH_FILLED,
    Path,
    Run,
    weigh,
)
from wherry.machinery.schema.remembered import Walker, remembered

Json = dict[str, Any]
# What pods of one template have in common, and most of what there is to walk in them.
POD_SPEC = "io.k8s.api.core.v1.PodSpec"


def compiled(schema: Schema, defaults: Defaults | None) -> Walker:
    """The schema's closure for this registry of defaults; built at first use."""
    walker: Walker | None = schema.compiled.get(defaults)
    return walker or _compile(schema, defaults)


_lock = RLock()
_in_progress: set[tuple[Schema, Defaults | None]] = set()


def _compile(schema: Schema, defaults: Defaults | None) -> Walker:
    with _lock:
        if defaults in schema.compiled:
            return compiled(schema, defaults)
        if (schema, defaults) in _in_progress:
            return _recursive(schema, defaults)
        _in_progress.add((schema, defaults))
        try:
            walker = schema.compiled[defaults] = _with_null_rule(schema, _build(schema, defaults))
        finally:
            _in_progress.remove((schema, defaults))
        return walker


def _recursive(schema: Schema, defaults: Defaults | None) -> Walker:
    """A definition inside itself: the only place besides free-form values where depth has no bound."""

    def walk_recursive(value: Any, path: Path, run: Run) -> Any:
        # A recursive definition nests through a map or a list, hence two levels.
        run.depth += 2
        if run.depth > MAX_DEPTH:
            return run.mismatch(value, path, DEPTH_EXCEEDED)
        result = compiled(schema, defaults)(value, path, run)
        run.depth -= 2
        return result

    return walk_recursive


def _with_null_rule(schema: Schema, walker: Walker) -> Walker:
    if schema.nullable is None or schema.type == "any":
        return walker

    def walk_nullable(value: Any, path: Path, run: Run) -> Any:
        return None if value is None else walker(value, path, run)

    def walk_not_null(value: Any, path: Path, run: Run) -> Any:
        return run.mismatch(value, path) if value is None else walker(value, path, run)

    return walk_nullable if schema.nullable else walk_not_null


def _build(schema: Schema, defaults: Defaults | None) -> Walker:
    if schema.name in _BY_NAME:
        return _BY_NAME[schema.name]
    if schema.int_or_string:
        return _parsed(leaves.int_or_string, 0)
    match schema.type:
        case "object" if schema.additional is not None and not schema.properties:
            return _map(schema.additional, defaults)
        case "object":
            return _struct(schema, defaults)
        case "array":
            return _list(schema.items, defaults)
        case "string":
            return _walk_bytes if schema.format == "byte" and schema.nullable is None else _walk_string
        case "integer":
            return _integer(schema)
        case "number":
            return _walk_number
        case "boolean":
            return _walk_boolean
    return _walk_anything


def _struct(schema: Schema, defaults: Defaults | None) -> Walker:
    # The type that needs no further look, the closure for all other types, and whether a null means "unset".
    fields = {
        name: (_plain_type(child), compiled(child, defaults), _null_is_unset(child))
        for name, child in schema.properties.items()
    }
    extra = _extra_fields(schema, defaults)
    missing = {name: child.default for name, child in schema.properties.items() if defaults and child.has_default}
    rules = defaults.rules(schema.name) if defaults and schema.name else []
    fill = _filling(schema, defaults, rules, missing)

    def walk_struct(value: Any, path: Path, run: Run) -> Any:
        if type(value) is not dict:
            if value is not None:
                return run.mismatch(value, path)
            value = {}
        run.keys += len(value)
        result = {}
        settled = run.settled
        for name, item in value.items():
            field = fields.get(name)
            if field is None:
                if extra is not None:
                    result[name] = extra(item, (path, name), run)
                else:
                    run.drop(item, path, name)
                continue
            plain, walker, null_is_unset = field
            if type(item) is plain or (settled and id(item) in settled):
                result[name] = item
            elif item is not None or not null_is_unset:
                result[name] = walker(item, (path, name), run)
        # The list is live: rules may be registered after this closure was built.
        if (rules or missing) and not run.errors:
            fill(result, value, path, run)
        return result

    return remembered(walk_struct, defaults) if schema.name == POD_SPEC else walk_struct


def _filling(
    schema: Schema, defaults: Defaults | None, rules: list[Rule], missing: Json
) -> Callable[[Json, Json, Path, Run], None]:
    """What fills a struct's defaults once it and its children are walked."""
    children = schema.properties
    sizes = {name: len(name) + len(orjson.dumps(default)) for name, default in missing.items()}

    def fill(result: Json, source: Json, path: Path, run: Run) -> None:
        for name, default in missing.items():
            if name not in result:
                result[name] = fresh(default)
                run.filled_bytes += sizes[name]
        if run.filled_bytes > MAX_FILLED_BYTES:
            run.mismatch(result, path, TOO_MUCH_FILLED)
            return
        for rule in rules:
            rule(result)
        keys = run.keys
        for name in [name for name in result if source.get(name) is None]:
            if name in children and isinstance(result[name], dict | list):
                result[name] = compiled(children[name], defaults)(result[name], (path, name), run)
        run.keys = keys

    return fill


def _extra_fields(schema: Schema, defaults: Defaults | None) -> Walker | None:
    """What walks the fields that a struct does not name, if it may have such."""
    if schema.additional is not None:
        return compiled(schema.additional, defaults)
    return _walk_anything if schema.preserve_unknown else None


def _map(values: Schema, defaults: Defaults | None) -> Walker:
    plain, walker = _plain_type(values), compiled(values, defaults)
    # As among the fields of a custom resource, a null that is no value is not there; in Go's maps it is a zero value.
    drops_nulls = values.nullable is False and values.type != "any"

    def walk_map(value: Any, path: Path, run: Run) -> Any:
        if type(value) is not dict:
            return run.zero_or_mismatch(value, path, {})
        run.keys += len(value)
        return {
            key: item if type(item) is plain else walker(item, (path, key, True), run)
            for key, item in value.items()
            if item is not None or not drops_nulls
        }

    return walk_map


def _list(items: Schema | None, defaults: Defaults | None) -> Walker:
    plain = _plain_type(items) if items else Never
    walker = compiled(items, defaults) if items else _walk_anything

    def walk_list(value: Any, path: Path, run: Run) -> Any:
        if type(value) is not list:
            return run.zero_or_mismatch(value, path, [])
        return [item if type(item) is plain else walker(item, (path, index), run) for index, item in enumerate(value)]

    return walk_list


def _plain_type(schema: Schema) -> Any:
    """The Python type of values that are right as they are, or Never."""
    is_plain_string = schema.type == "string" and schema.name not in _BY_NAME and not schema.int_or_string
    if is_plain_string and not (schema.format == "byte" and schema.nullable is None):
        return str
    return bool if schema.type == "boolean" else Never


def _null_is_unset(schema: Schema) -> bool:
    return schema.nullable is not True and schema.type != "any"


def _walk_string(value: Any, path: Path, run: Run) -> Any:
    return value if type(value) is str else run.zero_or_mismatch(value, path, "")


def _walk_boolean(value: Any, path: Path, run: Run) -> Any:
    return value if type(value) is bool else run.zero_or_mismatch(value, path, False)


def _walk_number(value: Any, path: Path, run: Run) -> Any:
    return value if type(value) in (int, float) else run.zero_or_mismatch(value, path, 0)


def _walk_anything(value: Any, path: Path, run: Run) -> Any:
    if type(value) in (dict, list):
        keys, depth = weigh(value)
        run.keys += keys
        if run.depth + depth > MAX_DEPTH:
            return run.mismatch(value, path, DEPTH_EXCEEDED)
    return value


def _walk_bytes(value: Any, path: Path, run: Run) -> Any:
    if type(value) is not str:
        return run.zero_or_mismatch(value, path, "")
    try:
        return leaves.base64_text(value)
    except leaves.Unreadable as error:
        return run.mismatch(value, path, str(error))


def _integer(schema: Schema) -> Walker:
    bound = leaves.BOUNDS.get(schema.format, leaves.INT64)
    is_custom = schema.nullable is not None

    def walk_integer(value: Any, path: Path, run: Run) -> Any:
        if is_custom and type(value) is float and value.is_integer():
            value = int(value)
        if type(value) is int and -bound <= value < bound:
            return value
        return run.zero_or_mismatch(value, path, 0)

    return walk_integer


def _parsed(parse: Callable[[Any], Any], zero: Any) -> Walker:
    def walk_parsed(value: Any, path: Path, run: Run) -> Any:
        if value is None:
            return zero
        try:
            return parse(value)
        except leaves.Unreadable as error:
            return run.mismatch(value, path, str(error))

    return walk_parsed


def _walk_schema(value: Any, path: Path, run: Run) -> Any:
    """A schema inside a CustomResourceDefinition's schema, where also a truth value or a list may stand."""
    if type(value) is bool:
        return value
    if type(value) is list:
        return [_walk_schema(item, (path, index), run) for index, item in enumerate(value)]
    run.depth += 2
    if run.depth > MAX_DEPTH:
        return run.mismatch(value, path, DEPTH_EXCEEDED)
    result = compiled(definition(JSON_SCHEMA), None)(value, path, run)
    run.depth -= 2
    return result


_BY_NAME: dict[str, Walker] = {
    JSON_SCHEMA + "OrBool": _walk_schema,
    JSON_SCHEMA + "OrArray": _walk_schema,
    QUANTITY: _parsed(leaves.quantity, "0"),
    TIME: _parsed(leaves.time, None),
    MICRO_TIME: _parsed(leaves.micro_time, None),
    RAW_EXTENSION: _walk_anything,
}
