"""The Job controller: world in, actions out."""

from datetime import timedelta

import pytest
from jobs import a_job, a_job_pod, an_indexed_job, ended
from make import NOW, a_condition, a_pod

from controllers.job.indexed import FAILURES, IGNORED, INDEX
from controllers.job.making import VARIABLE, indexed_pod, tracked_pod
from controllers.job.orphans import plan as plan_orphan
from controllers.job.plan import plan
from controllers.job.ttl import plan as plan_ttl
from wherry.api.batch.job import TRACKING
from wherry.client.plan import CheckAgain, Create, Delete, Event, SetStatus, Update
from wherry.client.world import World

FREED = {"metadata": {"finalizers": None}}
LONG_AGO = NOW - timedelta(hours=1)
STARTED = {"startTime": LONG_AGO}


def actions_of(job, *pods, kind=None):
    found = list(plan(job, World(job, *pods)))
    return [action for action in found if kind is None or isinstance(action, kind)]


def status_of(job, *pods):
    [told] = actions_of(job, *pods, kind=SetStatus)
    return told.obj.status


def conditions_of(job, *pods):
    return {(condition.type, condition.reason) for condition in status_of(job, *pods).conditions if condition.is_true}


def test_a_new_job_starts_its_clock_and_makes_pods_that_wait_to_be_counted():
    job = a_job(completions=5, parallelism=2)

    told, *creations = plan(job, World(job))

    assert told == SetStatus(job.with_status(start_time=NOW, ready=0, terminating=0))
    assert creations == [Create(tracked_pod(job))] * 2
    assert tracked_pod(job)["metadata"]["finalizers"] == [TRACKING]


def test_an_end_is_noted_before_the_pod_is_let_go():
    job = a_job(completions=2, status=STARTED)
    pod = a_job_pod(job, phase="Succeeded")

    told, update, create = plan(job, World(job, pod))

    assert told.obj.status.uncounted_terminated_pods.succeeded == (pod.metadata.uid,)
    assert told.obj.status.succeeded == 0
    assert (update, create) == (Update(pod, FREED), Create(tracked_pod(job)))


@pytest.mark.parametrize("is_gone", [False, True])
def test_what_was_noted_counts_when_the_finalizer_is_seen_to_be_gone(is_gone):
    job = a_job(completions=2, status={**STARTED, "uncountedTerminatedPods": {"succeeded": ["u"], "failed": ["v"]}})
    pods = [] if is_gone else [a_job_pod(job, phase="Succeeded", uid="u", finalizers=[])]

    status = status_of(job, *pods)

    assert (status.succeeded, status.failed, status.uncounted_terminated_pods.to_wire()) == (1, 1, {})


def test_the_end_is_told_only_when_everything_is_counted():
    job = a_job(status=STARTED)
    pod = a_job_pod(job, phase="Succeeded")
    counted = a_job(status={**STARTED, "succeeded": 1})

    assert conditions_of(job, pod) == {("SuccessCriteriaMet", "CompletionsReached")}
    assert {type for type, _ in conditions_of(counted)} == {"SuccessCriteriaMet", "Complete"}
    assert status_of(counted).completion_time == NOW
    assert actions_of(counted, kind=Event) == [Event(counted, "Completed", "Job completed")]


def test_without_a_number_of_completions_one_success_ends_it_when_nothing_runs():
    job = a_job(parallelism=2, status=STARTED)
    done, running = a_job_pod(job, phase="Succeeded"), a_job_pod(job, ready=True)

    assert conditions_of(job, done, running) == set()
    assert actions_of(job, done, running, kind=Create) == []
    assert conditions_of(job, done) == {("SuccessCriteriaMet", "CompletionsReached")}


@pytest.mark.parametrize(("failures", "seconds"), [(1, 10), (2, 20), (3, 40), (9, 600)])
def test_after_failures_it_waits_longer_each_time(failures, seconds):
    job = a_job(backoff_limit=20, status={**STARTED, "failed": failures})
    pods = [a_job_pod(job, phase="Failed", finalizers=[], status=ended(1, NOW)) for _ in range(failures)]

    assert actions_of(job, *pods)[1:] == [CheckAgain(seconds)]


def test_a_node_whose_clock_is_ahead_makes_nobody_wait_until_then():
    job = a_job(backoff_limit=20, status={**STARTED, "failed": 1})
    in_an_hour = ended(1, NOW + timedelta(hours=1))
    failed = a_job_pod(job, phase="Failed", finalizers=[], status=in_an_hour, created=NOW - timedelta(seconds=7))

    assert actions_of(job, failed)[1:] == [CheckAgain(3)]


def test_a_success_ends_the_wait():
    job = a_job(completions=3, status={**STARTED, "failed": 1, "succeeded": 1})
    failed = a_job_pod(job, phase="Failed", finalizers=[], status=ended(1, NOW - timedelta(seconds=1)))
    succeeded = a_job_pod(job, phase="Succeeded", finalizers=[], status=ended(0, NOW))

    assert actions_of(job, failed, succeeded, kind=Create) == [Create(tracked_pod(job))]


def test_over_its_limit_it_fails_and_takes_its_pods_with_it():
    job = a_job(completions=5, parallelism=2, backoff_limit=0, status=STARTED)
    failed, running = a_job_pod(job, phase="Failed"), a_job_pod(job, ready=True)

    told, *rest = plan(job, World(job, failed, running))

    assert told.obj.status.conditions[0].reason == "BackoffLimitExceeded"
    assert set(told.obj.status.uncounted_terminated_pods.failed) == {failed.metadata.uid, running.metadata.uid}
    assert rest == [Update(failed, FREED), Update(running, FREED), Delete(running)]


def test_containers_that_restart_in_place_count_against_the_limit():
    job = a_job(backoff_limit=3, restart_policy="OnFailure", status=STARTED)
    restarted = {"containerStatuses": [{"name": "app", "restartCount": 3}]}

    assert conditions_of(job, a_job_pod(job, phase="Running", status=restarted)) == {
        ("FailureTarget", "BackoffLimitExceeded")
    }


def test_an_active_deadline_ends_it_and_is_not_missed():
    late = a_job(active_deadline_seconds=60, status=STARTED)
    early = a_job(active_deadline_seconds=60, status={"startTime": NOW - timedelta(seconds=45)})

    assert conditions_of(late, a_job_pod(late)) == {("FailureTarget", "DeadlineExceeded")}
    assert actions_of(early, a_job_pod(early), kind=CheckAgain) == [CheckAgain(15)]


def test_a_suspended_job_lets_its_pods_go_uncounted_and_starts_its_clock_anew_when_it_resumes():
    suspended = a_job(suspend=True, status=STARTED)
    pod = a_job_pod(suspended, ready=True)
    resumed = a_job(status={**STARTED, "conditions": [a_condition("Suspended")]})

    told, event, *rest = plan(suspended, World(suspended, pod))

    assert (told.obj.status.failed, told.obj.status.conditions[0].type) == (0, "Suspended")
    assert event == Event(suspended, "Suspended", "Job suspended")
    assert rest == [Update(pod, FREED), Delete(pod)]
    assert status_of(resumed).start_time == NOW


@pytest.mark.parametrize(
    "job",
    [a_job(managed_by="acme.io/queue"), a_job(status={"conditions": [a_condition("Complete")]})],
    ids=["managed by another", "finished"],
)
def test_what_is_not_or_no_longer_its_own_is_left_alone(job):
    assert actions_of(job, a_job_pod(job, phase="Failed")) == []


def a_policy(action, **rule):
    return {"rules": [{"action": action, **rule}]}


ON_THREE = {"onExitCodes": {"operator": "In", "values": [3]}}
ON_DISRUPTION = {"onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}


def test_a_policy_may_fail_the_job_at_once_and_says_why():
    job = a_job(pod_failure_policy=a_policy("FailJob", **ON_THREE), status=STARTED)
    pod = a_job_pod(job, "p", phase="Failed", status=ended(3))

    [condition] = status_of(job, pod).conditions

    assert (condition.type, condition.reason) == ("FailureTarget", "PodFailurePolicy")
    assert condition.message == (
        "Container app for pod default/p failed with exit code 3 matching FailJob rule at index 0"
    )


@pytest.mark.parametrize(("action", "failed"), [("Ignore", 0), ("Count", 1)])
def test_a_policy_says_which_failures_count(action, failed):
    job = a_job(pod_failure_policy=a_policy(action, **ON_DISRUPTION), status=STARTED)
    pod = a_job_pod(job, phase="Failed", conditions=[a_condition("DisruptionTarget")])

    told, update, *_ = plan(job, World(job, pod))

    assert len(told.obj.status.uncounted_terminated_pods.failed) == failed
    assert update == Update(pod, FREED)


def test_pods_have_the_index_in_name_label_annotation_host_name_and_environment():
    job = an_indexed_job(completions=3)

    pod = indexed_pod(job, 2, None)

    assert pod["metadata"]["generateName"] == "work-2-"
    assert (pod["metadata"]["annotations"], pod["metadata"]["labels"][INDEX]) == ({INDEX: "2"}, "2")
    assert pod["spec"]["hostname"] == "work-2"
    assert pod["spec"]["containers"][0]["env"][0]["name"] == VARIABLE


def test_the_first_free_indexes_are_filled_and_a_second_pod_of_one_goes():
    job = an_indexed_job(completions=6, parallelism=3, status={**STARTED, "completedIndexes": "0,2"})
    running = a_job_pod(job, index=1, ready=True)
    double = a_job_pod(job, index=1)

    assert actions_of(job, running, kind=Create) == [Create(indexed_pod(job, index, None)) for index in (3, 4)]
    assert actions_of(job, running, double, kind=Delete) == [Delete(double)]


def test_an_index_is_tried_again_after_a_pause_and_its_last_pod_stays_until_then():
    job = an_indexed_job(completions=2, parallelism=2, backoff_limit=99, backoff_limit_per_index=1, status=STARTED)
    other = a_job_pod(job, index=1, ready=True)
    just, before = (
        a_job_pod(job, index=0, phase="Failed", annotations={FAILURES: "0"}, status=ended(1, at))
        for at in (NOW, LONG_AGO)
    )

    assert actions_of(job, just, other)[1:] == [CheckAgain(10)]
    [creation] = actions_of(job, before, other)[1:]
    assert creation.manifest["metadata"]["annotations"] == {INDEX: "0", FAILURES: "1"}


def test_an_index_that_failed_too_often_is_given_up_and_the_others_go_on():
    job = an_indexed_job(completions=2, parallelism=2, backoff_limit=99, backoff_limit_per_index=1, status=STARTED)
    failed = a_job_pod(job, index=0, phase="Failed", annotations={FAILURES: "1"})
    running, done = a_job_pod(job, index=1, ready=True), a_job_pod(job, index=1, phase="Succeeded")

    status = status_of(job, failed, running)

    assert (status.failed_indexes, status.conditions) == ("0", ())
    assert conditions_of(job, failed, done) == {("FailureTarget", "FailedIndexes")}


def test_too_many_failed_indexes_end_the_job():
    job = an_indexed_job(
        completions=9, backoff_limit=99, backoff_limit_per_index=0, max_failed_indexes=1, status=STARTED
    )
    pods = [a_job_pod(job, index=index, phase="Failed", annotations={FAILURES: "0"}) for index in (0, 1)]

    assert conditions_of(job, pods[0]) == set()
    assert conditions_of(job, *pods) == {("FailureTarget", "MaxFailedIndexesExceeded")}


def test_ignored_failures_of_an_index_are_remembered_apart():
    policy = a_policy("Ignore", **ON_DISRUPTION)
    job = an_indexed_job(completions=1, backoff_limit=9, backoff_limit_per_index=0, pod_failure_policy=policy)
    pod = a_job_pod(
        job,
        index=0,
        phase="Failed",
        annotations={FAILURES: "0"},
        conditions=[a_condition("DisruptionTarget")],
        status=ended(137, LONG_AGO),
    )

    [creation] = actions_of(job, pod, kind=Create)

    assert creation.manifest["metadata"]["annotations"] == {INDEX: "0", FAILURES: "0", IGNORED: "1"}


@pytest.mark.parametrize(
    ("rule", "is_met"),
    [
        ({"succeededIndexes": "0,2"}, True),
        ({"succeededIndexes": "0-2"}, False),
        ({"succeededCount": 2}, True),
        ({"succeededCount": 3}, False),
        ({"succeededIndexes": "1-3", "succeededCount": 1}, True),
        ({"succeededIndexes": "3,4", "succeededCount": 1}, False),
    ],
)
def test_a_success_policy_ends_it_before_all_indexes_are_done(rule, is_met):
    status = {**STARTED, "completedIndexes": "0,2"}
    job = an_indexed_job(completions=5, parallelism=5, success_policy={"rules": [rule]}, status=status)
    running = a_job_pod(job, index=1, ready=True)

    assert (conditions_of(job, running) == {("SuccessCriteriaMet", "SuccessPolicy")}) is is_met
    assert (actions_of(job, running, kind=Delete) == [Delete(running)]) is is_met


@pytest.mark.parametrize(("policy", "made"), [("TerminatingOrFailed", 1), ("Failed", 0)])
def test_a_pod_on_its_way_out_is_replaced_at_once_or_when_it_is_gone(policy, made):
    job = a_job(pod_replacement_policy=policy, status=STARTED)
    leaving = a_job_pod(job, ready=True, deleted=LONG_AGO)

    assert len(actions_of(job, leaving, kind=Create)) == made
    assert status_of(job, leaving).terminating == 1


def test_an_indexed_job_shrinks_with_its_completions():
    job = an_indexed_job(completions=1, parallelism=1, status={**STARTED, "completedIndexes": "0,2"})
    pod = a_job_pod(job, index=1, ready=True)

    assert (status_of(job, pod).completed_indexes, status_of(job, pod).succeeded) == ("0", 1)
    assert actions_of(job, pod, kind=Delete) == [Delete(pod)]


def test_an_orphan_is_adopted_and_will_be_counted_and_one_whose_labels_changed_is_released():
    job = a_job(status=STARTED)
    orphan, stranger = a_pod(labels={"job-name": "work"}), a_job_pod(job, labels={"job-name": "other"})

    adoption = [action.patch for action in actions_of(job, orphan, kind=Update)]
    release = [action.patch for action in actions_of(job, stranger, kind=Update)]

    assert adoption[0]["metadata"]["ownerReferences"][0]["name"] == "work"
    assert adoption[1] == {"metadata": {"finalizers": [TRACKING]}}
    assert release == [{"metadata": {"ownerReferences": None}}, FREED]


def test_a_pod_whose_job_is_gone_is_freed_and_one_whose_job_works_is_not():
    job = a_job()
    pod = a_job_pod(job)

    assert list(plan_orphan(pod, World(pod))) == [Update(pod, FREED)]
    assert list(plan_orphan(pod, World(pod, job))) == []


@pytest.mark.parametrize(("age", "action"), [(30, CheckAgain(30.0)), (60, "delete")])
def test_a_finished_job_goes_after_its_time(age, action):
    done = [a_condition("Complete", since=NOW - timedelta(seconds=age))]
    job = a_job(ttl_seconds_after_finished=60, status={"conditions": done})

    expected = Delete(job, propagation="Foreground") if action == "delete" else action
    assert list(plan_ttl(job, World(job))) == [expected]
