"""An object in the version in which a manager knows it, and how it divides into fields there."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import orjson

from apiserver.reading.conversion import stored_class, to_client, to_stored
from wherry.machinery.resource import Resource
from wherry.machinery.schema import Schema, schema_for
from wherry.machinery.schema.field_sets import FieldSet, difference
from wherry.machinery.schema.nodes import Node
from wherry.machinery.schema.topology import FREE_FORM, topology_of

Draft = dict[str, Any]

# What the server writes, or what says which object it is: nobody owns it.
_UNOWNED = ("apiVersion", "kind")
_APART = (*_UNOWNED, "metadata")
_METADATA: FieldSet = {"f:metadata": {}}
_UNOWNED_METADATA = frozenset(
    ("creationTimestamp", "generation", "managedFields", "name", "namespace", "resourceVersion", "selfLink", "uid")
)
UNOWNED: FieldSet = {"f:" + name: {} for name in _UNOWNED} | {
    "f:metadata": {".": {}, **{"f:" + name: {} for name in _UNOWNED_METADATA}}
}
# Bytes of an object whose fields are remembered: a large pod.
LONGEST_REMEMBERED = 8192
# Structs that an object of Go always has, though its schema does not require them.
_ALWAYS_THERE = ("loadBalancer", "metadata", "spec", "status", "strategy", "updateStrategy")


class Seen(NamedTuple):
    """An object in some version, its class there and its topology."""

    draft: Draft
    cls: type[Resource]
    node: Node


def topology_for(cls: type[Resource]) -> Node:
    """How objects of a kind divide into fields."""
    return topology_of(cls.schema()) or FREE_FORM


def in_version(draft: Draft, cls: type[Resource], api_version: str) -> Seen | None:
    """A draft of `cls` in another version; None where that version is not served any more."""
    if api_version == cls.kind.api_version:
        return Seen(draft, cls, topology_for(cls))
    other = cls.sibling(api_version)
    if other is None or stored_class(other) is not stored_class(cls):
        return None
    return Seen(to_client(to_stored(draft, cls), other), other, topology_for(other))


def ownable(draft: Draft) -> Draft:
    """A shallow copy without what nobody owns."""
    result = {name: value for name, value in draft.items() if name not in _UNOWNED}
    metadata = draft["metadata"]
    result["metadata"] = {name: value for name, value in metadata.items() if name not in _UNOWNED_METADATA}
    return result


def blank(cls: type[Resource]) -> Draft:
    """An object of the kind before anybody has said anything: what is there already, no creator comes to own."""
    return {"metadata": {}} if cls.kind.is_custom else _blank_of(cls.kind.api_version, cls.kind.name)


@lru_cache(maxsize=256)
def _blank_of(api_version: str, name: str) -> Draft:
    schema = schema_for(api_version, name)
    draft = {"metadata": {}} if schema.nullable is not None else _empty(schema, depth=0)
    return {**draft, "metadata": {}}


def owned_at_creation(draft: Draft, cls: type[Resource]) -> FieldSet:
    """What whoever creates an object comes to own in it."""
    metadata = {name: value for name, value in draft["metadata"].items() if name not in _UNOWNED_METADATA}
    owned = topology_for(cls).owned({"metadata": metadata}, containers=True) if metadata else {}
    # The pods of one template differ in their metadata alone, so the rest is worked out once for all of them.
    text = orjson.dumps({name: value for name, value in draft.items() if name not in _APART})
    look_up = _owned_beside_metadata if len(text) <= LONGEST_REMEMBERED else _owned_beside_metadata.__wrapped__
    return {**difference(owned, _METADATA), **look_up(cls, text)}


@lru_cache(maxsize=128)
def _owned_beside_metadata(cls: type[Resource], text: bytes) -> FieldSet:
    node = topology_for(cls)
    return difference(node.owned(orjson.loads(text), containers=True), node.owned(blank(cls), containers=True))


def _empty(schema: Schema, depth: int) -> Draft:
    result: Draft = {}
    # As deep as a CronJob's pod; definitions that hold themselves end here too.
    for name, child in schema.properties.items() if depth < 6 else ():
        if name not in _ALWAYS_THERE and name not in schema.required:
            continue
        if child.type == "array":
            result[name] = []
        elif topology_of(child) is not None and child.properties:
            result[name] = _empty(child, depth + 1)
    return result
