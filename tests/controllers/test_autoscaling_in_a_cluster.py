"""Autoscalers in a whole cluster, in virtual time: hollow pods use what their annotations say."""

import asyncio

from wherry.api.apps.deployment import Deployment
from wherry.api.autoscaling.horizontal_pod_autoscaler import HorizontalPodAutoscaler
from wherry.api.core.pod import Pod
from wherry.api.events.event import Event
from wherry.api.meta import find_condition
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.virtual_time import in_virtual_time

CPU = "sim.wherry.dev/cpu"


def a_deployment(cpu: str) -> dict[str, object]:
    """One pod that requests 100m."""
    container = {"name": "app", "image": "app:1", "resources": {"requests": {"cpu": "100m"}}}
    metadata = {"labels": {"app": "web"}, "annotations": {CPU: cpu}}
    spec = {"selector": {"matchLabels": {"app": "web"}}, "template": {"metadata": metadata}}
    spec["template"]["spec"] = {"containers": [container]}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _named("web"), "spec": spec}


def an_autoscaler(name: str = "web", **spec: object) -> dict[str, object]:
    """Keeps pods at half of what they request."""
    cpu = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    spec = {"scaleTargetRef": target, "maxReplicas": 6, "metrics": [{"type": "Resource", "resource": cpu}], **spec}
    head = {"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler"}
    return {**head, "metadata": _named(name), "spec": spec}


def _named(name: str) -> dict[str, str]:
    return {"name": name, "namespace": "default"}


async def replicas(cluster: SimulatedCluster) -> int:
    return (await cluster.admin.get(Deployment, "web", "default")).spec.replicas


async def reason(cluster: SimulatedCluster, type: str) -> str:
    hpa = await cluster.admin.get(HorizontalPodAutoscaler, "web", "default")
    condition = find_condition(hpa.status.conditions, type)
    return condition.reason if condition else ""


async def all_use(cluster: SimulatedCluster, cpu: str) -> None:
    for pod in (await cluster.admin.list(Pod, "default")).items:
        await cluster.admin.patch(Pod, pod.metadata.name, "default", {"metadata": {"annotations": {CPU: cpu}}})


@in_virtual_time
async def test_a_deployment_grows_under_load_and_shrinks_five_minutes_after_it():
    async with SimulatedCluster(nodes=3) as cluster:
        await cluster.admin.create(a_deployment(cpu="250m"))
        await cluster.admin.create(an_autoscaler())
        await asyncio.sleep(120)
        assert (await replicas(cluster), await reason(cluster, "ScalingLimited")) == (6, "TooManyReplicas")

        await all_use(cluster, "10m")
        await asyncio.sleep(240)
        assert (await replicas(cluster), await reason(cluster, "AbleToScale")) == (6, "ScaleDownStabilized")
        await asyncio.sleep(200)

        assert await replicas(cluster) == 2
        events = (await cluster.admin.list(Event, "default")).items
        messages = {event.message for event in events if event.reason == "SuccessfulRescale"}
        assert "New size: 2; reason: All metrics below target" in messages


@in_virtual_time
async def test_two_autoscalers_of_one_deployment_stand_still():
    async with SimulatedCluster(nodes=3) as cluster:
        await cluster.admin.create(a_deployment(cpu="250m"))
        await cluster.admin.create(an_autoscaler(minReplicas=1))
        await cluster.admin.create(an_autoscaler("other"))
        await asyncio.sleep(60)

        assert await reason(cluster, "ScalingActive") == "AmbiguousSelector"


@in_virtual_time
async def test_a_target_that_is_missing_is_told_and_found_when_it_comes():
    async with SimulatedCluster(nodes=1) as cluster:
        await cluster.admin.create(an_autoscaler())
        await asyncio.sleep(20)
        hpa = await cluster.admin.get(HorizontalPodAutoscaler, "web", "default")
        assert find_condition(hpa.status.conditions, "AbleToScale").message == (
            "the HPA controller was unable to get the target's current scale: "
            'deployments.apps "web" not found'
        )  # fmt: skip

        await cluster.admin.create(a_deployment(cpu="50m"))
        await asyncio.sleep(60)
        assert await reason(cluster, "ScalingActive") == "ValidMetricFound"


@in_virtual_time
async def test_a_new_leader_shrinks_nothing_at_once():
    async with SimulatedCluster(nodes=2) as cluster:
        await cluster.admin.create(a_deployment(cpu="50m"))
        await cluster.admin.patch(Deployment, "web", "default", {"spec": {"replicas": 4}})
        await cluster.admin.create(an_autoscaler())
        await asyncio.sleep(60)
        await all_use(cluster, "1m")
        await asyncio.sleep(200)

        cluster.controllers.kill()
        cluster.controllers.start()
        await asyncio.sleep(250)
        assert await replicas(cluster) == 4
        await asyncio.sleep(120)

        assert await replicas(cluster) == 1


@in_virtual_time
async def test_without_an_api_for_custom_metrics_it_says_so():
    packets = {"metric": {"name": "packets"}, "target": {"type": "AverageValue", "averageValue": "1k"}}
    async with SimulatedCluster(nodes=1) as cluster:
        await cluster.admin.create(a_deployment(cpu="50m"))
        await cluster.admin.create(an_autoscaler(metrics=[{"type": "Pods", "pods": packets}]))
        await asyncio.sleep(30)

        hpa = await cluster.admin.get(HorizontalPodAutoscaler, "web", "default")
        active = find_condition(hpa.status.conditions, "ScalingActive")
        assert (active.status, active.reason) == ("False", "FailedGetPodsMetric")
        assert active.message == (
            "the HPA was unable to compute the replica count: unable to get metric packets: unable to fetch metrics "
            "from custom metrics API: no custom metrics API (custom.metrics.k8s.io) registered"
        )
