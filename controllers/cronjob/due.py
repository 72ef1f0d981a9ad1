"""For which time a Job should be started now, if any. Kubernetes: mostRecentScheduleTime.

Only the latest of several missed times counts: a controller that was away starts one Job, not many.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from wherry.api.batch.cron_schedule import Schedule
from wherry.api.batch.cronjob import CronJob

# More missed times than that look like a mistake, and people are told.
MANY_MISSED = 100
# How far back one looks for the latest of many times, shortest first.
_WINDOWS = [timedelta(minutes=1), timedelta(hours=1), timedelta(days=1), timedelta(days=32), timedelta(days=366)]


class Due(NamedTuple):
    """The latest time that has come and was not served, the next to come, and whether suspiciously many were missed."""

    at: datetime | None
    following: datetime | None
    is_many: bool = False


def latest_due(cronjob: CronJob, schedule: Schedule, now: datetime) -> Due:
    """The time that a Job should be started for."""
    earliest = cronjob.status.last_schedule_time or cronjob.metadata.created_at or now
    deadline = cronjob.spec.starting_deadline_seconds
    if deadline is not None:
        earliest = max(earliest, now - timedelta(seconds=min(deadline, 10**9)))
    due = _walked(schedule, earliest, now, most=MANY_MISSED)
    if not due.is_many:
        return due
    for window in (*_WINDOWS, now - earliest):
        due = _walked(schedule, max(earliest, now - window), now)
        if due.at is not None:
            break
    return due._replace(is_many=True)


def _walked(schedule: Schedule, after: datetime, now: datetime, most: int | None = None) -> Due:
    """From one time to the next until they are in the future, or were more than `most`."""
    latest, count = None, 0
    following = schedule.next_after(after)
    while following is not None and following <= now:
        if count == most:
            return Due(latest, following, is_many=True)
        latest, count = following, count + 1
        following = schedule.next_after(following)
    return Due(latest, following)
