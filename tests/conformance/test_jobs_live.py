"""Jobs on a node: exit codes, restarts in place, indexes in the environment, policies, schedules."""

from typing import Any

from live_api import Space, eventually
from live_pods import a_container, has_condition

Object = dict[str, Any]


def a_job(script: str, *, restart: str = "Never", **spec: Any) -> Object:
    pod = {"restartPolicy": restart, "terminationGracePeriodSeconds": 1, "containers": [a_container("work", script)]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "work"},
        "spec": {"template": {"spec": pod}, **spec},
    }


def indexed(script: str, completions: int, **spec: Any) -> Object:
    return a_job(script, completionMode="Indexed", completions=completions, parallelism=completions, **spec)


def ended(space: Space, job: Object, how: str = "Complete") -> Object:
    space.create(job)
    return space.until("Job", "work", lambda job: has_condition(job, how))


def reason_of(job: Object, kind: str) -> str:
    return next(condition["reason"] for condition in job["status"]["conditions"] if condition["type"] == kind)


def test_pods_of_an_indexed_job_know_their_index(space: Space) -> None:
    job = ended(space, indexed('[ "$(hostname)" = "work-$JOB_COMPLETION_INDEX" ]', 3))

    assert (job["status"]["succeeded"], job["status"]["completedIndexes"]) == (3, "0-2")


def test_containers_restart_in_place_until_the_job_is_complete(space: Space) -> None:
    mount = {"name": "v", "mountPath": "/v"}
    job = a_job("[ -e /v/tried ] || { touch /v/tried; exit 1; }", restart="OnFailure")
    pod = job["spec"]["template"]["spec"]
    pod["volumes"] = [{"name": "v", "emptyDir": {}}]
    pod["containers"][0]["volumeMounts"] = [mount]

    assert ended(space, job)["status"]["succeeded"] == 1
    assert len(space.all("Pod")) == 1


def test_an_exit_code_may_fail_a_job_at_once(space: Space) -> None:
    codes = {"operator": "In", "values": [42]}
    policy = {"rules": [{"action": "FailJob", "onExitCodes": codes}]}

    job = ended(space, a_job("exit 42", podFailurePolicy=policy), "Failed")

    assert (reason_of(job, "Failed"), job["status"]["failed"]) == ("PodFailurePolicy", 1)


def test_indexes_fail_one_by_one(space: Space) -> None:
    job = ended(space, indexed("exit $((JOB_COMPLETION_INDEX % 2))", 4, backoffLimitPerIndex=0), "Failed")

    status = job["status"]
    assert (status["completedIndexes"], status["failedIndexes"]) == ("0,2", "1,3")
    assert reason_of(job, "Failed") == "FailedIndexes"


def test_a_success_policy_ends_the_rest(space: Space) -> None:
    policy = {"rules": [{"succeededIndexes": "0"}]}
    script = "[ $JOB_COMPLETION_INDEX = 0 ] || { trap 'exit 0' TERM; sleep 3600 & wait; }"

    job = ended(space, indexed(script, 2, successPolicy=policy))

    assert (job["status"]["completedIndexes"], reason_of(job, "Complete")) == ("0", "SuccessPolicy")


def test_a_deleted_job_takes_its_pods_with_it(space: Space) -> None:
    space.create(a_job("", parallelism=2, completions=2))
    space.until("Job", "work", lambda job: job["status"].get("active") == 2)

    space.delete("Job", "work", propagationPolicy="Background")

    eventually(lambda: space.all("Pod") == [])


def test_a_cronjob_starts_jobs_that_end(space: Space) -> None:
    template = {"spec": a_job("true")["spec"]}
    spec = {"schedule": "@every 2s", "jobTemplate": template}
    space.create({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tick"}, "spec": spec})

    space.until("CronJob", "tick", lambda cronjob: cronjob["status"].get("lastSuccessfulTime"))
