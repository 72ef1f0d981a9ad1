"""`pods/resize`: containers of a running pod get more or less cpu and memory, and nothing else changes."""

from typing import Any

import pytest

from tests.apiserver.local_api import CORE, STRATEGIC, Api

PATH = f"{CORE}/pods/a/resize"
SMALL = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}}


async def a_pod(api: Api, resources: dict[str, Any]) -> dict[str, Any]:
    containers = [{"name": "app", "image": "x", "resources": resources}]
    return await api.made(f"{CORE}/pods", {"metadata": {"name": "a"}, "spec": {"containers": containers}})


def resources(**resources: Any) -> dict[str, Any]:
    return {"spec": {"containers": [{"name": "app", "resources": resources}]}}


async def test_only_resources_change_and_the_generation_counts_it(api: Api):
    made = await a_pod(api, SMALL)

    wanted = resources(requests={"cpu": "150m"}, limits={"memory": "128Mi"})
    wanted["spec"]["containers"][0]["image"] = "other"
    patched = (await api.patch(PATH, wanted, STRATEGIC)).json

    [container] = patched["spec"]["containers"]
    assert container["resources"] == {
        "requests": {"cpu": "150m", "memory": "64Mi"},
        "limits": {"cpu": "200m", "memory": "128Mi"},
    }
    assert container["image"] == "x"
    assert patched["metadata"]["generation"] == made["metadata"]["generation"] + 1


async def test_a_put_of_the_whole_pod_does_the_same(api: Api):
    pod = await a_pod(api, SMALL)
    pod["spec"]["containers"][0]["resources"]["limits"]["cpu"] = "1"

    answer = await api.put(PATH, pod)
    read = await api.get(PATH)

    assert (answer.status, read.json) == (200, answer.json)
    assert read.json["spec"]["containers"][0]["resources"]["limits"]["cpu"] == "1"


FAULTS = [
    (
        {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "1", "memory": "1Gi"}},
        'spec: Invalid value: "Burstable": Pod QOS Class may not change as a result of resizing',
    ),
    (
        {"limits": {"cpu": None}},
        "spec.containers[0].resources.limits: Forbidden: resource limits cannot be removed",
    ),
    ({"requests": {"ephemeral-storage": "1Gi"}}, "spec: Forbidden: only cpu and memory resources are mutable"),
    (
        {"requests": {"cpu": "300m"}},
        'spec.containers[0].resources.requests: Invalid value: "300m": must be less than or equal to cpu limit of 200m',
    ),
]


@pytest.mark.parametrize(("change", "fault"), FAULTS, ids=[fault for _, fault in FAULTS])
async def test_what_a_resize_may_not_do(change: dict, fault: str, api: Api):
    await a_pod(api, SMALL)

    refused = await api.patch(PATH, resources(**change), STRATEGIC)

    assert refused.error[:2] == (422, "Invalid")
    assert fault in refused.error[2]


async def test_resources_change_nowhere_else(api: Api):
    await a_pod(api, SMALL)

    assert (await api.patch(f"{CORE}/pods/a", resources(requests={"cpu": "150m"}), STRATEGIC)).status == 422
