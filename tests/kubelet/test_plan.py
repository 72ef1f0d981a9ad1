"""What a pod needs next: one situation, one plan."""

from datetime import timedelta
from typing import Any

import pytest

from kubelet import plan
from kubelet.runtime.base import ContainerRecord, Image, PodKey, Sandbox, State
from kubelet.seen import Health, Hook, ImageReading, Seen, Stopping, Trouble
from kubelet.steps import (
    BeginStop,
    ConfirmEnd,
    CreateSandbox,
    Fail,
    Hold,
    MountVolumes,
    PullImage,
    ReleaseVolumes,
    Remove,
    Signal,
    Start,
    Step,
    Wait,
)
from tests.make import NOW, a_container, a_pod
from wherry.api.core.pod import Pod

KEY = PodKey("default", "web", "pod-default-web")
SANDBOX = Sandbox("s0", KEY, 0, State.RUNNING, NOW, "10.0.0.9")


def the_pod(**spec: Any) -> Pod:
    return a_pod("web", **spec)


def a_record(name: str = "app", attempt: int = 0, **more: Any) -> ContainerRecord:
    """A running container of the pod's own sandbox; `exit_code` makes it an ended one."""
    given = {"id": f"{name}{attempt}", "sandbox_id": "s0", "started_at": NOW, "state": State.RUNNING, **more}
    if "exit_code" in given:
        given = {"finished_at": NOW, **given, "state": State.EXITED}
    return ContainerRecord(pod=KEY, name=name, attempt=attempt, created_at=NOW, **given)


def seen(*containers: ContainerRecord, sandboxes: tuple[Sandbox, ...] = (SANDBOX,), **more: Any) -> Seen:
    images = {name: ImageReading(Image("sha256:1")) for name in ("app", "init", "side", "other")}
    given = {"now": NOW, "images": images, "are_volumes_ready": True, **more}
    return Seen(sandboxes=sandboxes, containers=containers, **given)


def sync(pod: Pod, looks: Seen) -> list[Step]:
    return [step for step in plan.sync(pod, looks) if type(step).__name__ != "Tell"]


def later(seconds: float) -> Any:
    return NOW + timedelta(seconds=seconds)


def container_of(pod: Pod, name: str = "app") -> Any:
    return next(c for c in (*pod.spec.init_containers, *pod.spec.containers) if c.name == name)


def test_a_new_pod_gets_its_volumes_first():
    assert sync(the_pod(), Seen(NOW)) == [MountVolumes()]


@pytest.mark.parametrize("name", ["kernel.msgmax", "kernel/msgmax", "net.core.somaxconn"])
def test_a_pod_that_wants_an_unsafe_sysctl_is_refused(name: str):
    pod = the_pod(security_context={"sysctls": [{"name": name, "value": "65536"}]})

    assert sync(pod, Seen(NOW)) == [Fail("SysctlForbidden", f'forbidden sysctl: "{name}" not allowlisted')]


@pytest.mark.parametrize("name", ["net.ipv4.tcp_rmem", "net/ipv4/tcp_rmem", "kernel.shm_rmid_forced"])
def test_safe_sysctls_are_welcome(name: str):
    assert sync(the_pod(security_context={"sysctls": [{"name": name, "value": "1"}]}), Seen(NOW)) == [MountVolumes()]


def test_volumes_that_failed_are_tried_again_when_their_time_has_come():
    troubles = {"": Trouble("", "no such claim", later(2))}

    assert sync(the_pod(), Seen(NOW, troubles=troubles)) == [Wait(later(2))]


def test_then_its_sandbox():
    assert sync(the_pod(), seen(sandboxes=())) == [CreateSandbox(0)]


def test_then_its_container():
    pod = the_pod()

    assert sync(pod, seen()) == [Start(container_of(pod), 0, "s0")]


def test_a_pod_that_runs_is_left_alone():
    assert sync(the_pod(), seen(a_record())) == []


def test_a_dead_sandbox_takes_its_containers_with_it():
    dead = Sandbox("s0", KEY, 0, State.EXITED, NOW)
    running = a_record()

    assert sync(the_pod(), seen(running, sandboxes=(dead,))) == [
        BeginStop(running, 30, "Stopping container app: the pod's sandbox is gone")
    ]


def test_and_is_replaced_once_they_have_ended():
    dead = Sandbox("s0", KEY, 0, State.EXITED, NOW)

    assert sync(the_pod(), seen(a_record(exit_code=137), sandboxes=(dead,))) == [Remove("s0"), CreateSandbox(1)]


@pytest.mark.parametrize(
    ("policy", "exit_code", "is_started_again"),
    [
        ("Always", 0, True),
        ("Always", 1, True),
        ("OnFailure", 0, False),
        ("OnFailure", 1, True),
        ("Never", 0, False),
        ("Never", 1, False),
    ],
)
def test_the_policy_decides_about_a_container_that_ended(policy: str, exit_code: int, is_started_again: bool):
    pod = the_pod(restart_policy=policy)
    steps = sync(pod, seen(a_record(exit_code=exit_code)))

    assert steps == ([Start(container_of(pod), 1, "s0", 10)] if is_started_again else [])


def test_the_next_restart_waits_as_long_as_the_container_remembers():
    crashed = a_record(attempt=3, exit_code=1, restart_delay_seconds=40)

    assert sync(the_pod(), seen(crashed)) == [Wait(later(40))]


@pytest.mark.parametrize(("waited", "next_delay"), [(0, 10), (10, 20), (160, 300), (300, 300)])
def test_delays_double_up_to_five_minutes(waited: int, next_delay: int):
    pod = the_pod()
    crashed = a_record(attempt=2, exit_code=1, restart_delay_seconds=waited)

    assert sync(pod, seen(crashed, now=later(waited))) == [Start(container_of(pod), 3, "s0", next_delay)]


def test_restarts_count_on_when_the_engine_has_forgotten():
    status = {"containerStatuses": [{"name": "app", "restartCount": 4, "containerID": "docker://gone"}]}
    pod = the_pod(status=status)

    assert sync(pod, seen()) == [Start(container_of(pod), 5, "s0")]


def test_a_start_whose_answer_was_lost_is_made_again_under_its_number():
    pod = the_pod()

    assert sync(pod, seen(a_record(attempt=2, state=State.CREATED))) == [
        Remove("app2"),
        Start(container_of(pod), 2, "s0"),
    ]


def test_init_containers_go_first_and_alone():
    pod = the_pod(init_containers=[a_container("init")])

    assert sync(pod, seen()) == [Start(container_of(pod, "init"), 0, "s0")]
    assert sync(pod, seen(a_record("init"))) == []
    assert sync(pod, seen(a_record("init", exit_code=0))) == [Start(container_of(pod), 0, "s0")]


def test_an_initialized_pod_does_not_initialize_again():
    pod = the_pod(init_containers=[a_container("init")])

    assert sync(pod, seen(a_record(), a_record("init", exit_code=0))) == []


def test_an_init_container_that_failed_for_good_ends_the_pod():
    pod = the_pod(init_containers=[a_container("init")], restart_policy="Never")

    assert sync(pod, seen(a_record("init", exit_code=1))) == []


def test_a_sidecar_lets_the_others_start_when_it_has_started():
    pod = the_pod(init_containers=[a_container("side", restart_policy="Always")])
    side = a_record("side")

    assert sync(pod, seen(side, health={"side0": Health(is_started=False)})) == []
    assert sync(pod, seen(side)) == [Start(container_of(pod), 0, "s0")]


def test_a_sidecar_is_started_again_even_after_success():
    pod = the_pod(init_containers=[a_container("side", restart_policy="Always")], restart_policy="Never")

    assert sync(pod, seen(a_record(), a_record("side", exit_code=0))) == [Start(container_of(pod, "side"), 1, "s0", 10)]


def test_a_container_that_is_not_alive_is_stopped():
    running = a_record()

    assert sync(the_pod(), seen(running, health={"app0": Health(is_live=False)})) == [
        BeginStop(running, 30, "Container app failed liveness probe, will be restarted")
    ]


def test_a_container_whose_post_start_hook_failed_is_stopped():
    running = a_record()

    assert sync(the_pod(), seen(running, hooks={"app0": Hook(failure="exit 1")})) == [
        BeginStop(running, 30, "FailedPostStartHook")
    ]


def test_a_container_whose_image_changed_is_stopped():
    running = a_record(spec_hash="app=app:0")

    assert sync(the_pod(), seen(running)) == [
        BeginStop(running, 30, "Container app definition changed, will be restarted")
    ]


@pytest.mark.parametrize(
    ("stopping", "now", "step"),
    [
        (Stopping(NOW, 30), 0, Signal),
        (Stopping(NOW, 30, is_hook_done=False), 0, Wait),
        (Stopping(NOW, 30, is_hook_done=False), 30, Signal),
        (Stopping(NOW, 30, signalled_at=NOW), 29, Wait),
        (Stopping(NOW, 30, signalled_at=NOW), 30, Signal),
        (Stopping(NOW, 0), 0, Signal),
        (Stopping(NOW, 30, signalled_at=NOW, killed_at=later(30)), 31, Wait),
    ],
)
def test_stopping_goes_hook_signal_kill(stopping: Stopping, now: float, step: type[Step]):
    (only,) = sync(the_pod(), seen(a_record(), stopping={"app0": stopping}, now=later(now)))

    assert type(only) is step


def test_what_is_left_when_grace_is_over_is_killed():
    running = a_record()
    stopping = {"app0": Stopping(NOW, 30, signalled_at=NOW)}

    assert sync(the_pod(), seen(running, stopping=stopping, now=later(30))) == [Signal(running, "SIGKILL")]


@pytest.mark.parametrize(
    ("policy", "reading", "kind"),
    [
        ("IfNotPresent", ImageReading(), PullImage),
        ("IfNotPresent", ImageReading(Image("sha256:1")), Start),
        ("Always", ImageReading(Image("sha256:1")), PullImage),
        ("Always", ImageReading(Image("sha256:1"), pulled_for=0), Start),
        ("Never", ImageReading(Image("sha256:1")), Start),
        ("Never", ImageReading(), Hold),
    ],
)
def test_the_pull_policy_decides_what_an_image_needs(policy: str, reading: ImageReading, kind: type[Step]):
    pod = the_pod(containers=[a_container(image_pull_policy=policy)])

    (step,) = sync(pod, seen(images={"app": reading}))

    assert type(step) is kind


def test_nothing_is_started_while_its_image_is_on_the_way():
    assert sync(the_pod(), seen(images={"app": ImageReading(is_pulling=True)})) == []


def test_only_the_last_dead_container_is_kept():
    records = [a_record(attempt=2), a_record(attempt=1, exit_code=1), a_record(attempt=0, exit_code=1)]

    assert sync(the_pod(), seen(*records)) == [Remove("app0")]


def test_a_pod_past_its_deadline_is_given_up():
    pod = the_pod(active_deadline_seconds=60, status={"startTime": NOW})

    steps = sync(pod, seen(a_record(), now=later(60)))

    assert steps == [Fail("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")]


def test_winding_down_stops_sidecars_after_the_rest():
    pod = the_pod(init_containers=[a_container("side", restart_policy="Always")])
    app, side = a_record(), a_record("side")

    assert list(plan.wind_down(pod, seen(app, side))) == [BeginStop(app, 30, "Stopping container app")]
    assert list(plan.wind_down(pod, seen(side))) == [BeginStop(side, 30, "Stopping container side")]


def test_cleaning_up_after_success_keeps_the_containers_for_their_logs():
    looks = seen(a_record(exit_code=0))

    assert list(plan.clean_up(the_pod(), looks)) == [Remove("s0"), ReleaseVolumes(), ConfirmEnd()]


def test_cleaning_up_after_deletion_leaves_nothing():
    looks = seen(a_record(exit_code=0))

    assert list(plan.clean_up(the_pod(deleted=True), looks)) == [
        Remove("s0"),
        Remove("app0"),
        ReleaseVolumes(),
        ConfirmEnd(),
    ]


def looking_in(target: str = "") -> Pod:
    return the_pod(
        ephemeralContainers=[{"name": "other", "image": "x", "imagePullPolicy": "Never", "targetContainerName": target}]
    )


def test_an_ephemeral_container_starts_beside_the_others_and_only_once():
    pod = looking_in()
    [look] = pod.spec.ephemeral_containers

    assert sync(pod, seen(a_record())) == [Start(look, 0, "s0")]
    assert sync(pod, seen(a_record("other"), a_record())) == []
    assert sync(pod, seen(a_record("other", exit_code=1), a_record())) == []


def test_an_ephemeral_container_waits_for_the_one_it_looks_into():
    pod = looking_in("app")

    assert sync(pod, seen(a_record(exit_code=1, restart_delay_seconds=10))) == [Wait(later(10))]
    assert sync(pod, seen(a_record())) == [Start(pod.spec.ephemeral_containers[0], 0, "s0")]
