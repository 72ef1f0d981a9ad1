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
    """The latest time that has come and was not served, and whether a suspicious number was missed."""

    at: datetime | None
    is_many: bool = False


def latest_due(cronjob: CronJob, schedule: Schedule, now: datetime) -> Due:
    """The time that a Job should be started for."""
    earliest = cronjob.status.last_schedule_time or cronjob.metadata.created_at or now
    deadline = cronjob.spec.starting_deadline_seconds
    if deadline is not None:
        earliest = max(earliest, now - timedelta(seconds=min(deadline, 10**9)))
    latest, missed = _last_between(schedule, earliest, now, MANY_MISSED + 1)
    if missed <= MANY_MISSED:
        return Due(latest)
    for window in (*_WINDOWS, now - earliest):
        later = max(earliest, now - window)
        latest, found = _last_between(schedule, later, now, None)
        if found:
            break
    return Due(latest, is_many=True)


def _last_between(schedule: Schedule, after: datetime, now: datetime, most: int | None) -> tuple[datetime | None, int]:
    """The last time after one instant and not after another, and how many there are; gives up after `most`."""
    latest, count = None, 0
    following = schedule.next_after(after)
    while following is not None and following <= now and (most is None or count < most):
        latest, count = following, count + 1
        following = schedule.next_after(following)
    return latest, count
