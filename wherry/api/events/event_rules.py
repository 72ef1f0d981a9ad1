"""The rules of events, and their columns, for both groups.

Kubernetes: core/validation `events.go`. Events without an `eventTime` are the old form and only have to lie beside the
object they are about.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, invalid, required
from wherry.machinery.resource import Column
from wherry.machinery.table_cells import Since
from wherry.machinery.validation import check_name, unchanged

if TYPE_CHECKING:
    from wherry.api.events.event import Event, EventsEvent

MAX_WORD, MAX_NOTE = 128, 1024
TYPES = ("Normal", "Warning")
_ELSEWHERE = "does not match event.namespace"


def check_event(event: Event | EventsEvent, component_field: str) -> Iterator[FieldError]:
    """What holds in both groups."""
    namespace, about = event.metadata.namespace, event.about.namespace
    if event.event_time is None:
        if namespace != about and (about or namespace not in ("", "default")):
            yield invalid("involvedObject.namespace", about, _ELSEWHERE)
        return
    if not about and namespace not in ("default", "kube-system"):
        yield invalid("involvedObject.namespace", about, _ELSEWHERE)
    if not event.reporting_component:
        yield required(component_field)
    yield from check_name(component_field, event.reporting_component, names.qualified_name)
    for field, word in (
        ("reportingInstance", event.reporting_instance),
        ("action", event.action),
        ("reason", event.reason),
    ):
        if not word:
            yield required(field)
        elif len(word) > MAX_WORD:
            yield invalid(field, "", f"can have at most {MAX_WORD} characters")
    if len(event.message) > MAX_NOTE:
        yield invalid("message", "", f"can have at most {MAX_NOTE} characters")


def check_new_event(event: EventsEvent) -> Iterator[FieldError]:
    """What the events.k8s.io group asks of a new event beyond that."""
    yield from _check_series(event)
    if event.event_time is None:
        yield required("eventTime")
    if event.type not in TYPES:
        yield invalid("type", "", f"has invalid value: {event.type}")
    for field, is_set in (
        ("firstTimestamp", event.first_timestamp),
        ("lastTimestamp", event.last_timestamp),
        ("count", event.count),
        ("source", event.source.component or event.source.host),
    ):
        if is_set:
            yield invalid(field, "", "needs to be unset")


def check_same_event(event: EventsEvent, old: EventsEvent) -> Iterator[FieldError]:
    """An update may only count the event again."""
    yield from _check_series(event)
    for field, now, before in (
        ("regarding", event.about.to_wire(), old.about.to_wire()),
        ("reason", event.reason, old.reason),
        ("note", event.message, old.message),
        ("type", event.type, old.type),
        ("action", event.action, old.action),
        ("reportingController", event.reporting_component, old.reporting_component),
        ("reportingInstance", event.reporting_instance, old.reporting_instance),
        ("eventTime", event.event_time, old.event_time),
    ):
        yield from unchanged(field, now, before)


def _check_series(event: EventsEvent) -> Iterator[FieldError]:
    if event.series is not None:
        if event.series.count < 2:
            yield invalid("series.count", "", "should be at least 2")
        if event.series.last_observed_time is None:
            yield required("series.lastObservedTime")


def _first_seen(event: Event | EventsEvent) -> Since:
    return Since(event.first_timestamp or event.event_time)


def _last_seen(event: Event | EventsEvent) -> Since:
    in_series = event.series.last_observed_time if event.series else None
    return Since(in_series or event.last_timestamp or event.first_timestamp or event.event_time)


def _source(event: Event | EventsEvent) -> str:
    component = event.source.component or event.reporting_component
    host = event.source.host or event.reporting_instance
    return f"{component}, {host}" if host else component


def _about(event: Event | EventsEvent) -> str:
    kind, name = event.about.kind.lower(), event.about.name
    return f"{kind}/{name}" if name else kind


def _count(event: Event | EventsEvent) -> int:
    return (event.series.count if event.series else event.count) or 1


COLUMNS = (
    Column("Last Seen", _last_seen),
    Column("Type", lambda event: event.type),
    Column("Reason", lambda event: event.reason),
    Column("Object", _about),
    Column("Subobject", lambda event: event.about.field_path, priority=1),
    Column("Source", _source, priority=1),
    Column("Message", lambda event: event.message.strip()),
    Column("First Seen", _first_seen, priority=1),
    Column("Count", _count, type="integer", priority=1),
    Column("Name", lambda event: event.metadata.name, priority=1),
)
