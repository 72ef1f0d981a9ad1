"""When a CronJob is due: five fields of minutes, hours, days, months and weekdays, or a word such as `@daily`.

    schedule = parse_schedule("*/15 9-17 * jan-mar mon,fri", ZoneInfo("Europe/Berlin"))
    schedule.next_after(now)                   # None: never, such as on 30 February

Pure. Kubernetes: robfig/cron's ParseStandard, its complaints included. As there, a time that a clock change leaves out
is left out, and one that it repeats is due twice; when both a day of the month and a weekday are given, either does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple, Protocol

from wherry.machinery.time import SECOND, parse_go_duration

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
# 29 February on a given weekday comes back within 28 years, but no field can ask for that: robfig/cron stops at 5.
_HORIZON = timedelta(days=5 * 366)


class Schedule(Protocol):
    """Something that is due again and again."""

    def next_after(self, instant: datetime) -> datetime | None:
        """The first time after an instant (UTC); None if there is none within five years."""


class _Range(NamedTuple):
    low: int
    high: int
    names: tuple[str, ...] = ()


_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS = (_Range(0, 59), _Range(0, 23), _Range(1, 31), _Range(1, 12, _MONTHS), _Range(0, 6, _WEEKDAYS))
_WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class _Values(NamedTuple):
    """What a field allows; `is_open` when it says nothing, as `*` does."""

    allowed: frozenset[int]
    is_open: bool


@dataclass(frozen=True)
class _Calendar:
    """Five fields on a wall clock."""

    zone: tzinfo
    minutes: _Values
    hours: _Values
    days: _Values
    months: _Values
    weekdays: _Values

    def next_after(self, instant: datetime) -> datetime | None:
        """See `Schedule`. Leaps over whatever does not fit, on the wall clock."""
        moment = instant.astimezone(UTC).replace(second=0, microsecond=0) + MINUTE
        end = moment + _HORIZON
        while moment < end:
            local = moment.astimezone(self.zone)
            if local.month not in self.months.allowed:
                moment = max(_midnight(_next_month(local), self.zone), moment + MINUTE)
            elif not self._is_day(local):
                moment = max(_midnight(local + DAY, self.zone), moment + MINUTE)
            elif local.hour not in self.hours.allowed:
                moment += HOUR - local.minute * MINUTE
            elif local.minute not in self.minutes.allowed:
                moment += MINUTE
            else:
                return moment
        return None

    def _is_day(self, local: datetime) -> bool:
        fits = local.day in self.days.allowed, local.isoweekday() % 7 in self.weekdays.allowed
        return all(fits) if self.days.is_open or self.weekdays.is_open else any(fits)


@dataclass(frozen=True)
class _Every:
    """A pause between one time and the next."""

    pause: timedelta

    def next_after(self, instant: datetime) -> datetime | None:
        """See `Schedule`."""
        return instant.astimezone(UTC).replace(microsecond=0) + self.pause


def _next_month(local: datetime) -> datetime:
    year, month = divmod(local.year * 12 + local.month, 12)
    return local.replace(year=year, month=month + 1, day=1)


def _midnight(local: datetime, zone: tzinfo) -> datetime:
    return datetime(local.year, local.month, local.day, tzinfo=zone).astimezone(UTC)


def parse_schedule(text: str, zone: tzinfo = UTC) -> Schedule:
    """The schedule that a text stands for; ValueError says what is wrong with it.

    >>> parse_schedule("0 9 * * mon-fri").next_after(datetime(2026, 11, 21, 12, tzinfo=UTC))
    datetime.datetime(2026, 11, 23, 9, 0, tzinfo=datetime.timezone.utc)
    """
    if not text:
        raise ValueError("empty spec string")
    if text.startswith("@every "):
        return _every(text)
    if text.startswith("@") and text not in _WORDS:
        raise ValueError(f"unrecognized descriptor: {text}")
    fields = _WORDS.get(text, text).split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"expected exactly 5 fields, found {len(fields)}: [{' '.join(fields)}]")
    values = [_field(field, bounds) for field, bounds in zip(fields, _FIELDS, strict=True)]
    return _Calendar(zone, *values)


def _every(text: str) -> Schedule:
    try:
        nanoseconds = parse_go_duration(text.removeprefix("@every "))
    except ValueError as error:
        raise ValueError(f"failed to parse duration {text}: {error}") from None
    return _Every(timedelta(seconds=max(1, nanoseconds // SECOND)))


def _field(text: str, bounds: _Range) -> _Values:
    parts = [_part(part, bounds) for part in text.split(",") if part]
    allowed = frozenset(value for part in parts for value in part.allowed)
    if not allowed:
        raise ValueError(f"failed to parse int from {text}: invalid syntax")
    return _Values(allowed, any(part.is_open for part in parts))


def _part(text: str, bounds: _Range) -> _Values:
    """`*`, `5`, `1-5`, `*/2`, `10/5` or `1-9/2`."""
    span, *steps = text.split("/")
    if len(steps) > 1:
        raise ValueError(f"too many slashes: {text}")
    ends = span.split("-")
    is_open = ends[0] in ("*", "?")
    if is_open:
        low, high = bounds.low, bounds.high
    elif len(ends) > 2:
        raise ValueError(f"too many hyphens: {text}")
    else:
        low = _number(ends[0], bounds.names, bounds.low)
        high = _number(ends[-1], bounds.names, bounds.low)
        if steps and len(ends) == 1:
            high = bounds.high
    step = _number(steps[0]) if steps else 1
    _check_part(text, (low, high, step), bounds)
    return _Values(frozenset(range(low, high + 1, step)), is_open and step == 1)


def _check_part(text: str, part: tuple[int, int, int], bounds: _Range) -> None:
    low, high, step = part
    if low < bounds.low:
        raise ValueError(f"beginning of range ({low}) below minimum ({bounds.low}): {text}")
    if high > bounds.high:
        raise ValueError(f"end of range ({high}) above maximum ({bounds.high}): {text}")
    if low > high:
        raise ValueError(f"beginning of range ({low}) beyond end of range ({high}): {text}")
    if step == 0:
        raise ValueError(f"step of range should be a positive number: {text}")


def _number(text: str, names: tuple[str, ...] = (), first: int = 0) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + first
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ValueError(f'failed to parse int from {text}: strconv.Atoi: parsing "{text}": invalid syntax')
    return int(text)
