"""One autoscaler, served as autoscaling/v2 and autoscaling/v1."""

from __future__ import annotations

import orjson
import pytest

from tests.apiserver.local_api import TABLE, Api
from wherry.api.autoscaling.first_version import from_v1, to_v1

V1, V2 = (f"/apis/autoscaling/{version}/namespaces/default/horizontalpodautoscalers" for version in ("v1", "v2"))
METRICS = "autoscaling.alpha.kubernetes.io/metrics"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


def an_autoscaler(version: str, **spec: object) -> dict[str, object]:
    """An autoscaler of the Deployment web."""
    spec = {"scaleTargetRef": TARGET, "maxReplicas": 5, **spec}
    head = {"apiVersion": f"autoscaling/{version}", "kind": "HorizontalPodAutoscaler"}
    return {**head, "metadata": {"name": "web"}, "spec": spec}


def a_metric(source: str, type: str, target: dict[str, object], **more: object) -> dict[str, object]:
    return {"type": type, source: {**more, "target": target}}


CPU = a_metric("resource", "Resource", {"type": "Utilization", "averageUtilization": 40}, name="cpu")
QUEUE = {"name": "queue", "selector": {"matchLabels": {"team": "a"}}}
EVERY_METRIC = [
    CPU,
    a_metric("resource", "Resource", {"type": "AverageValue", "averageValue": "50Mi"}, name="memory"),
    a_metric(
        "containerResource", "ContainerResource", {"type": "Utilization", "averageUtilization": 9}, name="cpu",
        container="app",
    ),
    a_metric("pods", "Pods", {"type": "AverageValue", "averageValue": "1k"}, metric={"name": "packets"}),
    a_metric("object", "Object", {"type": "Value", "value": "10k"}, metric={"name": "hits"}, describedObject=TARGET),
    a_metric("external", "External", {"type": "AverageValue", "averageValue": "30"}, metric=QUEUE),
]  # fmt: skip
BEHAVIOR = {"scaleDown": {"selectPolicy": "Disabled"}}


def test_nothing_is_lost_on_the_way_to_the_first_version_and_back():
    status = {
        "desiredReplicas": 2,
        "currentMetrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "current": {"averageUtilization": 9, "averageValue": "9m"}},
            },
            {"type": "External", "external": {"metric": QUEUE, "current": {"averageValue": "4"}}},
        ],
        "conditions": [{"type": "AbleToScale", "status": "True"}],
    }
    stored = {**an_autoscaler("v2", metrics=EVERY_METRIC, behavior=BEHAVIOR), "status": status}

    shown = to_v1(stored)

    assert from_v1(shown) == stored
    assert shown["spec"] == {"scaleTargetRef": TARGET, "maxReplicas": 5, "targetCPUUtilizationPercentage": 40}
    assert shown["status"] == {"desiredReplicas": 2, "currentCPUUtilizationPercentage": 9}


async def test_discovery_prefers_the_second_version(api: Api):
    group = (await api.get("/apis/autoscaling")).json

    assert [each["version"] for each in group["versions"]] == ["v2", "v1"]
    assert group["preferredVersion"]["version"] == "v2"


async def test_what_is_created_as_v1_is_a_cpu_metric_in_v2(api: Api):
    made = await api.made(V1, an_autoscaler("v1", targetCPUUtilizationPercentage=40))
    read = (await api.get(f"{V2}/web")).json

    assert made["spec"]["targetCPUUtilizationPercentage"] == 40
    assert (read["apiVersion"], read["spec"]["metrics"]) == ("autoscaling/v2", [CPU])
    assert read["metadata"]["uid"] == made["metadata"]["uid"]


async def test_other_metrics_travel_in_an_annotation(api: Api):
    await api.made(V2, an_autoscaler("v2", metrics=[EVERY_METRIC[1]]))

    [item] = (await api.get(V1)).json["items"]

    carried = {"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "50Mi"}}
    assert orjson.loads(item["metadata"]["annotations"][METRICS]) == [carried]
    assert "targetCPUUtilizationPercentage" not in item["spec"]


async def test_a_patch_in_v1_keeps_what_only_v2_knows(api: Api):
    await api.made(V2, an_autoscaler("v2", metrics=EVERY_METRIC))

    await api.patch(f"{V1}/web", {"spec": {"maxReplicas": 9}})

    spec = (await api.get(f"{V2}/web")).json["spec"]
    assert (spec["maxReplicas"], spec["metrics"]) == (9, EVERY_METRIC)


async def test_a_spec_sets_no_status_and_a_status_no_spec(api: Api):
    await api.made(V2, {**an_autoscaler("v2"), "status": {"currentReplicas": 7, "desiredReplicas": 7}})

    await api.patch(f"{V2}/web/status", {"spec": {"maxReplicas": 9}, "status": {"currentReplicas": 3}})

    read = (await api.get(f"{V2}/web")).json
    assert (read["spec"]["maxReplicas"], read["status"]) == (5, {"currentReplicas": 3, "desiredReplicas": 0})


@pytest.mark.parametrize("path", [V1, V2])
async def test_both_versions_print_the_same_row(api: Api, path: str):
    await api.made(V2, an_autoscaler("v2", metrics=EVERY_METRIC))

    table = (await api.get(path, headers={"accept": TABLE})).json

    cells = ["web", "Deployment/web", "cpu: <unknown>/40%, memory: <unknown>/50Mi + 4 more...", "1", 5, 0]
    assert table["rows"][0]["cells"][:-1] == cells


async def test_watchers_of_both_versions_see_their_own(api: Api):
    async with api.watch(V1) as first, api.watch(V2) as second:
        await api.made(V2, an_autoscaler("v2", metrics=EVERY_METRIC))

        seen = [await first.next(), await second.next()]

    assert [event["object"]["apiVersion"] for event in seen if event] == ["autoscaling/v1", "autoscaling/v2"]


async def test_an_annotation_that_is_no_json_is_refused(api: Api):
    body = an_autoscaler("v1") | {"metadata": {"name": "web", "annotations": {METRICS: "[{"}}}

    answer = await api.post(V1, body)

    assert answer.error[:2] == (400, "BadRequest")
    assert f"metadata.annotations[{METRICS}]" in answer.error[2]
