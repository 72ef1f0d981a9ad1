"""When a CronJob is due."""

import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.api.batch.cron_schedule import parse_schedule

NEW_YORK = ZoneInfo("America/New_York")


def at(text):
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("schedule", "now", "due"),
    [
        ("* * * * *", "2026-03-01T10:00:30", "2026-03-01T10:01"),
        ("*/15 * * * *", "2026-03-01T10:15:00", "2026-03-01T10:30"),
        ("10/20 * * * *", "2026-03-01T10:31:00", "2026-03-01T10:50"),
        ("5,7-9 2 * * *", "2026-03-01T02:05:00", "2026-03-01T02:07"),
        ("0 0 31 * *", "2026-03-31T00:00:00", "2026-05-31T00:00"),
        ("0 0 29 FEB ?", "2026-03-01T00:00:00", "2028-02-29T00:00"),
        ("30 9 * Jan-mar mon", "2026-03-24T00:00:00", "2026-03-30T09:30"),
        ("0 0 13 * fri", "2026-03-01T00:00:00", "2026-03-06T00:00"),
        ("0 0 */2 * mon", "2026-03-01T12:00:00", "2026-03-02T00:00"),
        ("@yearly", "2026-03-01T00:00:00", "2027-01-01T00:00"),
        ("@monthly", "2026-12-01T00:00:00", "2027-01-01T00:00"),
        ("@weekly", "2026-03-02T00:00:00", "2026-03-08T00:00"),
        ("@midnight", "2026-03-01T00:00:00", "2026-03-02T00:00"),
        ("@hourly", "2026-03-01T23:59:59", "2026-03-02T00:00"),
        ("@every 1h30m", "2026-03-01T00:00:10", "2026-03-01T01:30:10"),
    ],
)
def test_it_is_due_next(schedule, now, due):
    assert parse_schedule(schedule).next_after(at(now)) == at(due)


def test_what_never_comes_is_never_due():
    assert parse_schedule("0 0 30 2 *").next_after(at("2026-03-01")) is None


@pytest.mark.parametrize(
    ("schedule", "now", "due"),
    [
        ("0 9 * * *", "2026-07-01T00:00:00", "2026-07-01T13:00"),
        ("0 9 * * *", "2026-12-01T00:00:00", "2026-12-01T14:00"),
        # The clock goes from 2:00 to 3:00 on 8 March: half past two is left out.
        ("30 2 * * *", "2026-03-08T00:00:00", "2026-03-09T06:30"),
        # The clock goes from 2:00 back to 1:00 on 1 November: half past one comes twice.
        ("30 1 * * *", "2026-11-01T04:00:00", "2026-11-01T05:30"),
        ("30 1 * * *", "2026-11-01T05:30:00", "2026-11-01T06:30"),
    ],
)
def test_in_a_time_zone_the_wall_clock_counts(schedule, now, due):
    assert parse_schedule(schedule, NEW_YORK).next_after(at(now)) == at(due)


@pytest.mark.parametrize(
    ("schedule", "complaint"),
    [
        ("", "empty spec string"),
        ("* * * *", "expected exactly 5 fields, found 4: [* * * *]"),
        ("60 * * * *", "end of range (60) above maximum (59): 60"),
        ("* * 0 * *", "beginning of range (0) below minimum (1): 0"),
        ("9-3 * * * *", "beginning of range (9) beyond end of range (3): 9-3"),
        ("*/0 * * * *", "step of range should be a positive number: */0"),
        ("1-2-3 * * * *", "too many hyphens: 1-2-3"),
        ("*/2/3 * * * *", "too many slashes: */2/3"),
        ("x * * * *", 'failed to parse int from x: strconv.Atoi: parsing "x": invalid syntax'),
        ("@fortnightly", "unrecognized descriptor: @fortnightly"),
    ],
)
def test_what_is_no_schedule_is_refused_with_the_reason(schedule, complaint):
    with pytest.raises(ValueError, match=f"^{re.escape(complaint)}$"):
        parse_schedule(schedule)


def test_a_duration_that_is_none_is_refused():
    with pytest.raises(ValueError, match="failed to parse duration @every soon"):
        parse_schedule("@every soon")


@given(st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)), st.integers(0, 59), st.integers(0, 23))
def test_the_next_time_is_later_and_on_the_wall_clock_what_was_asked(now, minute, hour):
    due = parse_schedule(f"{minute} {hour} * * *", NEW_YORK).next_after(now.replace(tzinfo=UTC))

    assert due is not None
    assert due > now.replace(tzinfo=UTC)
    local = due.astimezone(NEW_YORK)
    assert (local.minute, local.hour) == (minute, hour)


@given(st.text(alphabet="0123456789*/,-? @adefijmnostu", max_size=30))
def test_any_text_is_a_schedule_or_refused(text):
    try:
        schedule = parse_schedule(text)
    except ValueError:
        return
    due = schedule.next_after(at("2026-03-01"))
    assert due is None or due > at("2026-03-01")
