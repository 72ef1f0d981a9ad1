"""Jobs and CronJobs: defaults, what the server chooses, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from judging import container, created, defaulted, faults, faults_of_update, row, thing

from wherry.api.batch.indexes import Indexes, parse_indexes, reported_indexes
from wherry.api.batch.job import Job
from wherry.machinery.time import parse_time

TEMPLATE = {"spec": {"restartPolicy": "Never", "containers": [container()]}}
UID = {"uid": "u-1"}
RULE = {"action": "Count", "onExitCodes": {"operator": "In", "values": [1]}}


def a_job(name="work", **spec):
    return thing("Job", "batch/v1", name, metadata=UID, spec={"template": TEMPLATE, **spec})


def indexed(**spec):
    return a_job(**{"completionMode": "Indexed", "completions": 3, **spec})


def a_cronjob(name="tick", **spec):
    template = {"spec": {"template": TEMPLATE}}
    return thing("CronJob", "batch/v1", name, spec={"schedule": "@daily", "jobTemplate": template, **spec})


def test_a_job_runs_once_and_tries_six_times_more():
    spec = defaulted(a_job())["spec"]

    assert {key: value for key, value in spec.items() if key != "template"} == {
        "completions": 1,
        "parallelism": 1,
        "backoffLimit": 6,
        "completionMode": "NonIndexed",
        "suspend": False,
        "manualSelector": False,
        "podReplacementPolicy": "TerminatingOrFailed",
    }


@pytest.mark.parametrize(
    ("spec", "field", "value"),
    [
        ({"parallelism": 3}, "completions", None),
        ({"backoffLimitPerIndex": 1}, "backoffLimit", 2**31 - 1),
        ({"podFailurePolicy": {"rules": []}}, "podReplacementPolicy", "Failed"),
    ],
)
def test_what_is_said_decides_what_is_filled_in(spec, field, value):
    assert defaulted(a_job(**spec))["spec"].get(field) == value


def test_the_server_chooses_labels_and_a_selector_that_no_other_job_has():
    job = created(a_job())
    names = ("batch.kubernetes.io/", "")
    labels = {
        f"{prefix}{key}": value for prefix in names for key, value in (("job-name", "work"), ("controller-uid", "u-1"))
    }

    assert job["spec"]["template"]["metadata"]["labels"] == labels
    assert job["metadata"]["labels"] == labels
    assert job["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": "u-1"}}


def test_an_author_may_choose_them_himself():
    mine = {"app": "mine"}
    template = {**TEMPLATE, "metadata": {"labels": mine}}
    job = a_job(manualSelector=True, selector={"matchLabels": mine}, template=template)

    assert faults(job) == []
    assert created(job)["spec"]["selector"] == {"matchLabels": mine}


JOB_FAULTS = [
    (a_job(parallelism=-1), "spec.parallelism: Invalid value: -1: must be greater than or equal to 0"),
    (
        a_job(selector={"matchLabels": {"a": "b"}}),
        "`selector` not auto-generated",
    ),
    (
        a_job(template={"spec": {"containers": [container()]}}),
        'spec.template.spec.restartPolicy: Required value: valid values: "OnFailure", "Never"',
    ),
    (
        a_job(completionMode="Random"),
        'spec.completionMode: Unsupported value: "Random": supported values: "Indexed", "NonIndexed"',
    ),
    (
        indexed(completions=None, parallelism=1),
        "spec.completions: Required value: when completion mode is Indexed",
    ),
    (
        a_job(backoffLimitPerIndex=1),
        "spec.backoffLimitPerIndex: Invalid value: 1: requires indexed completion mode",
    ),
    (
        indexed(maxFailedIndexes=1),
        "spec.backoffLimitPerIndex: Required value: when maxFailedIndexes is specified",
    ),
    (
        indexed(maxFailedIndexes=4, backoffLimitPerIndex=1),
        "spec.maxFailedIndexes: Invalid value: 4: must be less than or equal to completions",
    ),
    (
        a_job(podReplacementPolicy="Never"),
        'spec.podReplacementPolicy: Unsupported value: "Never": supported values: "Failed", "TerminatingOrFailed"',
    ),
    (
        a_job(podFailurePolicy={"rules": [{**RULE, "action": "FailIndex"}]}),
        'rules[0].action: Invalid value: "FailIndex": requires the backoffLimitPerIndex to be set',
    ),
    (
        a_job(podFailurePolicy={"rules": [{"action": "Count"}]}),
        "spec.podFailurePolicy.rules[0]: Invalid value: specifying one of OnExitCodes and OnPodConditions is required",
    ),
    (
        a_job(podFailurePolicy={"rules": [{**RULE, "onExitCodes": {"operator": "In", "values": [0]}}]}),
        "spec.podFailurePolicy.rules[0].onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator",
    ),
    (
        indexed(successPolicy={"rules": [{"succeededIndexes": "0-5"}]}),
        'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0-5": error parsing succeededIndexes: '
        'too large index: "5"',
    ),
    (
        indexed(successPolicy={"rules": [{"succeededCount": 4}]}),
        "spec.successPolicy.rules[0].succeededCount: Invalid value: 4: must be less than or equal to 3 "
        "(the number of specified completions)",
    ),
    (a_job(managedBy="me"), 'spec.managedBy: Invalid value: "me": must be a domain-prefixed path'),
]


@pytest.mark.parametrize(("job", "fault"), JOB_FAULTS, ids=range(len(JOB_FAULTS)))
def test_a_job_that_breaks_a_rule_is_refused(job, fault):
    job["spec"] = {key: value for key, value in job["spec"].items() if value is not None}

    assert any(fault in found for found in faults(job)), faults(job)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (a_job(), {"completions": 2}, ["spec.completions: Invalid value: 2: field is immutable"]),
        (
            indexed(),
            {"completions": 5},
            ["spec.completions: Invalid value: 5: can only be modified in tandem with spec.parallelism"],
        ),
        (indexed(), {"completions": 5, "parallelism": 5}, []),
        (a_job(), {"parallelism": 7, "suspend": True, "backoffLimit": 9, "ttlSecondsAfterFinished": 1}, []),
    ],
)
def test_only_some_of_a_job_may_change(old, new, fault):
    stored = created(old)

    assert faults_of_update(old, {**stored, "spec": {**stored["spec"], **new}}) == fault


@pytest.mark.parametrize(("is_suspended", "refused"), [(True, 0), (False, 1)])
def test_a_queue_may_steer_a_suspended_job(is_suspended, refused):
    job = a_job(suspend=is_suspended)
    stored = created(job)
    template = stored["spec"]["template"]
    steered = {**template, "spec": {**template["spec"], "nodeSelector": {"zone": "a"}}}

    assert len(faults_of_update(job, {**stored, "spec": {**stored["spec"], "template": steered}})) == refused


COMPLETE = {"type": "Complete", "status": "True"}


def test_a_job_is_not_complete_without_having_been_told_so_before():
    job = Job.read({**a_job(), "status": {"conditions": [COMPLETE]}})

    assert [str(error) for error in job.validate_status(Job.read(a_job()))] == [
        "status.startTime: Required value: startTime is required for finished job",
        "status.completionTime: Required value: completionTime is required for Complete jobs",
        "status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true "
        "condition",
    ]
    assert list(job.validate_status(job)) == []


@pytest.mark.parametrize(
    ("spec", "status", "cells"),
    [
        ({"completions": 3}, {"succeeded": 1}, ("Running", "1/3", "")),
        ({"parallelism": 2}, {}, ("Running", "0/1 of 2", "")),
        ({"parallelism": 1}, {"conditions": [{"type": "Suspended", "status": "True"}]}, ("Suspended", "0/1", "")),
        (
            {"completions": 1},
            {
                "succeeded": 1,
                "conditions": [COMPLETE],
                "startTime": "2026-01-01T00:00:00Z",
                "completionTime": "2026-01-01T00:00:42Z",
            },
            ("Complete", "1/1", "42s"),
        ),
    ],
)
def test_the_cells_of_a_job(spec, status, cells):
    shown = row({**created(a_job(**spec)), "status": status})

    assert (shown["Status"], shown["Completions"], shown["Duration"]) == cells


def test_a_cronjob_keeps_three_good_jobs_and_a_bad_one():
    spec = defaulted(a_cronjob())["spec"]

    assert (spec["concurrencyPolicy"], spec["suspend"]) == ("Allow", False)
    assert (spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) == (3, 1)
    assert "backoffLimit" not in spec["jobTemplate"]["spec"]


CRON_FAULTS = [
    (a_cronjob("t" * 53), f'metadata.name: Invalid value: "{"t" * 53}": must be no more than 52 characters'),
    (a_cronjob(schedule=""), "spec.schedule: Required value"),
    (
        a_cronjob(schedule="TZ=UTC 0 0 * * *"),
        'spec.schedule: Invalid value: "TZ=UTC 0 0 * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field '
        "instead",
    ),
    (
        a_cronjob(schedule="* * * *"),
        'spec.schedule: Invalid value: "* * * *": expected exactly 5 fields, found 4: [* * * *]',
    ),
    (a_cronjob(timeZone="Mars/Base"), 'spec.timeZone: Invalid value: "Mars/Base": unknown time zone Mars/Base'),
    (
        a_cronjob(timeZone="local"),
        'spec.timeZone: Invalid value: "local": timeZone must be an explicit time zone as defined in '
        "https://www.iana.org/time-zones",
    ),
    (
        a_cronjob(concurrencyPolicy="Maybe"),
        'spec.concurrencyPolicy: Unsupported value: "Maybe": supported values: "Allow", "Forbid", "Replace"',
    ),
    (
        a_cronjob(jobTemplate={"spec": {"template": TEMPLATE, "parallelism": -1}}),
        "spec.jobTemplate.spec.parallelism: Invalid value: -1: must be greater than or equal to 0",
    ),
]


@pytest.mark.parametrize(("cronjob", "fault"), CRON_FAULTS, ids=range(len(CRON_FAULTS)))
def test_a_cronjob_that_breaks_a_rule_is_refused(cronjob, fault):
    assert faults(cronjob) == [fault]


def test_the_cells_of_a_cronjob():
    shown = row({**created(a_cronjob(timeZone="Europe/Berlin")), "status": {"active": [{"name": "a"}]}})

    wanted = ("Schedule", "Timezone", "Suspend", "Active")
    assert [shown[name] for name in wanted] == ["@daily", "Europe/Berlin", "False", 1]
    assert shown["Last Schedule"].text(parse_time("2026-01-01T00:00:00Z")) == "<none>"


@pytest.mark.parametrize("text", ["", "0", "1,3-5,7", "0,1", "0-2,4,5,7-9"])
def test_indexes_read_and_written_are_the_same_text(text):
    assert str(parse_indexes(text, 10)) == text


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("x", "cannot convert string to integer"),
        ("10", "too large index"),
        ("3,2", "non-increasing order, previous: 3, current: 2"),
        ("1-2-3", "at most two parts"),
        ("3-3", "non-increasing order"),
    ],
)
def test_what_are_no_indexes_is_refused(text, complaint):
    with pytest.raises(ValueError, match=complaint):
        parse_indexes(text, 10)


def test_of_reported_indexes_those_beyond_the_end_are_dropped():
    assert reported_indexes("0,2-6,9", 4) == Indexes.of({0, 2, 3})
    assert reported_indexes("", 4) == Indexes()


some = st.frozensets(st.integers(0, 30))


@given(some, some)
def test_indexes_are_sets(one, other):
    left, right = Indexes.of(one), Indexes.of(other)

    assert (left | right, left & right, left - right) == (
        Indexes.of(one | other),
        Indexes.of(one & other),
        Indexes.of(one - other),
    )
    assert (len(left), [index in left for index in range(31)]) == (len(one), [index in one for index in range(31)])
    assert set(left.gaps(31)) == set(range(31)) - one


def test_two_billion_indexes_are_as_cheap_as_two():
    job = indexed(completions=2**31 - 1, successPolicy={"rules": [{"succeededIndexes": "0-2147483646"}]})

    assert faults(job) == []
