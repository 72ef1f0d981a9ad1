"""Sets of fields, in the form in which objects carry them: nested JSON objects (`fieldsV1` of managedFields).

`f:<name>` is a field or a map's key, `k:<keys>` an item of a list by its keys, `v:<value>` an item of a set. A node is
itself in the set if it is empty or has a `.`; any other only leads to what is below it. The root is never a member, so
an empty root is the empty set. Sets are shared and never changed in place.

>>> fields = {"f:spec": {"f:replicas": {}, "f:ports": {'k:{"port":80}': {".": {}, "f:port": {}}}}}
>>> difference(fields, {"f:spec": {"f:replicas": {}}})
{'f:spec': {'f:ports': {'k:{"port":80}': {'.': {}, 'f:port': {}}}}}
>>> paths(fields)
['.spec.replicas', '.spec.ports[port=80]', '.spec.ports[port=80].port']

Kubernetes: fieldpath.Set of structured-merge-diff.
"""

from __future__ import annotations

from typing import Any

import orjson

FieldSet = dict[str, Any]

# The member without anything below it. One object for all of them: a pod has a hundred.
LEAF: FieldSet = {}
SELF = "."


def is_member(node: FieldSet) -> bool:
    """Whether a node below the root is itself in its set."""
    return not node or SELF in node


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    """Everything that is in either set."""
    if not one or not other:
        return one or other
    return _union(one, other)


def _union(one: FieldSet, other: FieldSet) -> FieldSet:
    if not one or not other:
        both = one or other
        return both if is_member(both) else {SELF: LEAF, **both}
    result = dict(one)
    for label, below in other.items():
        known = result.get(label)
        result[label] = below if known is None else _union(known, below)
    return result


def difference(fields: FieldSet, gone: FieldSet) -> FieldSet:
    """What is in the first set and not in the second; a node that goes leaves what is below it.

    It is the first set itself when nothing goes.
    """
    return _difference(fields, gone, is_root=True) or {}


def _difference(fields: FieldSet, gone: FieldSet, is_root: bool = False) -> FieldSet | None:
    was_member = not is_root and is_member(fields)
    is_left = was_member and not is_member(gone)
    left: FieldSet = {SELF: LEAF} if is_left else {}
    is_whole = is_left == was_member
    for label, below in fields.items():
        if label != SELF:
            other = gone.get(label)
            kept = below if other is None else _difference(below, other)
            is_whole = is_whole and kept is below
            if kept is not None:
                left[label] = kept
    if is_whole:
        return fields
    return LEAF if len(left) == 1 and is_left else left or None


def intersection(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in both sets."""
    return _intersection(one, other, is_root=True) or {}


def _intersection(one: FieldSet, other: FieldSet, is_root: bool = False) -> FieldSet | None:
    found: FieldSet = {}
    if not is_root and is_member(one) and is_member(other):
        found[SELF] = LEAF
    for label in one.keys() & other.keys():
        if label != SELF:
            both = _intersection(one[label], other[label])
            if both is not None:
                found[label] = both
    if len(found) == 1 and SELF in found:
        return LEAF
    return found or None


def is_well_formed(fields: Any) -> bool:
    """Whether decoded JSON is a set of fields: every key says what it names."""
    waiting = [fields]
    while waiting:
        node = waiting.pop()
        if not isinstance(node, dict):
            return False
        for label, below in node.items():
            if label != SELF and not _is_label(label):
                return False
            waiting.append(below)
    return True


def _is_label(label: str) -> bool:
    if label.startswith("f:"):
        return True
    if not label.startswith(("k:", "v:", "i:")):
        return False
    try:
        value = orjson.loads(label[2:])
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) if label[0] == "k" else not isinstance(value, dict | list)


def paths(fields: FieldSet) -> list[str]:
    """Every member in Kubernetes' notation and order: at each level members first, then what is below."""
    return _paths(fields, "")


def _paths(fields: FieldSet, prefix: str) -> list[str]:
    found: list[str] = []
    labels = sorted(label for label in fields if label != SELF)
    found += [prefix + segment(label) for label in labels if is_member(fields[label])]
    for label in labels:
        found += _paths(fields[label], prefix + segment(label))
    return found


def segment(label: str) -> str:
    """One step of a path: `.name`, `[name="c"]`, `[="x"]`, `[0]`."""
    text = label[2:]
    match label[0]:
        case "f":
            return "." + text
        case "k":
            keys = orjson.loads(text).items()
            return "[" + ",".join(f"{key}={orjson.dumps(value).decode()}" for key, value in keys) + "]"
        case "v":
            return f"[={text}]"
    return f"[{text}]"
