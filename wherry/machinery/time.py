"""Time as the API writes it: instants in RFC 3339, ages as `kubectl get` shows them, durations as Go prints them.

An instant is an aware `datetime` in UTC. `metav1.Time` has whole seconds, `MicroTime` six digits behind the point.

Kubernetes: apimachinery `metav1.Time`, `metav1.MicroTime`, `util/duration`; Go's `time.Duration`. Differs: years 1 to
9999.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache

_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,6})\d*)?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
_DURATION_TERM = re.compile(r"(\d{0,18})(?:\.(\d{0,18})\d*)?(ns|us|µs|μs|ms|s|m|h)", re.ASCII)

MICROSECOND, MILLISECOND, SECOND = 10**3, 10**6, 10**9
_UNITS = {"ns": 1, "us": MICROSECOND, "µs": MICROSECOND, "μs": MICROSECOND, "ms": MILLISECOND}
_UNITS |= {"s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}
_MAX_TEXT = 64


@lru_cache(maxsize=4096)
def parse_time(text: str) -> datetime:
    """The instant a Time or MicroTime stands for; ValueError if it is none.

    >>> parse_time("2026-11-22T17:57:38.123456789+01:00")
    datetime.datetime(2026, 11, 22, 16, 57, 38, 123456, tzinfo=datetime.timezone.utc)
    """
    found = _INSTANT.fullmatch(text) if len(text) <= _MAX_TEXT else None
    if found is None:
        raise ValueError(
            f'parsing time "{text[:_MAX_TEXT]}": an RFC 3339 time is expected, such as 2026-11-22T17:57:38Z'
        )
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    microsecond = int((found[7] or "0").ljust(6, "0"))
    try:
        offset = timedelta(hours=int(found[9] or 0), minutes=int(found[10] or 0))
        zone = timezone(-offset if found[8] == "-" else offset)
        return datetime(year, month, day, hour, minute, second, microsecond, zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f'parsing time "{text}": {error}') from None


def time_text(instant: datetime) -> str:
    """An instant as a `metav1.Time`, cut to whole seconds.

    >>> time_text(datetime(2026, 11, 22, 17, 57, 38, 999_999, UTC))
    '2026-11-22T17:57:38Z'
    """
    # Every write has one: three times as fast as strftime.
    if instant.tzinfo is not UTC:
        instant = instant.astimezone(UTC)
    return instant.isoformat(timespec="seconds")[:19] + "Z"


def micro_time_text(instant: datetime) -> str:
    """An instant as a `metav1.MicroTime`.

    >>> micro_time_text(datetime(2026, 11, 22, 17, 57, 38, 5, UTC))
    '2026-11-22T17:57:38.000005Z'
    """
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def now_text(now: datetime) -> str:
    """What to write into a timestamp field; the caller owns the clock."""
    return time_text(now)


def age_text(since: datetime | None, now: datetime) -> str:
    """The Age column: how long ago that was, `<unknown>` without an instant."""
    return "<unknown>" if since is None else duration_text((now - since).total_seconds())


def duration_text(seconds: float) -> str:
    """A duration as people read it: two units at most, less detail the longer it is. Kubernetes: HumanDuration.

    >>> [duration_text(seconds) for seconds in (119, 150, 600, 3 * 3600 + 60, 50 * 3600, 800 * 86400)]
    ['119s', '2m30s', '10m', '3h1m', '2d2h', '2y70d']
    """
    whole = int(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 0:
        return "0s" if whole == -1 else "<invalid>"
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return _two_units(minutes, "m", whole % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _two_units(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two_units(days, "d", hours % 24, "h")
    if days < 2 * 365:
        return f"{days}d"
    return _two_units(days // 365, "y", days % 365, "d") if days < 8 * 365 else f"{days // 365}y"


def _two_units(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large}{large_unit}{small}{small_unit}" if small else f"{large}{large_unit}"


def parse_go_duration(text: str) -> int:
    """Nanoseconds of a Go duration; ValueError if it is none.

    >>> parse_go_duration("1h30m"), parse_go_duration("-1.5s"), parse_go_duration("0")
    (5400000000000, -1500000000, 0)
    """
    sign, unsigned = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if unsigned == "0":
        return 0
    total, end = 0, 0
    while len(text) <= _MAX_TEXT and (term := _DURATION_TERM.match(unsigned, end)) and (term[1] or term[2]):
        fraction = term[2] or ""
        total += int(term[1] + fraction) * _UNITS[term[3]] // 10 ** len(fraction)
        end = term.end()
    if end == 0 or end < len(unsigned) or total >= 2**63:
        raise ValueError(
            f'time: invalid duration "{text[:_MAX_TEXT]}": a Go duration is expected, such as 1h30m or 1.5s'
        )
    return sign * total


def go_duration_text(nanoseconds: int) -> str:
    """A duration as Go prints it.

    >>> [go_duration_text(ns) for ns in (0, 1_500, 2_000_000, 90 * SECOND, 3600 * SECOND + 500 * MILLISECOND)]
    ['0s', '1.5µs', '2ms', '1m30s', '1h0m0.5s']
    """
    if nanoseconds < 0:
        return "-" + go_duration_text(-nanoseconds)
    if nanoseconds >= SECOND:
        minutes, rest = divmod(nanoseconds, 60 * SECOND)
        hours, minutes = divmod(minutes, 60)
        longer = f"{hours}h{minutes}m" if hours else f"{minutes}m" if minutes else ""
        return longer + _decimal(rest, SECOND) + "s"
    for unit, name in ((MILLISECOND, "ms"), (MICROSECOND, "µs"), (1, "ns")):
        if nanoseconds >= unit:
            return _decimal(nanoseconds, unit) + name
    return "0s"


def _decimal(amount: int, unit: int) -> str:
    whole, rest = divmod(amount, unit)
    return f"{whole}.{rest:0{len(str(unit)) - 1}}".rstrip("0") if rest else str(whole)
