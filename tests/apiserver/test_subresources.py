"""scale, binding, eviction, finalize, token, log and exec."""

from typing import Any

import jwt
import pytest

from apiserver.request import Request, Response
from apiserver.steps.identification import identify_request
from tests.apiserver.local_api import APPS, CORE, JSON_PATCH, STRATEGIC, Api
from tests.apiserver.test_deleting import PODS, a_pod
from tests.apiserver.test_objects import a_deployment

SCALE = f"{APPS}/deployments/web/scale"
SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


async def test_a_report_that_leaves_out_what_was_settled_takes_nothing_of_it_away(api: Api):
    made = await api.made(PODS, a_pod())
    status = {"phase": "Running", "observedGeneration": 1}
    await api.patch(f"{PODS}/p/status", {"status": status})
    made = (await api.get(f"{PODS}/p")).json

    answer = await api.put(f"{PODS}/p/status", {**made, "status": {"phase": "Failed"}})

    assert answer.json["status"] == {"phase": "Failed", "qosClass": "BestEffort", "observedGeneration": 1}


async def test_a_scale_shows_replicas_and_selector(api: Api):
    made = await api.made(f"{APPS}/deployments", a_deployment(replicas=3))

    scale = (await api.get(SCALE)).json

    carried = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    assert scale == {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: made["metadata"][key] for key in carried},
        "spec": {"replicas": 3},
        "status": {"replicas": 0, "selector": "app=web"},
    }


@pytest.mark.parametrize(
    ("type", "patch"),
    [
        ("application/merge-patch+json", {"spec": {"replicas": 5}}),
        (STRATEGIC, {"spec": {"replicas": 5}}),
        (JSON_PATCH, [{"op": "replace", "path": "/spec/replicas", "value": 5}]),
    ],
)
async def test_a_scale_can_be_patched(api: Api, type: str, patch: object):
    await api.made(f"{APPS}/deployments", a_deployment())

    answer = await api.patch(SCALE, patch, type)

    parent = (await api.get(f"{APPS}/deployments/web")).json
    assert (answer.status, answer.json["spec"]) == (200, {"replicas": 5})
    assert (parent["spec"]["replicas"], parent["metadata"]["generation"]) == (5, 2)


async def test_a_scale_can_be_replaced_if_it_is_the_newest(api: Api):
    await api.made(f"{APPS}/deployments", a_deployment())
    scale = (await api.get(SCALE)).json

    fresh = await api.put(SCALE, {**scale, "spec": {"replicas": 0}}, headers={"content-type": ""})
    stale = await api.put(SCALE, {**scale, "spec": {"replicas": 7}})

    assert (fresh.status, fresh.json["spec"]) == (200, {})
    assert stale.error[:2] == (409, "Conflict")


async def test_a_negative_scale_is_a_422(api: Api):
    await api.made(f"{APPS}/deployments", a_deployment())

    answer = await api.patch(SCALE, {"spec": {"replicas": -1}})

    assert answer.error[:2] == (422, "Invalid")
    assert answer.json["details"]["causes"][0]["field"] == "spec.replicas"


@pytest.mark.parametrize("path", [f"{PODS}/p/binding", f"{CORE}/bindings"])
async def test_a_binding_assigns_a_pod_once(api: Api, path: str):
    await api.made(PODS, a_pod())
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "n"}}

    first = await api.post(path, binding)
    second = await api.post(path, {**binding, "target": {"kind": "Node", "name": "m"}})

    pod = (await api.get(f"{PODS}/p")).json
    (condition,) = pod["status"]["conditions"]
    assert (first.status, first.json) == (201, SUCCESS)
    assert (pod["spec"]["nodeName"], condition["type"], condition["status"]) == ("n", "PodScheduled", "True")
    assert second.error[:2] == (409, "Conflict")
    assert 'pods/binding "p"' in second.json["message"]
    assert "is already assigned to node" in second.json["message"]


async def test_a_binding_may_name_the_pod_it_means(api: Api):
    made = await api.made(PODS, a_pod())
    target = {"kind": "Node", "name": "n"}

    other = await api.post(f"{PODS}/p/binding", {"metadata": {"uid": "other"}, "target": target})
    same = await api.post(f"{PODS}/p/binding", {"metadata": {"uid": made["metadata"]["uid"]}, "target": target})

    assert (other.error[:2], same.status) == ((409, "Conflict"), 201)


@pytest.mark.parametrize("target", [{}, {"kind": "Node"}, {"kind": "Pod", "name": "n"}])
async def test_a_binding_needs_a_node(api: Api, target: dict):
    await api.made(PODS, a_pod())

    assert (await api.post(f"{PODS}/p/binding", {"target": target})).error[:2] == (422, "Invalid")


async def test_a_dry_binding_binds_nothing(api: Api):
    await api.made(PODS, a_pod())
    binding = {"target": {"kind": "Node", "name": "n"}}

    answer = await api.post(f"{PODS}/p/binding", binding, query={"dryRun": "All"})

    assert (answer.status, "nodeName" in (await api.get(f"{PODS}/p")).json["spec"]) == (201, False)


async def a_running_pod(api: Api) -> None:
    pod = a_pod(nodeName="n")
    pod["metadata"]["labels"] = {"app": "web"}
    await api.made(PODS, pod)
    await api.patch(f"{PODS}/p/status", {"status": {"phase": "Running"}})


async def a_budget(api: Api, name: str, allowed: int) -> None:
    await api.made(
        BUDGETS, {"metadata": {"name": name}, "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}}
    )
    status = {"disruptionsAllowed": allowed, "currentHealthy": 1, "desiredHealthy": 1, "expectedPods": 1}
    answer = await api.patch(f"{BUDGETS}/{name}/status", {"status": {**status, "observedGeneration": 1}})
    assert answer.status == 200, answer.body


async def test_an_eviction_deletes_within_the_budget(api: Api):
    await a_running_pod(api)
    await a_budget(api, "b", 1)

    answer = await api.post(f"{PODS}/p/eviction", {"metadata": {"name": "p"}, "deleteOptions": {}})

    assert (answer.status, answer.json) == (201, SUCCESS)
    assert "deletionTimestamp" in (await api.get(f"{PODS}/p")).json["metadata"]
    assert (await api.get(f"{BUDGETS}/b")).json["status"]["disruptionsAllowed"] == 0


async def test_an_eviction_beyond_the_budget_is_a_429(api: Api):
    await a_running_pod(api)
    await a_budget(api, "b", 0)

    answer = await api.post(f"{PODS}/p/eviction", {"metadata": {"name": "p"}})

    message = "Cannot evict pod as it would violate the pod's disruption budget."
    assert answer.error == (429, "TooManyRequests", message)
    assert [cause["reason"] for cause in answer.json["details"]["causes"]] == ["DisruptionBudget"]
    assert answer.header("retry-after") == ""
    assert "deletionTimestamp" not in (await api.get(f"{PODS}/p")).json["metadata"]


async def test_two_budgets_for_one_pod_are_a_500(api: Api):
    await a_running_pod(api)
    await a_budget(api, "b", 1)
    await a_budget(api, "c", 1)

    assert (await api.post(f"{PODS}/p/eviction", {})).error[:2] == (500, "InternalError")


async def test_a_dry_eviction_evicts_nothing_and_spends_nothing(api: Api):
    await a_running_pod(api)
    await a_budget(api, "b", 1)

    answer = await api.post(f"{PODS}/p/eviction", {"deleteOptions": {"dryRun": ["All"]}})

    assert answer.status == 201
    assert "deletionTimestamp" not in (await api.get(f"{PODS}/p")).json["metadata"]
    assert (await api.get(f"{BUDGETS}/b")).json["status"]["disruptionsAllowed"] == 1


async def test_an_eviction_of_another_pod_is_a_400(api: Api):
    await api.made(PODS, a_pod())

    answer = await api.post(f"{PODS}/p/eviction", {"metadata": {"name": "q"}})

    assert answer.error == (400, "BadRequest", "name in URL does not match name in Eviction object")


async def test_an_eviction_of_a_missing_pod_is_a_404(api: Api):
    assert (await api.post(f"{PODS}/p/eviction", {})).error == (404, "NotFound", 'pods "p" not found')


async def test_a_token_says_who_for_whom_and_how_long(api: Api):
    account = await api.made(f"{CORE}/serviceaccounts", {"metadata": {"name": "robot"}})

    answer = await api.post(f"{CORE}/serviceaccounts/robot/token", {"spec": {"audiences": ["me"]}})

    claims = jwt.decode(answer.json["status"]["token"], options={"verify_signature": False})
    assert (answer.status, answer.json["spec"]["expirationSeconds"]) == (201, 3600)
    assert (claims["aud"], claims["sub"]) == (["me"], "system:serviceaccount:default:robot")
    assert claims["kubernetes.io"] == {
        "namespace": "default",
        "serviceaccount": {"name": "robot", "uid": account["metadata"]["uid"]},
    }


@pytest.mark.parametrize(
    "spec",
    [
        {"expirationSeconds": 599},
        {"expirationSeconds": 2**33},
        {"boundObjectRef": {"kind": "Node", "name": "missing"}},
        {"boundObjectRef": {"kind": "ConfigMap", "apiVersion": "v1", "name": "n"}},
        {"boundObjectRef": {"kind": "Pod", "apiVersion": "apps/v1", "name": "n"}},
        {"boundObjectRef": {"kind": "Pod", "name": "missing"}},
        {"expirationSeconds": "long"},
        {"audiences": "me"},
    ],
)
async def test_a_bad_token_request_is_refused(api: Api, spec: dict):
    await api.made(f"{CORE}/serviceaccounts", {"metadata": {"name": "robot"}})

    answer = await api.post(f"{CORE}/serviceaccounts/robot/token", {"spec": spec})

    assert answer.status in (400, 404, 422)


async def test_a_token_for_a_missing_account_is_a_404(api: Api):
    answer = await api.post(f"{CORE}/serviceaccounts/robot/token", {"spec": {}})

    assert answer.error == (404, "NotFound", 'serviceaccounts "robot" not found')


async def test_finalize_by_a_stale_version_is_a_409(api: Api):
    made = await api.made("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    await api.patch("/api/v1/namespaces/shop", {"metadata": {"labels": {"a": "b"}}})

    answer = await api.put("/api/v1/namespaces/shop/finalize", {**made, "spec": {}})

    assert answer.error[:2] == (409, "Conflict")


async def test_the_main_resource_cannot_take_a_namespace_finalizer_away(api: Api):
    await api.made("/api/v1/namespaces", {"metadata": {"name": "shop"}})

    answer = await api.patch("/api/v1/namespaces/shop", {"spec": {"finalizers": []}})

    assert answer.json["spec"]["finalizers"] == ["kubernetes"]


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("log", (400, "a container name must be specified for pod p, choose one of: [c d]")),
        ("log?container=x", (400, "container x is not valid for pod p")),
        ("exec?command=sh&container=c", (400, "pod p does not have a host assigned")),
        ("attach?container=c", (400, "pod p does not have a host assigned")),
    ],
)
async def test_streams_need_a_container_and_a_node(api: Api, path: str, error: tuple[int, str]):
    containers = [{"name": name, "image": "i"} for name in "cd"]
    await api.made(PODS, a_pod(containers=containers))
    name, _, raw = path.partition("?")
    query = dict(pair.split("=") for pair in raw.split("&")) if raw else {}

    answer = await api.get(f"{PODS}/p/{name}", query=query)

    assert (answer.status, answer.json["message"]) == error


async def test_the_only_container_needs_no_name_whatever_runs_beside_it(api: Api):
    pod = a_pod(containers=[{"name": "c", "image": "i"}], initContainers=[{"name": "i", "image": "i"}])
    await api.made(PODS, pod)
    late = {"spec": {"ephemeralContainers": [{"name": "e", "image": "i"}]}}
    await api.patch(f"{PODS}/p/ephemeralcontainers", late, STRATEGIC)

    assert (await api.get(f"{PODS}/p/log")).status == 204


async def test_the_log_of_an_unscheduled_pod_is_empty(api: Api):
    await api.made(PODS, a_pod())

    answer = await api.get(f"{PODS}/p/log")

    assert (answer.status, answer.body) == (204, b"")


async def test_exec_without_an_upgrade_is_refused(api: Api):
    await api.made(PODS, a_pod(nodeName="n"))

    answer = await api.post(f"{PODS}/p/exec", None, query={"command": "sh", "stdout": "1"})

    assert answer.error == (400, "BadRequest", "Upgrade request required")


@pytest.mark.parametrize(
    "query",
    [
        *({"tailLines": "-1"}, {"tailLines": "x"}, {"sinceSeconds": "0"}, {"limitBytes": "0"}),
        *({"stream": "Stdin"}, {"stream": "Stdout", "tailLines": "1"}),
    ],
)
async def test_bad_log_options_are_refused(api: Api, query: dict):
    await api.made(PODS, a_pod())

    assert (await api.get(f"{PODS}/p/log", query=query)).status in (400, 422)


async def test_a_status_can_be_read_and_replaced(api: Api):
    made = await api.made(f"{APPS}/deployments", a_deployment())

    answer = await api.put(f"{APPS}/deployments/web/status", {**made, "spec": {}, "status": {"replicas": 2}})
    bad = await api.put(f"{APPS}/deployments/web/status", {**made, "status": {"replicas": 3}})

    assert (answer.status, answer.json["spec"], answer.json["status"]) == (200, made["spec"], {"replicas": 2})
    assert bad.error[:2] == (409, "Conflict")
    assert (await api.get(f"{APPS}/deployments/web/status")).json == answer.json


async def test_a_status_write_takes_metadata_along(api: Api):
    await api.made(BUDGETS, {"metadata": {"name": "b"}, "spec": {"minAvailable": 1}})
    change = {"metadata": {"annotations": {"patched": "true"}}, "spec": {"minAvailable": 2}}

    answer = await api.patch(f"{BUDGETS}/b/status", {**change, "status": {"currentHealthy": 1}})

    stored = answer.json
    assert (stored["metadata"]["annotations"], stored["spec"]["minAvailable"]) == ({"patched": "true"}, 1)
    assert (stored["status"]["currentHealthy"], stored["metadata"]["generation"]) == (1, 1)


async def test_a_kind_may_keep_some_of_its_metadata_from_status_writes(api: Api):
    deployment = a_deployment()
    await api.made(f"{APPS}/deployments", {**deployment, "metadata": {"name": "web", "labels": {"app": "web"}}})
    change = {"metadata": {"labels": {"app": "other"}, "annotations": {"patched": "true"}}}

    metadata = (await api.patch(f"{APPS}/deployments/web/status", change)).json["metadata"]

    assert (metadata["labels"], metadata["annotations"]) == ({"app": "web"}, {"patched": "true"})


async def verb_of(scope_type: str, method: str, path: str) -> str:
    request = Request(
        {"type": scope_type, "headers": []}, receive=nothing, method=method, path=path, query={}, headers={}
    )
    await identify_request(None, request, as_it_is)
    return request.verb


@pytest.mark.parametrize("name", ["exec", "attach", "portforward"])
@pytest.mark.parametrize(("scope_type", "method"), [("http", "GET"), ("http", "POST"), ("websocket", "GET")])
async def test_streams_into_pods_need_the_right_to_create_however_they_are_asked_for(
    scope_type: str, method: str, name: str
):
    assert await verb_of(scope_type, method, f"/api/v1/namespaces/default/pods/p/{name}") == "create"


async def test_reading_logs_needs_the_right_to_read():
    assert await verb_of("http", "GET", "/api/v1/namespaces/default/pods/p/log") == "get"


async def nothing() -> dict[str, Any]:
    return {}


async def as_it_is(server: Any, request: Request) -> Response:
    return Response(200, b"")
