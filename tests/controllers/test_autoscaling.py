"""The autoscaler's plan: what was seen goes in, replicas, conditions and events come out."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controllers.autoscaling.memory import Memory, Recommendation, Step
from controllers.autoscaling.plan import decide, refused, remembered, rescaled, told
from controllers.autoscaling.seen import Missing, Sample, Seen, Target
from tests.make import NOW, a_container, a_deployment, a_pod, an_object
from wherry.api.autoscaling.horizontal_pod_autoscaler import HorizontalPodAutoscaler
from wherry.api.metrics.usage_metrics import PodMetrics
from wherry.client.plan import Event, SetStatus, Update

LONG_AGO = NOW - timedelta(hours=1)
# Nothing recent that could hold a change back.
CALM = Memory((Recommendation(LONG_AGO, 1),))
WEB = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


def of_cpu(percent: int = 50, container: str = "") -> dict[str, Any]:
    source = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}
    if container:
        return {"type": "ContainerResource", "containerResource": {**source, "container": container}}
    return {"type": "Resource", "resource": source}


def of(type: str, **target: str) -> dict[str, Any]:
    """A metric called queue of another kind."""
    source = {"metric": {"name": "queue"}, "target": {"type": "Value", **target}}
    return {"type": type, type.lower(): {**source, **({"describedObject": WEB} if type == "Object" else {})}}


def an_autoscaler(*metrics: dict[str, Any], **spec: Any) -> HorizontalPodAutoscaler:
    spec = {"scale_target_ref": WEB, "min_replicas": 1, "max_replicas": 10, "metrics": metrics or (of_cpu(),), **spec}
    return an_object(HorizontalPodAutoscaler, "web", **spec)


def a_target(replicas: int, selector: str = "app=web") -> Target:
    return Target(a_deployment("web", replicas=replicas), replicas, replicas, selector)


def a_worker(name: str, **more: Any) -> Any:
    """A pod that requests 100m and has been ready for long."""
    status = {"startTime": LONG_AGO, **more.pop("status", {})}
    more = {"ready": True, "ready_since": LONG_AGO, "requests": {"cpu": "100m"}, **more}
    return a_pod(name, labels={"app": "web"}, status=status, **more)


def used(name: str, millis: int) -> PodMetrics:
    fields = {"timestamp": NOW, "window": "15s", "containers": [{"name": "app", "usage": {"cpu": f"{millis}m"}}]}
    return an_object(PodMetrics, name, api_version="metrics.k8s.io/v1beta1", fields=fields)


def under_load(*millis: int | None, memory: Memory = CALM, replicas: int | None = None, **more: Any) -> Seen:
    """Pods that use so much each; None was not measured."""
    pods = tuple(a_worker(f"web-{number}") for number, _ in enumerate(millis))
    usage = tuple(used(f"web-{number}", amount) for number, amount in enumerate(millis) if amount is not None)
    target = a_target(len(pods) if replicas is None else replicas)
    return Seen(NOW, target, pods, usage, memory=memory, **more)


def outcome(hpa: HorizontalPodAutoscaler, seen: Seen) -> tuple[int | None, dict[str, str]]:
    """The new size, None if it stays, and the reason of each condition."""
    decision = decide(hpa, seen)
    *_, status = told(seen, decision)
    assert isinstance(status, SetStatus)
    reasons = {condition.type: condition.reason for condition in status.obj.status.conditions}  # type: ignore[attr-defined]
    return decision.replicas, reasons


def test_twice_the_load_is_twice_the_pods():
    hpa, seen = an_autoscaler(), under_load(100, 100)
    decision = decide(hpa, seen)

    assert list(rescaled(decision)) == [Update(seen.target.obj, {"spec": {"replicas": 4}}, "scale")]
    reason = "cpu resource utilization (percentage of request) above target"
    event, status = told(seen, decision)
    assert event == Event(hpa, "SuccessfulRescale", f"New size: 4; reason: {reason}")
    report = status.obj.status
    assert (report.current_replicas, report.desired_replicas, report.last_scale_time) == (2, 4, NOW)
    assert report.current_metrics[0].resource.current.average_utilization == 100
    assert remembered(decision, seen).grown == (Step(NOW, 2),)


@pytest.mark.parametrize(("millis", "replicas"), [(55, None), (45, None), (56, 3), (44, None), (20, 1)])
def test_a_tenth_off_the_target_is_close_enough(millis: int, replicas: int | None):
    assert decide(an_autoscaler(), under_load(millis, millis)).replicas == replicas


def test_a_tolerance_of_its_own_for_each_direction():
    behavior = {"scaleUp": {"tolerance": "0.5"}, "scaleDown": {"tolerance": "0"}}
    hpa = an_autoscaler(behavior=behavior)

    assert decide(hpa, under_load(70, 70)).replicas is None
    assert decide(hpa, under_load(20, 20, 49)).replicas == 2


def test_pods_not_measured_hold_a_change_back():
    assert decide(an_autoscaler(), under_load(100, None)).replicas is None
    assert decide(an_autoscaler(), under_load(200, None)).replicas == 4
    assert decide(an_autoscaler(), under_load(10, None)).replicas is None


def test_pods_that_start_count_as_idle_when_it_grows():
    seen = under_load(150, 150)
    starting = a_worker("web-2", status={"startTime": NOW}, ready=False)
    busy = Seen(NOW, a_target(3), (*seen.pods, starting), (*seen.usage, used("web-2", 900)))

    assert decide(an_autoscaler(), busy).replicas == 6


def test_pods_on_their_way_out_do_not_count():
    seen = under_load(50, 50)
    leaving = a_worker("web-2", deleted=True)
    more = Seen(NOW, a_target(2), (*seen.pods, leaving), (*seen.usage, used("web-2", 900)))

    assert decide(an_autoscaler(), more).replicas is None


def test_one_container_of_each_pod():
    containers = [a_container("app", requests={"cpu": "100m"}), a_container("sidecar")]
    pods = (a_worker("web-0", spec={"containers": containers}),)
    seen = Seen(NOW, a_target(1), pods, (used("web-0", 200),))

    assert decide(an_autoscaler(of_cpu(container="app")), seen).replicas == 4
    refusal = "missing request for cpu in container sidecar of Pod web-0"
    assert refusal in _message(an_autoscaler(), seen, "ScalingActive")


def test_the_metric_that_asks_for_most_decides():
    hpa = an_autoscaler(of_cpu(50), of("External", averageValue="10"))

    assert decide(hpa, under_load(50, 50, values={1: 35_000})).replicas == 4


def test_numbers_from_elsewhere():
    pods = {"web-0": Sample(3000), "web-1": Sample(1000)}

    assert decide(an_autoscaler(of("Pods", averageValue="1")), under_load(1, 1, values={0: pods})).replicas == 4
    assert decide(an_autoscaler(of("Object", value="10")), under_load(1, 1, values={0: 30_000})).replicas == 4
    assert decide(an_autoscaler(of("External", value="10")), under_load(1, 1, values={0: 5_000})).replicas == 1


def test_nothing_shrinks_on_half_of_the_evidence():
    hpa = an_autoscaler(of_cpu(), of("External", value="10"))
    silent = {1: Missing("it is away")}

    assert outcome(hpa, under_load(1, 1, values=silent)) == (
        None,
        {"AbleToScale": "SucceededGetScale", "ScalingActive": "FailedGetExternalMetric"},
    )
    assert decide(hpa, under_load(100, 100, values=silent)).replicas == 4


def test_what_cannot_be_measured_is_told_as_kubernetes_tells_it():
    hpa, seen = an_autoscaler(), Seen(NOW, a_target(1), (a_worker("web-0"),), Missing("it is away"))
    first, second, _ = told(seen, decide(hpa, seen))

    why = "failed to get cpu utilization: unable to get metrics for resource cpu: unable to fetch metrics from "
    why += "resource metrics API: it is away"
    assert (first.reason, first.message) == ("FailedGetResourceMetric", why)
    assert (second.reason, second.message) == (
        "FailedComputeMetricsReplicas",
        f"invalid metrics (1 invalid out of 1), first error is: failed to get cpu resource metric value: {why}",
    )
    assert _message(hpa, seen, "ScalingActive") == f"the HPA was unable to compute the replica count: {why}"


TARGETS = [
    (0, {}, None, {"ScalingActive": "ScalingDisabled"}),
    (20, {}, 10, {}),
    (1, {"min_replicas": 2}, 2, {}),
]


@pytest.mark.parametrize(("replicas", "spec", "wanted", "reasons"), TARGETS)
def test_bounds_come_before_metrics(replicas: int, spec: dict[str, int], wanted: int | None, reasons: dict[str, str]):
    able = "SucceededGetScale" if wanted is None else "SucceededRescale"

    assert outcome(an_autoscaler(**spec), under_load(1, replicas=replicas)) == (
        wanted,
        {"AbleToScale": able, **reasons},
    )


def test_from_nothing_a_queue_makes_as_many_as_it_needs():
    hpa = an_autoscaler(of("External", value="10"), min_replicas=0)

    assert decide(hpa, Seen(NOW, a_target(0), values={0: 25_000}, memory=CALM)).replicas == 3
    assert decide(hpa, under_load(1, values={0: 0})).replicas == 0


@pytest.mark.parametrize(
    ("target", "more", "able", "active"),
    [
        (Missing('deployments.apps "web" not found'), {}, "FailedGetScale", ""),
        (a_target(1, selector=""), {}, "SucceededGetScale", "InvalidSelector"),
        (a_target(1, selector="a in"), {}, "SucceededGetScale", "InvalidSelector"),
        (a_target(1), {"rivals": ("default/a", "default/web")}, "SucceededGetScale", "AmbiguousSelector"),
    ],
)
def test_what_stands_in_the_way_is_told(target: Any, more: dict[str, Any], able: str, active: str):
    replicas, reasons = outcome(an_autoscaler(), Seen(NOW, target, **more))

    assert (replicas, reasons["AbleToScale"], reasons.get("ScalingActive", "")) == (None, able, active)


def test_a_number_that_could_not_be_written_is_told_and_not_remembered():
    hpa, seen = an_autoscaler(), under_load(100, 100)
    decision = decide(hpa, seen)
    event, status = refused(decision, "no quota")

    assert event.reason == "FailedRescale"
    assert event.message.endswith("; error: no quota")
    assert (status.obj.status.desired_replicas, status.obj.status.conditions[0].reason) == (0, "FailedUpdateScale")
    assert decision.memory.grown == ()


def test_what_was_recommended_before_holds_a_shrinking_back():
    before = Memory((Recommendation(NOW - timedelta(seconds=299), 3),))

    assert outcome(an_autoscaler(), under_load(1, 1, 1, memory=before))[0] is None
    assert outcome(an_autoscaler(), under_load(1, 1, 1, memory=before))[1]["AbleToScale"] == "ScaleDownStabilized"
    old = Memory((Recommendation(NOW - timedelta(seconds=301), 3),))
    assert decide(an_autoscaler(), under_load(1, 1, 1, memory=old)).replicas == 1


def _message(hpa: HorizontalPodAutoscaler, seen: Seen, type: str) -> str:
    *_, status = told(seen, decide(hpa, seen))
    return next(each.message for each in status.obj.status.conditions if each.type == type)
