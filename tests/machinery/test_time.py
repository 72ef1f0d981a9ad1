"""Instants, ages and durations."""

from __future__ import annotations

import contextlib
import doctest
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.machinery import time
from wherry.machinery.time import (
    age_text,
    duration_text,
    go_duration_text,
    micro_time_text,
    now_text,
    parse_go_duration,
    parse_time,
    time_text,
)

NOON = datetime(2026, 11, 22, 12, 0, 0, tzinfo=UTC)
MINUTE, HOUR, DAY = 60, 3600, 86400


def test_doctests():
    assert doctest.testmod(time).failed == 0


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T12:00:00Z",
        "2026-11-22T13:30:00+01:30",
        "2026-11-22T12:00:00.000000001Z",
        "2026-11-22T04:00:00-08:00",
    ],
)
def test_reads_rfc_3339(text):
    assert parse_time(text) == NOON


@pytest.mark.parametrize(
    "text",
    [
        "",
        "today",
        "2026-11-22",
        "2026-11-22 12:00:00Z",
        "2026-11-22T12:00:00",
        "2026-13-22T12:00:00Z",
        "2026-02-30T12:00:00Z",
        "2026-11-22T12:00:60Z",
        "2026-11-22T12:00:00+25:00",
        "0001-01-01T00:00:00+14:00",
        "2026-11-22T12:00:00Z\n",
        "1" * 99,
    ],
)
def test_refuses_other_times(text):
    with pytest.raises(ValueError, match="parsing time"):
        parse_time(text)


@given(st.datetimes(timezones=st.just(UTC)))
def test_instants_survive_writing(instant):
    assert parse_time(micro_time_text(instant)) == instant
    assert parse_time(time_text(instant)) == instant.replace(microsecond=0)


def test_now_is_written_in_seconds():
    assert now_text(NOON + timedelta(microseconds=999_999)) == "2026-11-22T12:00:00Z"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-2, "<invalid>"),
        (-1.9, "0s"),
        (0, "0s"),
        (119.9, "119s"),
        (120, "2m"),
        (9 * MINUTE + 59, "9m59s"),
        (10 * MINUTE + 1, "10m"),
        (3 * HOUR - 1, "179m"),
        (3 * HOUR, "3h"),
        (8 * HOUR - 1, "7h59m"),
        (48 * HOUR - 1, "47h"),
        (48 * HOUR, "2d"),
        (8 * DAY - 1, "7d23h"),
        (8 * DAY, "8d"),
        (730 * DAY - 1, "729d"),
        (730 * DAY, "2y"),
        (8 * 365 * DAY - 1, "7y364d"),
        (3000 * DAY, "8y"),
    ],
)
def test_ages_read_as_in_kubectl(seconds, text):
    assert duration_text(seconds) == text


def test_an_age_needs_an_instant():
    assert age_text(None, NOON) == "<unknown>"
    assert age_text(NOON - timedelta(minutes=5), NOON) == "5m"


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1ns", 1),
        ("1.5us", 1500),
        ("+2ms", 2_000_000),
        ("1h1m1.001s", 3_661_001_000_000),
        (".5s", 500_000_000),
        ("-0", 0),
    ],
)
def test_reads_go_durations(text, nanoseconds):
    assert parse_go_duration(text) == nanoseconds


@pytest.mark.parametrize("text", ["", "1", "s", ".s", "1x", "1s ", "--1s", "1e3s", "9" * 18 + "h", "1s" * 40])
def test_refuses_other_durations(text):
    with pytest.raises(ValueError, match="invalid duration"):
        parse_go_duration(text)


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_durations_survive_writing(nanoseconds):
    assert parse_go_duration(go_duration_text(nanoseconds)) == nanoseconds


@given(st.text(alphabet="0123456789.hmsn+-TZ:", max_size=70))
def test_any_text_is_a_duration_or_a_value_error(text):
    with contextlib.suppress(ValueError):
        parse_go_duration(text)
    with contextlib.suppress(ValueError):
        parse_time(text)
