"""A running container gets what it should have now, and its pod tells how far that is."""

from typing import Any

from kubelet import plan
from kubelet.resources.resizing import wanted
from kubelet.runtime.base import ContainerRecord, Limits
from kubelet.status import status_of, status_patch
from kubelet.steps import BeginStop, Resize
from tests.kubelet.test_plan import a_record, seen, the_pod
from wherry.api.core.pod import Pod
from wherry.machinery.quantity import Quantity

NODE = {"cpu": Quantity.parse("4"), "memory": Quantity.parse("8Gi")}
Json = dict[str, Any]


def a_pod_with(cpu: str, memory: str = "64Mi", **fields: Any) -> Pod:
    resources = {"requests": {"cpu": cpu, "memory": memory}, "limits": {"cpu": cpu, "memory": memory}}
    return the_pod(containers=[{"name": "app", "image": "x", "resources": resources, **fields}])


def with_limits_of(pod: Pod) -> ContainerRecord:
    """A running container that was made for a pod."""
    return a_record(limits=wanted(pod, pod.spec.containers[0]))


def reported(pod: Pod, record: ContainerRecord, before: Json | None = None, **more: Any) -> Json:
    looks = seen(record, allocatable=NODE, **more)
    return status_of(pod, looks, before or {}, host_ip="192.0.2.1", has_ended=False)


def conditions(status: Json) -> dict[str, Json]:
    return {each["type"]: each for each in status["conditions"]}


def test_a_container_gets_the_limits_it_should_have_now():
    before, now = a_pod_with("100m"), a_pod_with("500m", "128Mi")
    record = with_limits_of(before)

    [step] = plan.sync(now, seen(record, allocatable=NODE))

    assert isinstance(step, Resize)
    assert step.limits == Limits(512, 500_000_000, 128 * 1024 * 1024, -997)
    assert list(plan.sync(before, seen(record, allocatable=NODE))) == []


def test_a_container_that_wants_to_be_started_anew_is_stopped_first():
    policy = [{"resourceName": "memory", "restartPolicy": "RestartContainer"}]
    record = with_limits_of(a_pod_with("100m"))

    more_cpu = a_pod_with("200m", resizePolicy=policy)
    more_memory = a_pod_with("100m", "128Mi", resizePolicy=policy)

    assert [type(step) for step in plan.sync(more_cpu, seen(record))] == [Resize]
    [stop] = plan.sync(more_memory, seen(record))
    assert stop == BeginStop(record, 30.0, "Container app resize requires restart")


def test_what_the_node_could_never_give_stays_pending():
    record = with_limits_of(a_pod_with("100m"))
    big = a_pod_with("5")

    status = reported(big, record)

    assert list(plan.sync(big, seen(record, allocatable=NODE))) == []
    pending = conditions(status)["PodResizePending"]
    assert (pending["status"], pending["reason"]) == ("True", "Infeasible")
    assert pending["message"] == "Node didn't have enough capacity: cpu, requested: 5000, capacity: 4000"


def test_the_status_shows_what_there_is_until_what_is_wanted_is_there():
    before, now = a_pod_with("100m"), a_pod_with("500m")
    record = with_limits_of(before)
    first = reported(before, record)

    under_way = reported(now, record, first)
    done = reported(now, with_limits_of(now), under_way)

    cpus = [status["containerStatuses"][0]["allocatedResources"]["cpu"] for status in (first, under_way, done)]
    assert cpus == ["100m", "100m", "500m"]
    assert conditions(under_way)["PodResizeInProgress"]["status"] == "True"
    patch = status_patch("u", under_way, done)
    assert patch is not None
    assert {"type": "PodResizeInProgress", "$patch": "delete"} in patch["status"]["conditions"]


def test_an_engine_that_refuses_is_told_of():
    status = reported(a_pod_with("500m"), with_limits_of(a_pod_with("100m")), resize_failures={"app": "no"})

    in_progress = conditions(status)["PodResizeInProgress"]
    assert (in_progress["reason"], in_progress["message"]) == ("Error", "no")
