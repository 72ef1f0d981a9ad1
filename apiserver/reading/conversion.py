"""Kinds that are one object with two faces: events, as the core group and as `events.k8s.io` show them.

Stored is the core form. What a client of the other group reads or writes is turned around at the edge.

Kubernetes: conversion between internal and versioned events.
"""

from __future__ import annotations

from typing import Any

import orjson

from apiserver.reading.stored import encode, head_of
from wherry.api.events.event import Event, EventsEvent
from wherry.machinery.resource import Resource
from wherry.machinery.selectors import FieldTerms

Draft = dict[str, Any]

# Field names: stored -> events.k8s.io. All others are the same in both.
_RENAMED = {
    "involvedObject": "regarding",
    "message": "note",
    "reportingComponent": "reportingController",
    "source": "deprecatedSource",
    "count": "deprecatedCount",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
}
_STORED_NAME = {theirs: ours for ours, theirs in _RENAMED.items()}


def stored_class(cls: type[Resource]) -> type[Resource]:
    """The kind in whose form objects of `cls` are stored."""
    return Event if cls is EventsEvent else cls


def is_converted(cls: type[Resource]) -> bool:
    """Whether objects of this kind are stored in another form."""
    return cls is EventsEvent


def to_stored(draft: Draft, cls: type[Resource]) -> Draft:
    """A client's object in the stored form."""
    return _renamed(draft, Event, _STORED_NAME) if is_converted(cls) else draft


def to_client(draft: Draft, cls: type[Resource]) -> Draft:
    """A stored object in the client's form."""
    return _renamed(draft, cls, _RENAMED) if is_converted(cls) else draft


def whole_to_client(whole: bytes, cls: type[Resource]) -> bytes:
    """The JSON of one stored object in the client's form."""
    return orjson.dumps(to_client(orjson.loads(whole), cls)) if is_converted(cls) else whole


def item_to_client(item: bytes, cls: type[Resource]) -> bytes:
    """The JSON of a list item in the client's form, kind and apiVersion left out."""
    if not is_converted(cls):
        return item
    draft = orjson.loads(item)
    revision = draft["metadata"]["resourceVersion"]
    tail = encode(to_client(draft, cls), cls.kind)[len(head_of(cls.kind)) :]
    return b'{"metadata":{"resourceVersion":"%s",%s' % (revision.encode(), tail)


def stored_fields(fields: FieldTerms, cls: type[Resource]) -> FieldTerms:
    """A client's field selector in terms of the stored form: `regarding.kind` is `involvedObject.kind`."""
    if not is_converted(cls):
        return fields
    terms = []
    for term in fields.terms:
        first, dot, rest = term.name.partition(".")
        terms.append(term._replace(name=_STORED_NAME.get(first, first) + dot + rest))
    return FieldTerms(tuple(terms))


def _renamed(draft: Draft, cls: type[Resource], names: dict[str, str]) -> Draft:
    result = {names.get(key, key): value for key, value in draft.items()}
    return {**result, "kind": cls.kind.name, "apiVersion": cls.kind.api_version}
