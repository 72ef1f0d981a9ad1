"""Strategic merge patch: a merge that knows, from the schema, which lists merge by which key.

>>> from wherry.machinery.schema import schema_for
>>> pod = {"spec": {"containers": [{"name": "a", "image": "a:1"}, {"name": "b"}]}}
>>> patch = {"spec": {"containers": [{"name": "a", "image": "a:2"}]}}
>>> strategic_merge(pod, patch, schema_for("v1", "Pod"))
{'spec': {'containers': [{'name': 'a', 'image': 'a:2'}, {'name': 'b'}]}}

Directives inside a patch: `$patch` (replace or delete a map, delete a list item, replace a list),
`$setElementOrder/F`, `$deleteFromPrimitiveList/F` and `$retainKeys`.

Kubernetes: apimachinery `strategicpatch`. Differs: what it answers with a 500 (a list item without its key) is a
PatchError.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from apiserver.patch import PatchError
from wherry.machinery.schema import Schema
from wherry.machinery.schema.findings import DEPTH_EXCEEDED, MAX_DEPTH, weigh

DIRECTIVE = "$patch"
RETAIN_KEYS = "$retainKeys"
ORDER_PREFIX = "$setElementOrder/"
DELETE_PREFIX = "$deleteFromPrimitiveList/"

_FREE_FORM = Schema({})

Json = dict[str, Any]


def strategic_merge(current: Json, patch: Json, schema: Schema) -> Json:
    """The object after the patch; shares with `current` and `patch` whatever neither changes. Raises PatchError."""
    if not isinstance(patch, dict):
        raise PatchError("invalid JSON document")
    if weigh(patch)[1] > MAX_DEPTH:
        raise PatchError(DEPTH_EXCEEDED)
    return _merge_map(current, patch, schema)


def _merge_map(current: Json, patch: Json, schema: Schema) -> Json:
    match patch.get(DIRECTIVE):
        case None:
            pass
        case "replace":
            return {key: value for key, value in patch.items() if key != DIRECTIVE}
        case "delete":
            return {}
        case directive:
            raise _bad_directive(directive, patch)
    merged = _retain(current, patch)
    ordered = {key.removeprefix(ORDER_PREFIX): change for key, change in patch.items() if key.startswith(ORDER_PREFIX)}
    for field, order in ordered.items():
        _order(merged, field, patch.get(field), order, _child(schema, field))
    for key, change in patch.items():
        if key.startswith(DELETE_PREFIX):
            _delete_primitives(merged, key.removeprefix(DELETE_PREFIX), change)
        elif key == RETAIN_KEYS or key.startswith(ORDER_PREFIX) or (key in ordered and change is not None):
            continue
        elif change is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge_value(merged.get(key), change, _child(schema, key))
    return merged


def _merge_value(current: Any, change: Any, schema: Schema) -> Any:
    if isinstance(change, dict):
        # What is new goes through a merge too: it may hold directives and nulls, which must not be stored.
        is_merged = isinstance(current, dict) and "replace" not in schema.merge_strategy
        return _merge_map(current if is_merged else {}, change, schema)
    if isinstance(change, list):
        if "merge" in schema.merge_strategy:
            return _merge_list(current if isinstance(current, list) else [], change, schema)
        return [_merge_value(None, item, _FREE_FORM) if isinstance(item, dict) else item for item in change]
    return change


def _child(schema: Schema, key: str) -> Schema:
    return schema.properties.get(key) or schema.additional or _FREE_FORM


def _retain(current: Json, patch: Json) -> Json:
    """A copy of the current map, without what `$retainKeys` does not list."""
    if RETAIN_KEYS not in patch:
        return dict(current)
    if not isinstance(patch[RETAIN_KEYS], list):
        raise PatchError("invalid patch format of retainKeys")
    retained = _scalars(patch[RETAIN_KEYS])
    for key, value in patch.items():
        if not key.startswith("$") and value is not None and key not in retained:
            raise PatchError(
                f"invalid patch format of retainKeys: {key} is in the patch but not in {patch[RETAIN_KEYS]}"
            )
    return {key: value for key, value in current.items() if key in retained}


def _delete_primitives(merged: Json, field: str, gone: Any) -> None:
    if not isinstance(gone, list):
        raise PatchError(f"invalid patch format of primitive list: {DELETE_PREFIX}{field} must be a list")
    if isinstance(merged.get(field), list):
        deleted = _scalars(gone)
        merged[field] = [item for item in merged[field] if isinstance(item, dict | list) or item not in deleted]


def _merge_list(current: list[Any], patch: list[Any], schema: Schema) -> list[Any]:
    """Merge by key (or by value) and put the result in order; the patch's own order counts for what it names."""
    if not any(isinstance(item, dict) for item in (*current, *patch)):
        merged = list(_scalars([*current, *patch]))
        return _in_order(merged, current, patch, "")
    if not all(isinstance(item, dict) for item in (*current, *patch)):
        raise PatchError("list element types are not identical: a list of objects cannot be merged with other values")
    key = schema.merge_key
    if not key:
        raise PatchError("cannot merge lists without merge key")
    kept, changes = _obey_item_directives(current, patch, key)
    merged = _merge_items(kept, changes, key, schema.items or _FREE_FORM)
    return _in_order(merged, kept, changes, key)


def _obey_item_directives(current: list[Json], patch: list[Json], key: str) -> tuple[list[Json], list[Json]]:
    """What is left of the live list, and of the patch, once items that carry `$patch` have done their work."""
    changes = [item for item in patch if DIRECTIVE not in item]
    deleted = set()
    is_replaced = False
    for item in patch:
        match item.get(DIRECTIVE):
            case None:
                pass
            case "delete":
                deleted.add(_identity(item, key))
            case "replace":
                is_replaced = True
            case "merge":
                raise PatchError("merging lists cannot yet be specified in the patch")
            case directive:
                raise _bad_directive(directive, item)
    if is_replaced:
        return [], changes
    return [item for item in current if _identity(item, key) not in deleted], changes


def _merge_items(current: list[Json], changes: list[Json], key: str, schema: Schema) -> list[Json]:
    merged = list(current)
    place: dict[Any, int] = {}
    for index, item in enumerate(merged):
        place.setdefault(_identity(item, key), index)
    for change in changes:
        identity = _identity(change, key)
        if identity in place:
            index = place[identity]
            merged[index] = _merge_map(merged[index], change, schema)
        else:
            place[identity] = len(merged)
            merged.append(_merge_map({}, change, schema))
    return merged


def _order(merged: Json, field: str, patch: Any, order: Any, schema: Schema) -> None:
    """Obey `$setElementOrder/field`: merge the field's list and order the result."""
    before = merged.get(field)
    if not isinstance(order, list):
        raise PatchError("invalid patch format of setElementOrder list")
    if not isinstance(before, list | None) or not isinstance(patch, list | None):
        raise PatchError(f"{ORDER_PREFIX}{field} needs a list, and {field} is none")
    if before is None and patch is None:
        return
    live = before or []
    result = live if patch is None else _merge_value(live, patch, schema)
    key = schema.merge_key
    _check_order(patch or [], order, key)
    merged[field] = _in_order(result, live, order, key)


def _check_order(patch: list[Any], order: list[Any], key: str) -> None:
    """The patch's items must stand in the ordering list, in the same sequence."""
    places = _places(order, key)
    found = [places.get(_identity(item, key), -1) for item in patch if not _is_directive(item)]
    if -1 in found or found != sorted(found):
        raise PatchError(f"The order in patch list:\n{patch}\n doesn't match {ORDER_PREFIX[:-1]} list:\n{order}\n")


def _in_order(items: list[Any], live: list[Any], order: list[Any], key: str) -> list[Any]:
    """Items that `order` names in that order, woven with the others in live order.

    A live-only item goes first only where both heads were live and it stood before the other one; hence new items
    come first.
    """
    wanted, stood = _places(order, key), _places(live, key)
    identified = [(_identity(item, key), item) for item in items]
    named = deque(sorted((pair for pair in identified if pair[0] in wanted), key=lambda pair: wanted[pair[0]]))
    others = deque(
        sorted((pair for pair in identified if pair[0] not in wanted), key=lambda pair: stood.get(pair[0], -1))
    )
    result = []
    while named and others:
        other, name = stood.get(others[0][0]), stood.get(named[0][0])
        is_other_first = other is not None and name is not None and other < name
        result.append((others if is_other_first else named).popleft()[1])
    return result + [item for _, item in (*named, *others)]


def _places(items: list[Any], key: str) -> dict[Any, int]:
    """Where each item first stands."""
    places: dict[Any, int] = {}
    for index, item in enumerate(items):
        places.setdefault(_identity(item, key), index)
    return places


def _identity(item: Any, key: str) -> Any:
    """What makes two items of a list the same: their merge key's value, or for primitives the item."""
    if key and not isinstance(item, dict):
        raise PatchError(f"list element types are not identical: {item!r} is not an object with key {key}")
    if key and key not in item:
        raise PatchError(f"map: {item} does not contain declared merge key: {key}")
    identity = item[key] if key else item
    _scalars([identity])
    return identity


def _scalars(values: list[Any]) -> dict[Any, None]:
    """The values without repetition, in order."""
    for value in values:
        if isinstance(value, dict | list):
            raise PatchError(f"a scalar is needed to tell items of a list apart, not {value}")
    return dict.fromkeys(values)


def _is_directive(item: Any) -> bool:
    return isinstance(item, Mapping) and DIRECTIVE in item


def _bad_directive(directive: Any, item: Json) -> PatchError:
    return PatchError(f"unknown patch type: {directive} in map: {item}")
