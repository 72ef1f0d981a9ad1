"""Which events are worth a write: the same one again is a count, many alike become one, a flood is dropped.

    series = EventSeries("kubelet")
    told = series.told(reference, "BackOff", "restarting failed container", "Warning", now)     # None: drop it

Pure: time comes in with each event. Remembers at most 4096 of each.

Kubernetes: client-go `EventCorrelator` and its numbers. Differs: events of other components about the same object
do not count, because each component has a series of its own.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, TypeVar

V = TypeVar("V")

REMEMBERED = 4096
# So many different messages of one reason about one object within the interval stay apart.
ALIKE, ALIKE_SECONDS = 10, 600.0
# Per object: a burst, then one event in five minutes.
BURST, REFILL_SECONDS = 25, 300.0
COMBINED = "(combined from similar events): "


class _Recent(Generic[V]):
    """A map that forgets what was used longest ago."""

    def __init__(self) -> None:
        self._items: OrderedDict[Any, V] = OrderedDict()

    def get(self, key: Any) -> V | None:
        if key in self._items:
            self._items.move_to_end(key)
        return self._items.get(key)

    def put(self, key: Any, value: V) -> V:
        self._items[key] = value
        if len(self._items) > REMEMBERED:
            self._items.popitem(last=False)
        return value


@dataclass
class _Bucket:
    tokens: float
    at: datetime


@dataclass
class _Alike:
    messages: set[str] = field(default_factory=set)
    at: datetime | None = None


@dataclass(frozen=True)
class Told:
    """An event as it should stand in the API: new if `count` is 1, else one more of those under `name`."""

    name: str
    namespace: str
    reference: dict[str, Any]
    reason: str
    message: str
    type: str
    action: str
    count: int
    first_at: datetime
    last_at: datetime
    annotations: dict[str, str] = field(default_factory=dict)


class EventSeries:
    """See the module."""

    def __init__(self) -> None:
        self._buckets: _Recent[_Bucket] = _Recent()
        self._alike: _Recent[_Alike] = _Recent()
        self._told: _Recent[Told] = _Recent()
        self._number = 0

    def told(
        self, reference: dict[str, Any], reason: str, message: str, type: str, now: datetime, *, action: str = ""
    ) -> Told | None:
        """What to write of this event, None to drop it."""
        about = tuple(reference.get(key, "") for key in ("kind", "namespace", "name", "uid", "apiVersion", "fieldPath"))
        message, group = self._combined((*about, type, reason, action), message, now)
        if not self._has_token(about, now):
            return None
        before = self._told.get((*group, message if group[-1] == "apart" else ""))
        told = Told(
            name=before.name if before else self._name(reference["name"], now),
            namespace=reference.get("namespace") or "default",
            reference=reference,
            reason=reason,
            message=message,
            type=type,
            action=action,
            count=before.count + 1 if before else 1,
            first_at=before.first_at if before else now,
            last_at=now,
        )
        return self._told.put((*group, message if group[-1] == "apart" else ""), told)

    def _combined(self, group: tuple[str, ...], message: str, now: datetime) -> tuple[str, tuple[str, ...]]:
        """The message to tell, and the group it is counted in: `apart`, or together with all that are alike."""
        alike = self._alike.get(group)
        if alike is None or alike.at is None or (now - alike.at).total_seconds() > ALIKE_SECONDS:
            alike = self._alike.put(group, _Alike())
        alike.at = now
        if message not in alike.messages and len(alike.messages) < ALIKE:
            alike.messages.add(message)
        if message in alike.messages and len(alike.messages) < ALIKE:
            return message, (*group, "apart")
        return COMBINED + message, (*group, "together")

    def _has_token(self, about: tuple[str, ...], now: datetime) -> bool:
        bucket = self._buckets.get(about) or self._buckets.put(about, _Bucket(BURST, now))
        # A clock that was set back earns nothing.
        earned = max(0.0, (now - bucket.at).total_seconds()) / REFILL_SECONDS
        bucket.tokens, bucket.at = min(BURST, bucket.tokens + earned), now
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True

    def _name(self, name: str, now: datetime) -> str:
        # Kubernetes' form, object and nanoseconds, with a number for those of one instant.
        self._number += 1
        return f"{name}.{int(now.timestamp() * 1e6) * 1000 + self._number % 1000:x}"
