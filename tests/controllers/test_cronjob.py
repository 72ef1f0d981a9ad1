"""The CronJob controller: world in, actions out."""

from datetime import timedelta

import pytest
from jobs import JobCluster
from make import NOW, a_condition, an_object

from controllers.cronjob.making import SCHEDULED, job_for, job_name
from controllers.cronjob.plan import plan
from wherry.api.batch.cronjob import CronJob
from wherry.api.batch.job import Job
from wherry.api.meta import reference_to
from wherry.client.plan import CheckAgain, Create, Delete, Event, SetStatus
from wherry.client.world import World
from wherry.machinery.errors import Forbidden

MINUTE = timedelta(minutes=1)
TEMPLATE = {
    "metadata": {"labels": {"app": "tick"}, "annotations": {"note": "x"}},
    "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i:1"}]}}},
}


def a_cronjob(schedule="* * * * *", **more):
    more.setdefault("created", NOW - MINUTE)
    return an_object(CronJob, "tick", api_version="batch/v1", schedule=schedule, job_template=TEMPLATE, **more)


def a_started_job(cronjob, at, **more):
    more.setdefault("annotations", {SCHEDULED: "then"})
    return an_object(Job, job_name(cronjob, at), api_version="batch/v1", owner=cronjob, **more)


def a_finished_job(cronjob, at, how="Complete"):
    status = {"startTime": at, "completionTime": at, "conditions": [a_condition(how)]}
    return a_started_job(cronjob, at, status=status)


def actions_of(cronjob, *jobs, now=NOW, **world):
    return list(plan(cronjob, World(cronjob, *jobs, now=now, **world)))


def of(kind, actions):
    return [action for action in actions if isinstance(action, kind)]


def reasons(actions):
    return [event.reason for event in of(Event, actions)]


def test_a_job_is_made_and_then_its_time_noted():
    cronjob = a_cronjob()

    assert actions_of(cronjob) == [
        Create(job_for(cronjob, NOW)),
        Event(cronjob, "SuccessfulCreate", "Created job tick-29453760"),
        SetStatus(cronjob.with_status(last_schedule_time=NOW)),
        CheckAgain(60),
    ]


def test_the_job_carries_the_template_and_the_time_in_its_zone():
    metadata = job_for(a_cronjob(time_zone="Asia/Tokyo"), NOW)["metadata"]

    assert metadata["annotations"] == {"note": "x", SCHEDULED: "2026-01-01T09:00:00+09:00"}
    assert (metadata["name"], metadata["labels"]) == ("tick-29453760", {"app": "tick"})


def test_a_job_that_is_there_already_is_noted_and_not_made_again():
    cronjob = a_cronjob()
    job = a_started_job(cronjob, NOW)

    actions = actions_of(cronjob, job)

    assert of(Create, actions) == []
    [told] = of(SetStatus, actions)
    assert told.obj.status.last_schedule_time == NOW
    assert [reference.name for reference in told.obj.status.active] == ["tick-29453760"]


def test_nothing_is_due_before_its_time():
    cronjob = a_cronjob("0 * * * *", created=NOW)

    assert actions_of(cronjob, now=NOW + 10 * MINUTE) == [SetStatus(cronjob), CheckAgain(50 * 60)]


def test_of_several_missed_times_only_the_latest_is_served():
    cronjob = a_cronjob(status={"lastScheduleTime": NOW - 5 * MINUTE})

    assert of(Create, actions_of(cronjob)) == [Create(job_for(cronjob, NOW))]


def test_more_than_a_hundred_missed_times_are_told_and_the_latest_is_served():
    cronjob = a_cronjob(created=NOW - timedelta(days=40))

    actions = actions_of(cronjob)

    assert reasons(actions) == ["TooManyMissedTimes", "SuccessfulCreate"]
    assert of(Create, actions) == [Create(job_for(cronjob, NOW))]


def test_a_start_after_the_deadline_is_missed():
    cronjob = a_cronjob("0 * * * *", starting_deadline_seconds=100, created=NOW - MINUTE)

    assert of(Create, actions_of(cronjob, now=NOW + MINUTE)) == [Create(job_for(cronjob, NOW))]
    assert of(Create, actions_of(cronjob, now=NOW + 2 * MINUTE)) == []


@pytest.mark.parametrize(
    ("policy", "made", "deleted", "told"),
    [
        ("Allow", 1, 0, ["SuccessfulCreate"]),
        ("Forbid", 0, 0, ["JobAlreadyActive"]),
        ("Replace", 1, 1, ["SuccessfulDelete", "SuccessfulCreate"]),
    ],
)
def test_what_still_runs_is_treated_as_the_policy_says(policy, made, deleted, told):
    cronjob = a_cronjob(concurrency_policy=policy, status={"lastScheduleTime": NOW - MINUTE})
    running = a_started_job(cronjob, NOW - MINUTE)

    actions = actions_of(cronjob, running)

    assert (len(of(Create, actions)), len(of(Delete, actions)), reasons(actions)) == (made, deleted, told)


def test_a_job_made_by_hand_stands_in_nobodys_way():
    cronjob = a_cronjob(concurrency_policy="Forbid")
    manual = an_object(Job, "manual", api_version="batch/v1", owner=cronjob)

    assert of(Create, actions_of(cronjob, manual)) == [Create(job_for(cronjob, NOW))]


def test_a_suspended_one_starts_nothing_and_still_counts():
    cronjob = a_cronjob(suspend=True)
    running = a_started_job(cronjob, NOW - MINUTE)

    [told] = actions_of(cronjob, running)

    assert [reference.uid for reference in told.obj.status.active] == [running.metadata.uid]


def test_ends_are_told_once_and_the_last_success_is_noted():
    cronjob = a_cronjob(suspend=True)
    done, gone = a_finished_job(cronjob, NOW), a_started_job(cronjob, NOW - MINUTE)
    active = [reference_to(done), reference_to(gone)]
    cronjob = a_cronjob(suspend=True, status={"active": active})

    *events, told = actions_of(cronjob, done)

    assert [event.message for event in events] == [
        "Saw completed job: tick-29453760, condition: Complete",
        "Active job went missing: tick-29453759",
    ]
    assert (told.obj.status.active, told.obj.status.last_successful_time) == ((), NOW)


@pytest.mark.parametrize(("how", "limit"), [("Complete", "successful"), ("Failed", "failed")])
def test_the_oldest_finished_jobs_beyond_the_limit_go(how, limit):
    cronjob = a_cronjob(suspend=True, **{f"{limit}_jobs_history_limit": 2})
    jobs = [a_finished_job(cronjob, NOW - minutes * MINUTE, how) for minutes in (1, 2, 3, 4)]

    assert of(Delete, actions_of(cronjob, *jobs)) == [Delete(jobs[3]), Delete(jobs[2])]


def test_why_a_job_could_not_be_made_is_told():
    cronjob = a_cronjob()

    actions = actions_of(cronjob, failure=Forbidden("quota exceeded"))

    assert of(Event, actions)[0] == Event(cronjob, "FailedCreate", "Error creating job: quota exceeded", "Warning")


@pytest.mark.parametrize("writes", range(4))
def test_whoever_dies_between_two_writes_starts_nothing_twice(writes):
    cluster = JobCluster(a_cronjob())
    world = cluster.world()
    for action in list(plan(cluster.get(CronJob, "default/tick"), world))[:writes]:
        cluster._act(action, world)
    for _ in range(2):
        cluster.run(CronJob, plan, "default/tick")

    assert [job.metadata.name for job in cluster.list(Job)] == ["tick-29453760"]
    assert cluster.get(CronJob, "default/tick").status.last_schedule_time == NOW
