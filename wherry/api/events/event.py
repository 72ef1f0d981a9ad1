"""Event, as the core group and `events.k8s.io` show it. Written by wherry/client/events.py."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from wherry.api.events.event_rules import COLUMNS, check_event, check_new_event, check_same_event
from wherry.api.meta import ObjectReference
from wherry.machinery.field_errors import FieldError
from wherry.machinery.resource import Resource
from wherry.machinery.view import View


class EventSource(View):
    """Which component, where."""

    component: str = ""
    host: str = ""


class EventSeries(View):
    """How often it happened again, and when last."""

    count: int = 0
    last_observed_time: datetime | None = None


def _selectable(reference: str, component: str) -> Mapping[str, Callable[[Any], str]]:
    def pointing(wire: str, field: str) -> tuple[str, Callable[[Any], str]]:
        return f"{reference}.{wire}", lambda event: getattr(event.about, field)

    fields = {"kind": "kind", "namespace": "namespace", "name": "name", "uid": "uid", "apiVersion": "api_version"}
    fields |= {"resourceVersion": "resource_version", "fieldPath": "field_path"}
    return {
        **dict(pointing(wire, field) for wire, field in fields.items()),
        "reason": lambda event: event.reason,
        "type": lambda event: event.type,
        component: lambda event: event.reporter,
        "source": lambda event: event.reporter,
    }


class Event(Resource, version="v1", short=("ev",)):
    """What happened to an object (core group)."""

    about: ObjectReference = msgspec.field(name="involvedObject", default=ObjectReference())
    type: str = ""
    reason: str = ""
    message: str = ""
    action: str = ""
    source: EventSource = EventSource()
    reporting_component: str = ""
    reporting_instance: str = ""
    count: int = 0
    first_timestamp: datetime | None = None
    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    series: EventSeries | None = None

    name_column = False
    create_on_update = True
    columns = COLUMNS
    selectable = _selectable("involvedObject", "reportingComponent")

    def validate(self, old: Event | None) -> Iterator[FieldError]:
        """Every broken rule of an event, as the core group has them."""
        return check_event(self, "reportingComponent")

    @property
    def reporter(self) -> str:
        """The component that says so."""
        return self.source.component or self.reporting_component


class EventsEvent(Resource, group="events.k8s.io", version="v1", plural="events", short=("ev",), name="Event"):
    """What happened to an object (events.k8s.io)."""

    about: ObjectReference = msgspec.field(name="regarding", default=ObjectReference())
    type: str = ""
    reason: str = ""
    message: str = msgspec.field(name="note", default="")
    action: str = ""
    source: EventSource = msgspec.field(name="deprecatedSource", default=EventSource())
    reporting_component: str = msgspec.field(name="reportingController", default="")
    reporting_instance: str = ""
    count: int = msgspec.field(name="deprecatedCount", default=0)
    first_timestamp: datetime | None = msgspec.field(name="deprecatedFirstTimestamp", default=None)
    last_timestamp: datetime | None = msgspec.field(name="deprecatedLastTimestamp", default=None)
    event_time: datetime | None = None
    series: EventSeries | None = None

    name_column = False
    create_on_update = True
    judged_as_seen = True
    columns = COLUMNS
    selectable = _selectable("regarding", "reportingController")

    def validate(self, old: EventsEvent | None) -> Iterator[FieldError]:
        """Every broken rule of an event; what happened stays as it was told."""
        yield from check_event(self, "reportingController")
        yield from check_new_event(self) if old is None else check_same_event(self, old)

    @property
    def reporter(self) -> str:
        """The component that says so."""
        return self.source.component or self.reporting_component
