"""How pods live and end: probes, hooks, init containers, restarts, termination messages, deadlines.

All pods are created at once; each test waits for what should become of its own.
"""

from typing import Any

import pytest
from live_api import eventually
from live_pods import a_container, a_live_pod, a_script, has_condition, is_over, is_ready, is_running

Pod = dict[str, Any]
WAITS = "trap 'exit 0' TERM; sleep 3600 & wait"
SERVES = "mkdir /tmp/w; echo ok > /tmp/w/ok; httpd -p 8080 -h /tmp/w; " + WAITS
FAST = {"periodSeconds": 1, "timeoutSeconds": 5}
OK = {"httpGet": {"path": "/ok", "port": 8080}}
GONE = {"httpGet": {"path": "/gone", "port": 8080}}


def probed(name: str, script: str, restart: str = "Always", **probes: Pod) -> Pod:
    checks = {f"{kind}Probe": FAST | probe for kind, probe in probes.items()}
    return a_script(name, script, container=checks, restartPolicy=restart)


def ends(name: str, script: str, restart: str = "Never", **container: Any) -> Pod:
    return a_script(name, script, container=container, restartPolicy=restart)


def with_init(name: str, script: str, restart: str) -> Pod:
    first = a_container("first", script)
    return a_live_pod(
        name,
        a_container("main", "echo main"),
        initContainers=[first, a_container("second", "true")],
        restartPolicy=restart,
    )


FROM_LOGS = {"terminationMessagePolicy": "FallbackToLogsOnError"}
SETS = {"exec": {"command": ["sh", "-c", "echo started > /tmp/hook"]}}
SAYS = {"exec": {"command": ["sh", "-c", "echo stopping > /proc/1/fd/1"]}}
PODS = [
    probed("http-liveness", SERVES, liveness=OK),
    probed("tcp-liveness", SERVES, liveness={"tcpSocket": {"port": 8080}}),
    probed("exec-liveness", "touch /tmp/h; " + WAITS, liveness={"exec": {"command": ["cat", "/tmp/h"]}}),
    probed(
        "file-removed",
        "touch /tmp/h; sleep 2; rm /tmp/h; " + WAITS,
        liveness={"exec": {"command": ["cat", "/tmp/h"]}, "failureThreshold": 1, "initialDelaySeconds": 1},
    ),
    probed("http-fails", SERVES, liveness=GONE | {"failureThreshold": 1}),
    probed("tcp-fails", SERVES, liveness={"tcpSocket": {"port": 9}, "failureThreshold": 1}),
    probed(
        "exec-times-out",
        WAITS,
        liveness={"exec": {"command": ["sleep", "600"]}, "timeoutSeconds": 1, "failureThreshold": 1},
    ),
    probed("never-ready", SERVES, readiness=GONE),
    probed("ready-late", SERVES, readiness=OK | {"initialDelaySeconds": 4}),
    probed(
        "starts-slowly",
        "sleep 3; " + SERVES,
        liveness=GONE | {"failureThreshold": 1000},
        readiness=OK,
        startup=OK | {"failureThreshold": 60},
    ),
    probed("startup-fails", WAITS, startup=OK | {"failureThreshold": 2}),
    probed(
        "http-with-header",
        SERVES,
        liveness={"httpGet": {"path": "/ok", "port": 8080, "httpHeaders": [{"name": "X-Odd", "value": "1"}]}},
    ),
    ends("message", "echo -n DONE > /dev/termination-log"),
    ends(
        "message-elsewhere",
        "echo -n DONE > /dev/elsewhere",
        terminationMessagePath="/dev/elsewhere",
        securityContext={"runAsUser": 1000},
    ),
    ends("message-of-logs", "echo -n DONE; exit 1", **FROM_LOGS),
    ends("no-message-of-logs", "echo -n DONE", **FROM_LOGS),
    ends("message-before-logs", "echo logs; echo -n OK > /dev/termination-log", **FROM_LOGS),
    ends("always", "sleep 0.5; exit 1", "Always"),
    ends(
        "on-failure",
        "test -f /v/f || { touch /v/f; exit 1; }",
        "OnFailure",
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
    ),
    ends("fails", "exit 7"),
    ends("no-such-command", "", command=["/none"]),
    ends("deadline", WAITS),
    with_init("init-fails", "exit 1", "Never"),
    with_init("init-retries", "exit 1", "Always"),
    with_init("init-done", "true", "Always"),
    ends(
        "post-start",
        "until test -f /tmp/hook; do sleep 0.1; done; cat /tmp/hook; " + WAITS,
        "Always",
        lifecycle={"postStart": SETS},
    ),
    ends("post-start-fails", WAITS, "Always", lifecycle={"postStart": {"exec": {"command": ["false"]}}}),
    ends("pre-stop", "echo up; " + WAITS, lifecycle={"preStop": SAYS}),
    a_live_pod(
        "listens",
        a_container(
            "main",
            "while true; do echo -e 'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n' | nc -l -p 8080 | head -1; done",
        ),
    ),
    ends("unsafe", "true"),
    ends("bad-user", "true", securityContext={"runAsNonRoot": True}),
    a_live_pod("no-image", {"name": "main", "image": "wherry-conformance/none:1"}),
]


def completed(pod: Pod) -> Pod:
    if pod["metadata"]["name"] == "on-failure":
        pod["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    if pod["metadata"]["name"] == "deadline":
        pod["spec"]["activeDeadlineSeconds"] = 600
    if pod["metadata"]["name"] == "unsafe":
        pod["spec"]["securityContext"] = {"sysctls": [{"name": "kernel.msgmax", "value": "65536"}]}
    return pod


@pytest.fixture(scope="module")
def lives(shared):
    """All pods, created at once."""
    for pod in PODS:
        shared.create(completed(pod))
    return shared


def the(pod: Pod) -> Pod:
    return pod["status"].get("containerStatuses", [{}])[0]


def is_restarted(pod: Pod, times: int = 1) -> bool:
    return the(pod).get("restartCount", 0) >= times


@pytest.mark.parametrize("name", ["file-removed", "http-fails", "tcp-fails", "exec-times-out", "startup-fails"])
def test_a_container_that_fails_its_probe_is_restarted(lives, name):
    pod = lives.until("Pod", name, is_restarted)

    assert the(pod)["lastState"]["terminated"]["exitCode"] in (0, 137, 143)


@pytest.mark.parametrize("name", ["http-liveness", "tcp-liveness", "exec-liveness", "http-with-header"])
def test_a_container_that_passes_its_probe_is_left_alone(lives, name):
    pod = lives.until("Pod", name, is_ready)
    lives.until("Pod", "http-fails", is_restarted)

    assert (the(lives.get("Pod", name))["restartCount"], pod["status"]["phase"]) == (0, "Running")


def test_a_pod_that_fails_its_readiness_probe_runs_and_is_never_ready(lives):
    pod = lives.until("Pod", "never-ready", is_running)

    assert (is_ready(pod), the(pod)["ready"], the(pod)["restartCount"]) == (False, False, 0)


@pytest.mark.parametrize(("name", "seconds"), [("ready-late", 4), ("starts-slowly", 3)])
def test_a_pod_is_not_ready_before_its_probe_may_say_so(lives, name, seconds):
    pod = lives.until("Pod", name, is_ready)

    started = at(the(pod)["state"]["running"]["startedAt"])
    ready = next(at(c["lastTransitionTime"]) for c in pod["status"]["conditions"] if c["type"] == "Ready")
    assert seconds - 1 <= ready - started < seconds + 10
    assert the(pod)["started"] is True


def at(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("message", 0, "DONE"),
        ("message-elsewhere", 0, "DONE"),
        ("message-of-logs", 1, "DONE"),
        ("no-message-of-logs", 0, None),
        ("message-before-logs", 0, "OK"),
    ],
)
def test_a_container_leaves_a_message(lives, name, code, message):
    pod = lives.until("Pod", name, is_over)

    ended = the(pod)["state"]["terminated"]
    assert (ended["exitCode"], ended.get("message"), ended["reason"]) == (
        code,
        message,
        "Error" if code else "Completed",
    )


def test_a_container_that_always_restarts_is_restarted_again_and_again(lives):
    pod = lives.until("Pod", "always", lambda pod: is_restarted(pod, 2))

    assert pod["status"]["phase"] == "Running"
    assert the(pod)["lastState"]["terminated"]["reason"] == "Error"


def test_a_container_that_restarts_on_failure_ends_when_it_succeeds(lives):
    pod = lives.until("Pod", "on-failure", is_over)

    assert (pod["status"]["phase"], the(pod)["restartCount"], the(pod)["ready"]) == ("Succeeded", 1, False)
    assert [has_condition(pod, "Ready"), has_condition(pod, "Initialized")] == [False, True]


@pytest.mark.parametrize(("name", "code"), [("fails", 7)])
def test_a_container_that_fails_says_how(lives, name, code):
    pod = lives.until("Pod", name, is_over)

    ended = the(pod)["state"]["terminated"]
    assert (pod["status"]["phase"], ended["exitCode"], ended["reason"]) == ("Failed", code, "Error")
    assert ended["startedAt"] <= ended["finishedAt"]
    assert ended["containerID"].startswith("docker://")


def test_a_command_that_is_not_there_is_an_error(lives):
    pod = lives.until("Pod", "no-such-command", is_over)

    ended = the(pod)["state"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) in ((128, "StartError"), (127, "ContainerCannotRun"))


def test_a_pod_ends_at_its_deadline_which_may_be_shortened(lives):
    lives.until("Pod", "deadline", is_running)

    lives.patch("Pod", "deadline", {"spec": {"activeDeadlineSeconds": 1}})

    pod = lives.until("Pod", "deadline", is_over)
    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "DeadlineExceeded")


def test_a_pod_fails_with_its_init_container(lives):
    pod = lives.until("Pod", "init-fails", is_over)

    first, second = pod["status"]["initContainerStatuses"]
    assert (pod["status"]["phase"], first["state"]["terminated"]["exitCode"]) == ("Failed", 1)
    assert list(second["state"]) == list(the(pod)["state"]) == ["waiting"]
    assert has_condition(pod, "Initialized", "False")


def test_an_init_container_is_tried_again(lives):
    pod = lives.until(
        "Pod",
        "init-retries",
        lambda pod: pod["status"].get("initContainerStatuses", [{}])[0].get("restartCount", 0) > 1,
    )

    assert pod["status"]["phase"] == "Pending"
    assert the(pod)["state"]["waiting"]["reason"] == "PodInitializing"
    assert has_condition(pod, "Initialized", "False")
    assert has_condition(pod, "ContainersReady", "False")


def test_init_containers_end_one_after_the_other(lives):
    pod = lives.until("Pod", "init-done", lambda pod: has_condition(pod, "Initialized"))

    first, second = pod["status"]["initContainerStatuses"]
    assert [s["state"]["terminated"]["exitCode"] for s in (first, second)] == [0, 0]
    assert [s["ready"] for s in (first, second)] == [True, True]
    assert first["state"]["terminated"]["finishedAt"] <= second["state"]["terminated"]["startedAt"]


def test_a_hook_runs_after_the_start(lives):
    lives.until("Pod", "post-start", is_ready)

    eventually(lambda: lives.logs("post-start") == "started\n")


def test_a_hook_that_fails_costs_the_container(lives):
    pod = lives.until("Pod", "post-start-fails", is_restarted)

    assert pod["status"]["phase"] in ("Pending", "Running")


def test_a_hook_runs_before_the_end(lives):
    lives.until("Pod", "pre-stop", is_ready)
    logs = lives.api.raw("GET", lives.path("Pod", "pre-stop/log"), follow="true")

    lives.delete("Pod", "pre-stop", gracePeriodSeconds=10)

    assert logs.read() == b"up\nstopping\n"
    lives.until_gone("Pod", "pre-stop")


def test_hooks_call_other_pods(lives):
    target = lives.until("Pod", "listens", is_ready)["status"]["podIP"]
    hooks = {
        "postStart": {"httpGet": {"path": "/hello", "port": 8080, "host": target}},
        "preStop": {"httpGet": {"path": "/farewell", "port": 8080, "host": target}},
    }
    lives.create(ends("calls", WAITS, lifecycle=hooks))
    lives.until("Pod", "calls", is_ready)
    eventually(lambda: "GET /hello" in lives.logs("listens"))

    lives.delete("Pod", "calls", gracePeriodSeconds=10)

    eventually(lambda: "GET /farewell" in lives.logs("listens"))


def test_an_unsafe_sysctl_is_refused_by_the_node(lives):
    pod = lives.until("Pod", "unsafe", lambda pod: pod["status"].get("reason"))

    assert (pod["status"]["phase"], pod["status"]["reason"]) == ("Failed", "SysctlForbidden")


@pytest.mark.parametrize(
    ("name", "reasons"),
    [("bad-user", {"CreateContainerConfigError"}), ("no-image", {"ErrImagePull", "ImagePullBackOff"})],
)
def test_a_container_that_cannot_start_waits_and_says_why(lives, name, reasons):
    pod = lives.until("Pod", name, lambda pod: the(pod).get("state", {}).get("waiting", {}).get("reason") in reasons)

    assert pod["status"]["phase"] == "Pending"


def test_a_pod_whose_command_always_fails_can_be_deleted(lives):
    lives.delete("Pod", "always")

    lives.until_gone("Pod", "always")
