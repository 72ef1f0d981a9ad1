"""ResourceQuota admission: what is charged, and what is refused for lack of it."""

import asyncio

import pytest

from tests.apiserver.local_api import APPS, CORE, Api

QUOTAS = f"{CORE}/resourcequotas"
PODS = f"{CORE}/pods"
SERVICES = f"{CORE}/services"
CLAIMS = f"{CORE}/persistentvolumeclaims"


async def a_quota(api: Api, hard: dict, name: str = "q", used: dict | None = None, **spec: object) -> None:
    """A quota in force: what its controller would have counted stands in its status."""
    await api.made(QUOTAS, {"metadata": {"name": name}, "spec": {"hard": hard, **spec}})
    status = {"hard": hard, "used": {**dict.fromkeys(hard, "0"), **(used or {})}}
    answer = await api.patch(f"{QUOTAS}/{name}/status", {"status": status})
    assert answer.status == 200, answer.body


async def used(api: Api, name: str = "q") -> dict:
    return (await api.get(f"{QUOTAS}/{name}")).json["status"]["used"]


def a_pod(name: str = "p", *, requests: dict | None = None, limits: dict | None = None, **spec: object) -> dict:
    resources = {"requests": requests or {}, "limits": limits or {}}
    return {
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "i", "resources": resources}], **spec},
    }


async def test_a_pod_is_charged_with_all_it_asks_for(api: Api):
    gpu = "nvidia.com/gpu"
    hard = {"pods": "2", "requests.cpu": "1", "limits.memory": "1Gi", f"requests.{gpu}": "4", "count/pods": "9"}
    await a_quota(api, hard)

    pod = a_pod(requests={"cpu": "250m", gpu: 2}, limits={"memory": "512Mi", gpu: 2})
    pod["spec"]["initContainers"] = [{**pod["spec"]["containers"][0], "name": "i"}]
    await api.made(PODS, pod)

    charged = {"pods": "1", "requests.cpu": "250m", "limits.memory": "512Mi", f"requests.{gpu}": "2", "count/pods": "1"}
    assert await used(api) == charged


async def test_what_is_over_the_limit_is_refused_in_kubernetes_words(api: Api):
    await a_quota(
        api, {"pods": "5", "requests.nvidia.com/gpu": "3"}, used={"requests.nvidia.com/gpu": "2", "pods": "1"}
    )

    answer = await api.post(PODS, a_pod(requests={"nvidia.com/gpu": 2}, limits={"nvidia.com/gpu": 2}))

    told = "requested: requests.nvidia.com/gpu=2, used: requests.nvidia.com/gpu=2, limited: requests.nvidia.com/gpu=3"
    assert answer.error == (403, "Forbidden", f'pods "p" is forbidden: exceeded quota: q, {told}')
    assert (await used(api))["pods"] == "1"


async def test_every_container_must_tell_the_cpu_and_memory_that_a_quota_limits(api: Api):
    await a_quota(api, {"limits.cpu": "2", "requests.memory": "2Gi"})

    answer = await api.post(PODS, a_pod(requests={"cpu": "1"}))

    why = "failed quota: q: must specify limits.cpu for: c; requests.memory for: c"
    assert answer.error == (403, "Forbidden", f'pods "p" is forbidden: {why}')


async def test_a_resource_that_was_not_counted_yet_is_refused(api: Api):
    await api.made(QUOTAS, {"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "9"}}})
    await api.patch(f"{QUOTAS}/q/status", {"status": {"hard": {"configmaps": "9"}}})

    answer = await api.post(f"{CORE}/configmaps", {"metadata": {"name": "m"}})

    assert answer.error[2] == 'configmaps "m" is forbidden: status unknown for quota: q, resources: configmaps'


async def test_of_many_who_come_at_once_as_many_are_let_in_as_there_is_room_for(api: Api):
    await a_quota(api, {"pods": "7", "count/pods": "8"})
    await a_quota(api, {"pods": "100"}, name="other")

    answers = await asyncio.gather(*(api.post(PODS, a_pod(f"p{number}")) for number in range(25)))

    assert sorted(answer.status for answer in answers) == [201] * 7 + [403] * 18
    assert await used(api) == {"pods": "7", "count/pods": "7"}


async def test_a_dry_run_is_judged_and_not_charged(api: Api):
    await a_quota(api, {"pods": "1"})

    assert (await api.post(PODS, a_pod(), query={"dryRun": "All"})).status == 201
    assert await used(api) == {"pods": "0"}
    await api.made(PODS, a_pod())
    assert (await api.post(PODS, a_pod("second"), query={"dryRun": "All"})).status == 403


SCOPED = [
    ({"scopes": ["BestEffort"]}, {}, True),
    ({"scopes": ["BestEffort"]}, {"requests": {"cpu": "1"}}, False),
    ({"scopes": ["NotBestEffort"]}, {"requests": {"cpu": "1"}}, True),
    ({"scopes": ["Terminating"]}, {"activeDeadlineSeconds": 9}, True),
    ({"scopes": ["Terminating"]}, {}, False),
    ({"scopes": ["NotTerminating", "NotBestEffort"]}, {"limits": {"memory": "1Gi"}}, True),
]


@pytest.mark.parametrize(("spec", "pod", "counts"), SCOPED)
async def test_only_pods_within_the_scopes_count(api: Api, spec: dict, pod: dict, counts: bool):
    await a_quota(api, {"pods": "5"}, **spec)

    await api.made(PODS, a_pod(**pod))

    assert await used(api) == {"pods": "1" if counts else "0"}


@pytest.mark.parametrize(
    ("operator", "values", "counts"),
    [
        ("In", ["high", "low"], True),
        ("In", ["low"], False),
        ("NotIn", ["low"], True),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
    ],
)
async def test_priority_classes_may_have_quotas_of_their_own(api: Api, operator: str, values: list, counts: bool):
    await api.made("/apis/scheduling.k8s.io/v1/priorityclasses", {"metadata": {"name": "high"}, "value": 100})
    expression = {"scopeName": "PriorityClass", "operator": operator, "values": values}
    await a_quota(api, {"pods": "5"}, scopeSelector={"matchExpressions": [expression]})

    await api.made(PODS, a_pod(priorityClassName="high"))

    assert await used(api) == {"pods": "1" if counts else "0"}


async def test_pods_that_look_into_other_namespaces_can_be_limited(api: Api):
    await a_quota(api, {"pods": "0"}, scopes=["CrossNamespacePodAffinity"])
    term = {"topologyKey": "zone", "labelSelector": {}, "namespaceSelector": {}}
    affinity = {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [term]}}

    assert (await api.post(PODS, a_pod(affinity=affinity))).status == 403
    assert (await api.post(PODS, a_pod())).status == 201


async def test_services_are_counted_by_what_they_take_and_charged_for_what_they_take_more(api: Api):
    await a_quota(
        api, {"services": "3", "services.nodeports": "2", "services.loadbalancers": "0", "count/services": "9"}
    )
    service = {"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}}

    await api.made(SERVICES, service)
    assert (await api.patch(f"{SERVICES}/s", {"spec": {"type": "NodePort"}})).status == 200

    counted = {"services": "1", "services.nodeports": "1", "services.loadbalancers": "0", "count/services": "1"}
    assert await used(api) == counted
    balanced = await api.post(
        SERVICES, {"metadata": {"name": "l"}, "spec": {**service["spec"], "type": "LoadBalancer"}}
    )
    assert "services.loadbalancers=1" in balanced.error[2]


async def test_claims_are_counted_by_size_and_class(api: Api):
    fast = "fast.storageclass.storage.k8s.io"
    hard = {"requests.storage": "10Gi", f"{fast}/requests.storage": "5Gi", f"{fast}/persistentvolumeclaims": "2"}
    await a_quota(api, hard)
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "4Gi"}}, "storageClassName": "fast"}

    await api.made(CLAIMS, {"metadata": {"name": "a"}, "spec": spec})
    answer = await api.post(CLAIMS, {"metadata": {"name": "b"}, "spec": spec})

    assert await used(api) == {
        "requests.storage": "4Gi",
        f"{fast}/requests.storage": "4Gi",
        f"{fast}/persistentvolumeclaims": "1",
    }
    numbers = f"requested: {fast}/requests.storage=4Gi, used: {fast}/requests.storage=4Gi"
    assert numbers in answer.error[2]


async def test_objects_of_any_kind_can_be_counted(api: Api):
    await a_quota(api, {"count/deployments.apps": "1", "secrets": "1"})
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    spec = {"selector": {"matchLabels": {"a": "b"}}, "template": template}

    await api.made(f"{APPS}/deployments", {"metadata": {"name": "a"}, "spec": spec})
    answer = await api.post(f"{APPS}/deployments", {"metadata": {"name": "b"}, "spec": spec})

    told = "requested: count/deployments.apps=1, used: count/deployments.apps=1, limited: count/deployments.apps=1"
    assert answer.error[2] == f'deployments.apps "b" is forbidden: exceeded quota: q, {told}'
    assert (await api.post(f"{CORE}/events", {"metadata": {"name": "e"}, "involvedObject": {}})).status != 403


async def test_the_row_of_a_quota_tells_requests_and_limits_apart(api: Api):
    await a_quota(api, {"pods": "2", "limits.cpu": "4", "requests.cpu": "2"}, used={"pods": "1"})

    table = (await api.get(QUOTAS, headers={"accept": "application/json;as=Table;v=v1;g=meta.k8s.io"})).json

    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Request", "Limit", "Age"]
    assert table["rows"][0]["cells"][:3] == ["q", "pods: 1/2, requests.cpu: 0/2", "limits.cpu: 0/4"]


FAULTY = [
    ({"hard": {"foo": "1"}}, 'spec.hard[foo]: Invalid value: "foo": must be a standard resource for quota'),
    ({"hard": {"pods": "-1"}}, 'spec.hard[pods]: Invalid value: "-1": must be greater than or equal to 0'),
    ({"hard": {"pods": "100m"}}, 'spec.hard[pods]: Invalid value: "100m": must be an integer'),
    ({"scopes": ["Odd"]}, 'spec.scopes: Invalid value: ["Odd"]: unsupported scope'),
    (
        {"hard": {"services": "1"}, "scopes": ["BestEffort"]},
        'spec.scopes: Invalid value: ["BestEffort"]: unsupported scope applied to resource',
    ),
    (
        {"scopes": ["BestEffort", "NotBestEffort"]},
        'spec.scopes: Invalid value: ["BestEffort","NotBestEffort"]: conflicting scopes',
    ),
    (
        {"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "In"}]}},
        "spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is "
        "'In' or 'NotIn' for scope selector",
    ),
]


@pytest.mark.parametrize(("spec", "fault"), FAULTY)
async def test_a_quota_that_makes_no_sense_is_refused(api: Api, spec: dict, fault: str):
    answer = await api.post(QUOTAS, {"metadata": {"name": "q"}, "spec": spec})

    assert answer.status == 422
    assert fault in answer.error[2]


async def test_the_scopes_of_a_quota_are_for_life(api: Api):
    await a_quota(api, {"pods": "1"}, scopes=["BestEffort"])

    answer = await api.patch(f"{QUOTAS}/q", {"spec": {"scopes": ["NotBestEffort"]}})

    assert answer.error[2].endswith('spec.scopes: Invalid value: ["NotBestEffort"]: field is immutable')
