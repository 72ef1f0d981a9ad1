"""What the node reports of a pod in one situation."""

from typing import Any

import pytest

from kubelet.runtime.base import ContainerRecord, Sandbox, State
from kubelet.seen import Failure, Health, Seen, Trouble
from kubelet.status import status_of, status_patch
from tests.kubelet.test_plan import KEY, a_record, later, seen, the_pod
from tests.make import NOW, a_condition, a_container
from wherry.api.core.pod import Pod
from wherry.machinery.time import time_text

Json = dict[str, Any]


def the_status(pod: Pod, looks: Seen, before: Json | None = None, *, has_ended: bool = False) -> Json:
    return status_of(pod, looks, before or {}, host_ip="192.0.2.1", has_ended=has_ended)


def condition(status: Json, type: str) -> Json:
    found = next(condition for condition in status["conditions"] if condition["type"] == type)
    return {key: found[key] for key in ("status", "reason", "message") if key in found}


def state(status: Json, place: int = 0) -> Json:
    found: Json = status["containerStatuses"][place]["state"]
    return found


def test_a_running_pod_whole():
    status = the_status(the_pod(), seen(a_record(image="app:1", image_id="sha256:1")))

    true = {"status": "True", "observedGeneration": 1, "lastTransitionTime": time_text(NOW)}
    names = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    assert status == {
        "phase": "Running",
        "qosClass": "BestEffort",
        "observedGeneration": 1,
        "startTime": time_text(NOW),
        "hostIP": "192.0.2.1",
        "hostIPs": [{"ip": "192.0.2.1"}],
        "podIP": "10.0.0.9",
        "podIPs": [{"ip": "10.0.0.9"}],
        "containerStatuses": [
            {
                "name": "app",
                "image": "app:1",
                "imageID": "docker://sha256:1",
                "containerID": "docker://app0",
                "restartCount": 0,
                "state": {"running": {"startedAt": time_text(NOW)}},
                "lastState": {},
                "started": True,
                "ready": True,
            }
        ],
        "conditions": [{"type": name, **true} for name in names],
    }


def test_before_anything_runs_the_container_is_being_created():
    status = the_status(the_pod(), Seen(NOW))

    assert (status["phase"], state(status)) == ("Pending", {"waiting": {"reason": "ContainerCreating"}})
    assert condition(status, "Ready") == {
        "status": "False",
        "reason": "ContainersNotReady",
        "message": "containers with unready status: [app]",
    }


def test_init_containers_that_are_not_there_yet_wait_for_initialization_too():
    pod = the_pod(init_containers=[a_container("init"), a_container("next")])

    early, later = the_status(pod, Seen(NOW)), the_status(pod, seen())

    waiting = {"waiting": {"reason": "PodInitializing"}}
    for status in (early, later):
        assert [each["state"] for each in status["initContainerStatuses"]] == [waiting, waiting]


def test_behind_an_init_container_it_waits_for_initialization():
    pod = the_pod(init_containers=[a_container("init")])
    status = the_status(pod, seen(a_record("init")))

    assert (status["phase"], state(status)) == ("Pending", {"waiting": {"reason": "PodInitializing"}})
    assert condition(status, "Initialized") == {
        "status": "False",
        "reason": "ContainersNotInitialized",
        "message": "containers with incomplete status: [init]",
    }


def test_trouble_is_the_reason_to_wait():
    troubles = {"app": Trouble("ErrImagePull", "no such host", None)}

    assert state(the_status(the_pod(), seen(troubles=troubles))) == {
        "waiting": {"reason": "ErrImagePull", "message": "no such host"}
    }


def test_a_crash_loop_shows_its_last_end():
    crashed = a_record(attempt=2, exit_code=7, restart_delay_seconds=20)
    status = the_status(the_pod(), seen(crashed, messages={"app2": "out of luck"}))

    assert state(status) == {
        "waiting": {
            "reason": "CrashLoopBackOff",
            "message": "back-off 20s restarting failed container=app pod=web_default(pod-default-web)",
        }
    }
    assert status["containerStatuses"][0]["lastState"]["terminated"]["message"] == "out of luck"
    assert (status["phase"], status["containerStatuses"][0]["restartCount"]) == ("Running", 2)


def test_a_crash_loop_is_shown_until_the_container_runs_again():
    crashed = a_record(attempt=2, exit_code=7, restart_delay_seconds=20)

    shown = the_status(the_pod(), seen(crashed, now=later(21)))["containerStatuses"][0]

    assert shown["state"]["waiting"]["reason"] == "CrashLoopBackOff"
    assert shown["lastState"]["terminated"]["exitCode"] == 7


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (a_record(exit_code=0), "Completed"),
        (a_record(exit_code=1), "Error"),
        (a_record(exit_code=137, is_oom_killed=True), "OOMKilled"),
        (a_record(exit_code=128, error="no such file"), "StartError"),
    ],
)
def test_the_end_of_a_container_has_a_reason(record: ContainerRecord, reason: str):
    status = the_status(the_pod(restart_policy="Never"), seen(record), has_ended=True)

    assert state(status)["terminated"]["reason"] == reason


@pytest.mark.parametrize(
    ("policy", "codes", "phase"),
    [
        ("Never", (0, 0), "Succeeded"),
        ("Never", (0, 1), "Failed"),
        ("OnFailure", (0, 0), "Succeeded"),
        ("OnFailure", (0, 1), "Running"),
        ("Always", (0, 0), "Running"),
    ],
)
def test_the_phase_of_a_pod_whose_containers_ended(policy: str, codes: tuple[int, int], phase: str):
    pod = the_pod(restart_policy=policy, containers=[a_container("app"), a_container("other")])
    records = [a_record(name, exit_code=code) for name, code in zip(("app", "other"), codes, strict=True)]

    assert the_status(pod, seen(*records), has_ended=phase in ("Succeeded", "Failed"))["phase"] == phase


def test_the_end_is_not_announced_while_something_runs():
    pod = the_pod(restart_policy="Never")
    looks = seen(a_record(), failure=Failure("DeadlineExceeded", "too long"))

    assert the_status(pod, looks, {"phase": "Running"})["phase"] == "Running"
    assert the_status(pod, seen(a_record(exit_code=0), failure=looks.failure), has_ended=True)["phase"] == "Failed"


def test_a_phase_that_is_final_stays():
    before = {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}

    status = the_status(the_pod(), seen(a_record(exit_code=0)), before, has_ended=True)

    assert {key: status[key] for key in before} == before


def test_an_unready_probe_makes_the_pod_unready():
    pod = the_pod(containers=[a_container(readiness_probe={"tcpSocket": {"port": 1}})])
    status = the_status(pod, seen(a_record(), health={"app0": Health(is_ready=False)}))

    assert (status["phase"], condition(status, "Ready")["status"]) == ("Running", "False")


def test_readiness_gates_must_hold_too():
    gates = {"readiness_gates": [{"conditionType": "shop/open"}]}
    closed = the_status(the_pod(**gates), seen(a_record()))
    opened = the_status(the_pod(**gates, conditions=[a_condition("shop/open")]), seen(a_record()))

    assert condition(closed, "ContainersReady") == {"status": "True"}
    assert condition(closed, "Ready")["reason"] == "ReadinessGatesNotReady"
    assert condition(opened, "Ready") == {"status": "True"}


def test_a_container_that_vanished_with_the_pod_is_reported_as_lost():
    known = {"name": "app", "state": {"running": {}}, "restartCount": 3, "containerID": "docker://x"}

    status = the_status(the_pod(), seen(sandboxes=()), {"containerStatuses": [known]}, has_ended=True)

    assert state(status)["terminated"]["reason"] == "ContainerStatusUnknown"
    assert status["containerStatuses"][0]["restartCount"] == 3


def test_transition_times_move_only_when_the_status_does():
    first = the_status(the_pod(), seen(a_record()))
    second = the_status(the_pod(), seen(a_record(), now=later(60)), first)
    third = the_status(the_pod(), seen(a_record(exit_code=1), now=later(60)), first)

    assert second == first
    times = {c["type"]: c["lastTransitionTime"] for c in third["conditions"]}
    assert (times["Ready"], times["PodScheduled"]) == (time_text(later(60)), time_text(NOW))


def test_a_dead_sandbox_has_no_address():
    dead = Sandbox("s0", KEY, 0, State.EXITED, NOW)

    assert "podIP" not in the_status(the_pod(), seen(a_record(exit_code=1), sandboxes=(dead,)))


def test_nothing_is_written_when_nothing_changed():
    status = the_status(the_pod(), seen(a_record()))

    assert status_patch("u", status, status) is None


def test_a_condition_that_turns_true_loses_its_reason():
    before = the_status(the_pod(), Seen(NOW))
    after = the_status(the_pod(), seen(a_record()), before)

    patch = status_patch("u", before, after)

    assert patch is not None
    ready = next(c for c in patch["status"]["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"], ready["message"]) == ("True", None, None)
    assert patch["metadata"] == {"uid": "u"}


def test_a_host_with_another_address_replaces_the_one_before():
    before, after = {"hostIPs": [{"ip": "10.0.0.1"}]}, {"hostIPs": [{"ip": "10.0.0.2"}]}

    patch = status_patch("u", before, after)

    assert patch == {
        "metadata": {"uid": "u"},
        "status": {"hostIPs": [{"$patch": "replace"}, {"ip": "10.0.0.2"}]},
    }


def test_what_was_reported_of_a_finished_container_stands_when_the_engine_has_lost_it():
    pod = the_pod(restart_policy="Never")
    reported = the_status(pod, seen(a_record(exit_code=0)))

    # As a kubelet that starts anew reads it: a view leaves out what is 0.
    before = Pod.read({**pod.to_wire(), "status": reported}).status.to_wire()

    assert state(the_status(pod, seen(), before)) == state(reported)
