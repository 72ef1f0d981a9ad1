"""Events tell of the last hour: older ones are deleted. Kubernetes: the API server's --event-ttl.

`shells/sweeping.py` asks for them now and then: nobody keeps a copy of them.
"""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from wherry.api.events.event import Event, EventSeries
from wherry.machinery.resource import Kind, Resource

KEPT_SECONDS = 3600.0


class EventAge(Resource):
    """An event, of which only its times are read."""

    last_timestamp: datetime | None = None
    event_time: datetime | None = None
    series: EventSeries | None = None

    kind: ClassVar[Kind] = Event.kind


def is_expired(event: EventAge, now: datetime, kept_seconds: float = KEPT_SECONDS) -> bool:
    """Whether it last happened too long ago."""
    times = (event.metadata.created_at, event.last_timestamp, event.event_time)
    series = event.series.last_observed_time if event.series else None
    latest = max((time for time in (*times, series) if time is not None), default=now)
    return (now - latest).total_seconds() > kept_seconds
