"""Which logs a request means, who may ask, and what a node says of itself."""

from datetime import timedelta
from typing import Any

import pytest

from kubelet.node import node_conditions
from kubelet.resources.gpus import Gpus, NotEnough, Owner
from kubelet.resources.machine import Pressure
from kubelet.runtime.base import LogRequest
from kubelet.server import may_all
from kubelet.serving.logs import limited, log_container_id, log_request
from tests.kubelet.test_plan import a_record
from tests.make import NOW, a_container, a_pod
from wherry.api.resource.gpu import Gpu
from wherry.client.serving.access import user_of
from wherry.machinery.errors import BadRequest
from wherry.machinery.time import time_text

RUNNING = {"name": "app", "containerID": "docker://new", "state": {"running": {}}}
OLD = {"lastState": {"terminated": {"containerID": "docker://old"}}}


def waiting(reason: str) -> dict[str, Any]:
    return {"name": "app", "state": {"waiting": {"reason": reason}}}


@pytest.mark.parametrize(
    ("status", "previous", "container_id"),
    [
        (RUNNING, False, "new"),
        (RUNNING | OLD, True, "old"),
        ({"name": "app", "state": {"terminated": {"containerID": "docker://done"}}}, False, "done"),
        (waiting("CrashLoopBackOff") | OLD, False, "old"),
    ],
)
def test_the_container_whose_logs_are_meant(status: Any, previous: bool, container_id: str):
    assert log_container_id("web", {"containerStatuses": [status]}, "app", previous=previous) == container_id


@pytest.mark.parametrize(
    ("status", "previous", "message"),
    [
        (RUNNING, True, 'previous terminated container "app" in pod "web" not found'),
        (waiting("ContainerCreating"), False, 'container "app" in pod "web" is waiting to start: ContainerCreating'),
        (
            waiting("ImagePullBackOff"),
            False,
            'container "app" in pod "web" is waiting to start: trying and failing to pull image',
        ),
        (waiting("ErrImagePull"), False, 'container "app" in pod "web" is waiting to start: image can\'t be pulled'),
    ],
)
def test_logs_that_are_not_there_are_refused_in_kubernetes_words(status: Any, previous: bool, message: str):
    with pytest.raises(BadRequest) as raised:
        log_container_id("web", {"containerStatuses": [status]}, "app", previous=previous)

    assert raised.value.message == message


def test_a_log_request_is_read_from_its_query():
    query = {"follow": "true", "tailLines": "5", "sinceSeconds": "60", "timestamps": "true", "stream": "Stderr"}

    assert log_request(query, NOW) == LogRequest(True, 5, NOW - timedelta(seconds=60), True, ("stderr",))
    with pytest.raises(BadRequest, match="tailLines"):
        log_request({"tailLines": "-1"}, NOW)


async def test_logs_stop_at_the_byte_limit():
    async def pieces() -> Any:
        for piece in (b"abc", b"def", b"ghi"):
            yield piece

    assert [piece async for piece in limited(pieces(), 5)] == [b"abc", b"de"]
    assert [piece async for piece in limited(pieces(), None)] == [b"abc", b"def", b"ghi"]


@pytest.mark.parametrize(
    ("subject", "is_served_all"),
    [
        ((("commonName", "kube-apiserver-kubelet-client"),), True),
        ((("organizationName", "system:masters"),), True),
        ((("commonName", "system:node:n2"),), False),
        ((), False),
    ],
)
def test_only_the_api_server_and_administrators_are_served_everything(subject: Any, is_served_all: bool):
    assert may_all(user_of({"subject": (subject,)})) is is_served_all


def test_conditions_of_a_node_remember_when_they_changed():
    healthy = node_conditions(Pressure(False, False, False), "", [], NOW)
    later = NOW + timedelta(seconds=60)

    ill = node_conditions(Pressure(True, False, False), "container runtime is down", healthy, later)

    summary = {c["type"]: (c["status"], c["reason"], c["lastTransitionTime"]) for c in ill}
    assert summary == {
        "MemoryPressure": ("True", "KubeletHasInsufficientMemory", time_text(later)),
        "DiskPressure": ("False", "KubeletHasNoDiskPressure", time_text(NOW)),
        "PIDPressure": ("False", "KubeletHasSufficientPID", time_text(NOW)),
        "Ready": ("False", "KubeletNotReady", time_text(later)),
    }


def a_gpu_pod(name: str, count: int = 1) -> Any:
    return a_pod(name, containers=[a_container(resources={"limits": {"nvidia.com/gpu": str(count)}})])


def granted(gpus: Gpus, pod: Any) -> tuple[str, ...]:
    return gpus.allocate(pod, pod.spec.containers[0])


def test_a_device_has_one_owner_until_its_pod_ends():
    gpus, first, second = Gpus(map(Gpu, ("a", "b"))), a_gpu_pod("one", 2), a_gpu_pod("two")

    assert granted(gpus, first) == granted(gpus, first) == ("a", "b")
    with pytest.raises(NotEnough, match=r"Requested: 1, Available: 0"):
        granted(gpus, second)
    gpus.release(first.metadata.uid)
    assert granted(gpus, second) == ("a",)


def test_a_new_kubelet_learns_owners_from_the_containers():
    gpus = Gpus(map(Gpu, ("a", "b")))
    record = a_record(gpu_ids=("a",))

    gpus.adopt([record])

    assert granted(gpus, a_gpu_pod("two")) == ("b",)
    assert Owner(record.pod.uid, "app").pod_uid == "pod-default-web"


def test_who_asks_for_none_gets_none():
    assert granted(Gpus([Gpu("a")]), a_gpu_pod("one", 0)) == ()
