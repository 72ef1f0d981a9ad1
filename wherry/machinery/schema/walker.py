"""The one walk over an object: check types, drop unknown fields, bring values to canonical form, fill defaults.

>>> from wherry.machinery.schema.definitions import schema_for
>>> walked = walk({"kind": "ConfigMap", "data": {"a": "1"}, "dada": {}}, schema_for("v1", "ConfigMap"))
>>> walked.value, walked.unknown
({'kind': 'ConfigMap', 'data': {'a': '1'}}, ['dada'])

Every schema node is compiled once into a closure (`compiled.py`), so a pod costs tens of microseconds. Kubernetes:
Go's JSON decoding into typed structs, pruning of custom resources, and the defaulting functions of every kind.

Differs: a false, 0 or "" that its author wrote stays in the object, where Go's `omitempty` drops it. Objects nested
deeper than `MAX_DEPTH` are refused.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from wherry.machinery.schema.compiled import compiled
from wherry.machinery.schema.defaults import Defaults
from wherry.machinery.schema.definitions import Schema
from wherry.machinery.schema.findings import MAX_DEPTH, Run, TypeMismatch

__all__ = ["MAX_DEPTH", "TypeMismatch", "Walked", "settled_in", "walk"]


class Walked(NamedTuple):
    """What a walk found.

    `value` is new where it is a known struct, map or list, and shares free-form parts with the source; it is
    meaningless when there are `errors`. `unknown` holds the paths of dropped fields, at most 100. `key_count` is the
    number of keys in the source at all depths, for `duplicate_fields`.
    """

    value: Any
    unknown: list[str]
    errors: list[TypeMismatch]
    key_count: int


def settled_in(known: dict[str, Any]) -> frozenset[int]:
    """What need not be walked again of an object that once was: its parts and theirs, by identity.

    Whoever changes the object by making new containers around each change, as patches do, passes this to `walk`. The
    object must live as long as the result is used, and not change meanwhile.
    """
    parts = [part for part in known.values() if type(part) is dict]
    below = (item for part in parts for item in part.values() if type(item) in (dict, list))
    return frozenset(map(id, (*parts, *below)))


def walk(
    value: Any, schema: Schema, *, defaults: Defaults | None = None, settled: frozenset[int] = frozenset()
) -> Walked:
    """Walk a decoded object. Defaults (the schema's own, and these rules) are filled only if `defaults` is given.

    What is `settled` is taken as it is, where it stands in a struct; its keys are not counted.
    """
    run = Run(schema, settled)
    result = compiled(schema, defaults)(value, None, run)
    return Walked(result, run.unknown, run.errors, run.keys)
