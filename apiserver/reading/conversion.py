"""Kinds that are one object with two faces, of which one is stored.

Events are in the core group and in `events.k8s.io`, autoscalers have two versions. What a client of the other one reads
or writes is turned around at the edge. So are custom objects that are stored in another version.

Kubernetes: conversion between internal and versioned objects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import orjson

from apiserver.reading.custom_stored import fields_in_version, in_form_of
from apiserver.reading.stored import encode, head_of
from wherry.api.autoscaling.autoscaler_v1 import HorizontalPodAutoscalerV1
from wherry.api.autoscaling.first_version import from_v1, to_v1
from wherry.api.autoscaling.horizontal_pod_autoscaler import HorizontalPodAutoscaler
from wherry.api.events.event import Event, EventsEvent
from wherry.api.extensions.custom_resource import CustomResource
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


class _Face(NamedTuple):
    """The form in which objects of a kind are stored, and the ways there and back; fields that are called otherwise."""

    stored: type[Resource]
    to_stored: Callable[[Draft], Draft]
    to_client: Callable[[Draft], Draft]
    stored_names: Mapping[str, str] = {}


def _renamed(draft: Draft, cls: type[Resource], names: Mapping[str, str]) -> Draft:
    result = {names.get(key, key): value for key, value in draft.items()}
    return {**result, "kind": cls.kind.name, "apiVersion": cls.kind.api_version}


_FACES: dict[type[Resource], _Face] = {
    EventsEvent: _Face(
        Event,
        lambda draft: _renamed(draft, Event, _STORED_NAME),
        lambda draft: _renamed(draft, EventsEvent, _RENAMED),
        _STORED_NAME,
    ),
    HorizontalPodAutoscalerV1: _Face(HorizontalPodAutoscaler, from_v1, to_v1),
}


def stored_class(cls: type[Resource]) -> type[Resource]:
    """The kind in whose form objects of `cls` are stored."""
    if issubclass(cls, CustomResource):
        return cls.stored_as
    return _FACES[cls].stored if cls in _FACES else cls


def is_converted(cls: type[Resource]) -> bool:
    """Whether objects of this kind are stored in another form."""
    return cls in _FACES or (cls.kind.is_custom and stored_class(cls) is not cls)


def to_stored(draft: Draft, cls: type[Resource]) -> Draft:
    """A client's object in the stored form."""
    if issubclass(cls, CustomResource):
        return _in_version(draft, cls, cls, cls.stored_as)
    return _FACES[cls].to_stored(draft) if cls in _FACES else draft


def to_client(draft: Draft, cls: type[Resource]) -> Draft:
    """A stored object in the client's form."""
    if issubclass(cls, CustomResource):
        if cls.stored_as is cls:
            return draft
        return in_form_of(_in_version(draft, cls, cls.stored_as, cls), cls)
    return _FACES[cls].to_client(draft) if cls in _FACES else draft


def _in_version(
    draft: Draft, cls: type[CustomResource], given: type[CustomResource], wanted: type[CustomResource]
) -> Draft:
    """The draft as the webhook of the kind has converted it, or with the other version's name on it."""
    conversions = cls.declared.conversions
    if conversions is not None:
        named = {**draft, "kind": given.kind.name, "apiVersion": given.kind.api_version}
        return conversions.find(named, wanted.kind.api_version)
    return {**draft, "apiVersion": wanted.kind.api_version}


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
    """A client's field selector in terms of the stored form: `regarding.kind` is `involvedObject.kind`.

    Of custom objects that are stored in another version, each version has fields of its own.
    """
    if issubclass(cls, CustomResource):
        return fields_in_version(fields, cls)
    names = _FACES[cls].stored_names if cls in _FACES else {}
    if not names:
        return fields
    terms = []
    for term in fields.terms:
        first, dot, rest = term.name.partition(".")
        terms.append(term._replace(name=names.get(first, first) + dot + rest))
    return FieldTerms(tuple(terms))
