"""Start a Job at each time that a CronJob names. Kubernetes: the CronJob controller, version 2.

The Job is made first and its time noted then: whoever dies in between finds the Job by its name and notes the time.
What runs is read from the Jobs themselves. Differs: of Jobs that somebody made by hand no event is told.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from datetime import datetime

from controllers.cronjob.due import latest_due
from controllers.cronjob.making import SCHEDULED, job_for, job_name
from wherry.api.batch.cron_schedule import Schedule
from wherry.api.batch.cronjob import CronJob
from wherry.api.batch.job import Job
from wherry.api.meta import ObjectReference, has_condition, reference_to
from wherry.client.controller import controller
from wherry.client.plan import Action, CheckAgain, Create, Delete, Event, Plan, SetStatus
from wherry.client.world import World

TOO_MANY = "too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew"
FORBIDDEN = "Not starting job because prior execution is running and concurrency policy is Forbid"


@controller(CronJob, owns=[Job], name="cronjob")
def plan(cronjob: CronJob, world: World) -> Plan:
    """Tell what ended, start what is due, and let go of old Jobs."""
    jobs = world.owned(cronjob, Job)
    yield from _tidied(cronjob, jobs)
    yield from _news(cronjob, jobs)
    cronjob = _counted(cronjob, jobs)
    if cronjob.metadata.deleted_at is None and not cronjob.spec.suspend:
        try:
            schedule = cronjob.spec.due()
        except ValueError as error:
            # Stored before this machine's time zones changed: nothing else lets such a one in.
            yield Event(cronjob, "UnparseableSchedule", f"unparseable schedule: {error}", "Warning")
        else:
            yield from _started(cronjob, jobs, schedule, world)
            return
    yield SetStatus(cronjob)


def _active(cronjob: CronJob, jobs: Iterable[Job]) -> list[Job]:
    """Those of its own making that run; one that somebody made by hand does not stand in the way of others."""
    known = {reference.uid for reference in cronjob.status.active}
    return [
        job
        for job in jobs
        if not job.is_finished and (SCHEDULED in job.metadata.annotations or job.metadata.uid in known)
    ]


def _counted(cronjob: CronJob, jobs: list[Job]) -> CronJob:
    """The CronJob with what runs and when it last went well."""
    active = tuple(ObjectReference.read(reference_to(job)) for job in _active(cronjob, jobs))
    # A reference is to a Job, not to one version of it: else every step of a Job would be a write here.
    before = {reference.uid: reference for reference in cronjob.status.active}
    active = tuple(before.get(reference.uid, reference) for reference in active)
    ends = [job.status.completion_time for job in jobs if has_condition(job.status.conditions, "Complete")]
    times = [*ends, cronjob.status.last_successful_time]
    last = max((time for time in times if time is not None), default=None)
    return cronjob.with_status(active=active, last_successful_time=last)


def _news(cronjob: CronJob, jobs: list[Job]) -> Plan:
    by_uid = {job.metadata.uid: job for job in jobs}
    for reference in cronjob.status.active:
        job = by_uid.get(reference.uid)
        if job is None:
            yield Event(cronjob, "MissingJob", f"Active job went missing: {reference.name}")
        elif job.is_finished:
            how = "Complete" if has_condition(job.status.conditions, "Complete") else "Failed"
            message = f"Saw completed job: {job.metadata.name}, condition: {how}"
            yield Event(cronjob, "SawCompletedJob", message)


def _started(cronjob: CronJob, jobs: list[Job], schedule: Schedule, world: World) -> Plan:
    now = world.now
    due = latest_due(cronjob, schedule, now)
    if due.is_many:
        yield Event(cronjob, "TooManyMissedTimes", TOO_MANY, "Warning")
    if due.at is not None:
        cronjob = yield from _served(cronjob, jobs, due.at, world)
    yield SetStatus(cronjob)
    if due.following is not None:
        yield CheckAgain(max((due.following - now).total_seconds(), 1.0))


def _served(cronjob: CronJob, jobs: list[Job], at: datetime, world: World) -> Generator[Action, None, CronJob]:
    """Start the Job for a time, unless something stands against it; gives the CronJob with the time noted."""
    noted = cronjob.with_status(last_schedule_time=at)
    deadline = cronjob.spec.starting_deadline_seconds
    if any(job.metadata.name == job_name(cronjob, at) for job in jobs):
        return noted
    if deadline is not None and (world.now - at).total_seconds() > deadline:
        told = at.strftime("%a, %d %b %Y %H:%M:%S %z")
        yield Event(cronjob, "MissSchedule", f"Missed scheduled time to start a job: {told}", "Warning")
        return cronjob
    active = _active(cronjob, jobs)
    if active and cronjob.spec.concurrency_policy == "Forbid":
        yield Event(cronjob, "JobAlreadyActive", FORBIDDEN)
        return cronjob
    if world.failure is not None:
        yield Event(cronjob, "FailedCreate", f"Error creating job: {world.failure.message}", "Warning")
    if cronjob.spec.concurrency_policy == "Replace":
        yield from _deleted(cronjob, active)
    yield Create(job_for(cronjob, at))
    yield Event(cronjob, "SuccessfulCreate", f"Created job {job_name(cronjob, at)}")
    return noted


def _deleted(cronjob: CronJob, jobs: Iterable[Job]) -> Plan:
    for job in jobs:
        yield Delete(job)
        yield Event(cronjob, "SuccessfulDelete", f"Deleted job {job.metadata.name}")


def _tidied(cronjob: CronJob, jobs: list[Job]) -> Plan:
    """Delete the oldest finished Jobs, as many as are more than should be kept."""
    for type, most in (
        ("Complete", cronjob.spec.successful_jobs_history_limit),
        ("Failed", cronjob.spec.failed_jobs_history_limit),
    ):
        ended = [job for job in jobs if has_condition(job.status.conditions, type) and job.metadata.deleted_at is None]
        ended.sort(key=lambda job: (str(job.status.start_time or job.metadata.created_at), job.metadata.name))
        yield from _deleted(cronjob, ended[: max(0, len(ended) - most)])
