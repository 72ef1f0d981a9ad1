"""LimitRange: its rules, and the pods and claims that it completes or keeps out."""

import pytest

from tests.apiserver.local_api import CORE, Api

RANGES, PODS, CLAIMS = f"{CORE}/limitranges", f"{CORE}/pods", f"{CORE}/persistentvolumeclaims"


async def a_range(api: Api, type: str = "Container", name: str = "l", **bounds: dict) -> dict:
    return await api.made(RANGES, {"metadata": {"name": name}, "spec": {"limits": [{"type": type, **bounds}]}})


def a_pod(*resources: dict, **spec: object) -> dict:
    containers = [
        {"name": f"c{index}", "image": "i", "resources": each} for index, each in enumerate(resources or [{}])
    ]
    return {"metadata": {"name": "p"}, "spec": {"containers": containers, **spec}}


async def test_defaults_follow_from_maximum_and_minimum(api: Api):
    made = await a_range(api, max={"cpu": "2"}, min={"cpu": "100m", "memory": "1Mi"}, default={"memory": "1Gi"})

    assert made["spec"]["limits"][0]["default"] == {"cpu": "2", "memory": "1Gi"}
    assert made["spec"]["limits"][0]["defaultRequest"] == {"cpu": "2", "memory": "1Gi"}


async def test_containers_get_what_they_do_not_say(api: Api):
    await a_range(api, default={"cpu": "500m", "memory": "1Gi"}, defaultRequest={"cpu": "100m"})

    made = await api.made(PODS, a_pod({"requests": {"cpu": "200m"}}, {"limits": {"memory": "2Gi"}}))

    first, second = (container["resources"] for container in made["spec"]["containers"])
    assert first == {"requests": {"cpu": "200m", "memory": "1Gi"}, "limits": {"cpu": "500m", "memory": "1Gi"}}
    assert second == {"requests": {"cpu": "100m", "memory": "2Gi"}, "limits": {"cpu": "500m", "memory": "2Gi"}}
    assert made["metadata"]["annotations"]["kubernetes.io/limit-ranger"] == (
        "LimitRanger plugin set: memory request for container c0; cpu, memory limit for container c0; "
        "cpu request for container c1; cpu limit for container c1"
    )


REFUSED = [
    ({"max": {"cpu": "1"}}, {"limits": {"cpu": "2"}}, "maximum cpu usage per Container is 1, but limit is 2"),
    (
        {"min": {"memory": "64Mi"}},
        {"requests": {"memory": "1Mi"}},
        "minimum memory usage per Container is 64Mi, but request is 1Mi",
    ),
    (
        {"maxLimitRequestRatio": {"cpu": "2"}},
        {"requests": {"cpu": "100m"}, "limits": {"cpu": "500m"}},
        "cpu max limit to request ratio per Container is 2, but provided ratio is 5.000000",
    ),
    (
        {"maxLimitRequestRatio": {"cpu": "2"}},
        {},
        "cpu max limit to request ratio per Container is 2, but no request is specified or request is 0",
    ),
    (
        {"max": {"cpu": "1", "memory": "1Gi"}},
        {"limits": {"cpu": "2", "memory": "2Gi"}},
        "[maximum cpu usage per Container is 1, but limit is 2, "
        "maximum memory usage per Container is 1Gi, but limit is 2Gi]",
    ),
]


@pytest.mark.parametrize(("bounds", "resources", "why"), REFUSED)
async def test_a_container_out_of_bounds_is_refused_in_kubernetes_words(
    api: Api, bounds: dict, resources: dict, why: str
):
    await a_range(api, **bounds)

    answer = await api.post(PODS, a_pod(resources))

    assert answer.error == (403, "Forbidden", f'pods "p" is forbidden: {why}')


async def test_a_pod_is_judged_by_the_sum_of_its_containers(api: Api):
    await a_range(api, "Pod", max={"cpu": "1"})

    answer = await api.post(PODS, a_pod(*[{"limits": {"cpu": "600m"}}] * 2))

    assert answer.error[2] == 'pods "p" is forbidden: maximum cpu usage per Pod is 1, but limit is 1200m'
    assert (await api.post(PODS, a_pod({}))).error[2].endswith("maximum cpu usage per Pod is 1.  No limit is specified")
    assert (await api.post(PODS, a_pod(*[{"limits": {"cpu": "500m"}}] * 2))).status == 201


async def test_a_claim_is_judged_by_its_size(api: Api):
    await a_range(api, "PersistentVolumeClaim", max={"storage": "5Gi"}, min={"storage": "1Gi"})
    claim = {"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteOnce"]}}

    told = {}
    for size in ("10Gi", "1Mi", "2Gi"):
        answer = await api.post(
            CLAIMS, {**claim, "spec": {**claim["spec"], "resources": {"requests": {"storage": size}}}}
        )
        told[size] = answer.json.get("message", answer.status)

    prefix = 'persistentvolumeclaims "c" is forbidden:'
    assert told == {
        "10Gi": f"{prefix} maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 10Gi",
        "1Mi": f"{prefix} minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi",
        "2Gi": 201,
    }


async def test_a_range_that_was_changed_or_removed_holds_at_once(api: Api):
    await a_range(api, max={"cpu": "1"})
    await api.patch(f"{RANGES}/l", {"spec": {"limits": [{"type": "Container", "max": {"cpu": "3"}}]}})
    assert (await api.post(PODS, a_pod({"limits": {"cpu": "2"}}))).status == 201

    await api.delete(f"{RANGES}/l")

    other = {**a_pod({"limits": {"cpu": "64"}}), "metadata": {"name": "other"}}
    assert (await api.post(PODS, other)).status == 201


FAULTY = [
    ({"type": "Odd"}, 'spec.limits[0].type: Invalid value: "Odd": must be a standard limit type or fully qualified'),
    (
        {"type": "Pod", "default": {"cpu": "1"}},
        "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'",
    ),
    (
        {"type": "Container", "min": {"cpu": "2"}, "max": {"cpu": "1"}},
        'spec.limits[0].min[cpu]: Invalid value: "2": min value 2 is greater than max value 1',
    ),
    (
        {"type": "Container", "default": {"cpu": "2"}, "max": {"cpu": "1"}},
        'spec.limits[0].default[cpu]: Invalid value: "2": default value 2 is greater than max value 1',
    ),
    (
        {"type": "Container", "defaultRequest": {"cpu": "2"}, "default": {"cpu": "1"}},
        'spec.limits[0].defaultRequest[cpu]: Invalid value: "2": default request value 2 is greater than default '
        "limit value 1",
    ),
    (
        {"type": "Container", "maxLimitRequestRatio": {"cpu": "900m"}},
        'spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: "900m": ratio 900m is less than 1',
    ),
    (
        {"type": "PersistentVolumeClaim"},
        "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was "
        "provided",
    ),
    (
        {"type": "Container", "default": {"nvidia.com/gpu": "2"}, "defaultRequest": {"nvidia.com/gpu": "1"}},
        'spec.limits[0].defaultRequest[nvidia.com/gpu]: Invalid value: "1": default value 2 must equal to '
        "defaultRequest value 1 in nvidia.com/gpu",
    ),
]


@pytest.mark.parametrize(("item", "fault"), FAULTY)
async def test_bounds_that_contradict_each_other_are_refused(api: Api, item: dict, fault: str):
    answer = await api.post(RANGES, {"metadata": {"name": "l"}, "spec": {"limits": [item]}})

    assert answer.status == 422
    assert fault in answer.error[2]
