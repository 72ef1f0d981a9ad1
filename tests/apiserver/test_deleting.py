"""DELETE: finalizers, grace periods, propagation, preconditions, collections."""

import pytest

from tests.apiserver.local_api import CORE, Api
from tests.apiserver.test_objects import MAPS, a_map

PODS = f"{CORE}/pods"


def a_pod(name: str = "p", **spec: object) -> dict:
    return {"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "i"}], **spec}}


async def test_a_deleted_object_is_gone_and_the_answer_names_it(api: Api):
    made = await api.made(MAPS, a_map())

    answer = await api.delete(f"{MAPS}/a")

    details = {"name": "a", "kind": "configmaps", "uid": made["metadata"]["uid"]}
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}
    assert (answer.status, answer.json) == (200, status)
    assert (await api.get(f"{MAPS}/a")).error == (404, "NotFound", 'configmaps "a" not found')


async def test_a_finalizer_keeps_an_object_until_it_is_taken_away(api: Api):
    await api.made(MAPS, a_map(finalizers=["example.com/hold"]))

    first = await api.delete(f"{MAPS}/a")
    again = await api.delete(f"{MAPS}/a")
    last = await api.patch(f"{MAPS}/a", {"metadata": {"finalizers": None}})

    assert first.json["metadata"]["deletionGracePeriodSeconds"] == 0
    assert again.json == first.json
    assert last.status == 200
    assert (await api.get(f"{MAPS}/a")).status == 404


async def test_no_finalizer_joins_once_deletion_has_begun(api: Api):
    await api.made(MAPS, a_map(finalizers=["example.com/hold"]))
    await api.delete(f"{MAPS}/a")

    answer = await api.patch(f"{MAPS}/a", {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}})

    assert answer.status == 422
    assert answer.json["details"]["causes"][0]["reason"] == "FieldValueForbidden"


@pytest.mark.parametrize(
    ("policy", "finalizers"),
    [("Foreground", ["foregroundDeletion"]), ("Orphan", ["orphan"])],
)
async def test_a_propagation_policy_leaves_its_finalizer(api: Api, policy: str, finalizers: list[str]):
    await api.made(MAPS, a_map())

    answer = await api.delete(f"{MAPS}/a", {"propagationPolicy": policy})

    assert answer.json["metadata"]["finalizers"] == finalizers


async def test_background_takes_a_policy_back(api: Api):
    await api.made(MAPS, a_map())
    await api.delete(f"{MAPS}/a", {"propagationPolicy": "Foreground"})

    await api.delete(f"{MAPS}/a", {"propagationPolicy": "Background"})

    assert (await api.get(f"{MAPS}/a")).status == 404


async def test_options_may_stand_in_the_query(api: Api):
    await api.made(MAPS, a_map())

    answer = await api.delete(f"{MAPS}/a", query={"propagationPolicy": "Orphan"})

    assert answer.json["metadata"]["finalizers"] == ["orphan"]


@pytest.mark.parametrize(
    "options",
    [
        {"propagationPolicy": "Sideways"},
        {"propagationPolicy": "Orphan", "orphanDependents": True},
        {"dryRun": ["Some"]},
        {"gracePeriodSeconds": "soon"},
        {"preconditions": []},
    ],
)
async def test_bad_options_are_refused(api: Api, options: dict):
    await api.made(MAPS, a_map())

    answer = await api.delete(f"{MAPS}/a", options)

    assert answer.status in (400, 422)
    assert (await api.get(f"{MAPS}/a")).status == 200


async def test_a_precondition_that_does_not_hold_is_a_409(api: Api):
    made = await api.made(MAPS, a_map())
    uid = made["metadata"]["uid"]

    answer = await api.delete(f"{MAPS}/a", {"preconditions": {"uid": "other"}})

    why = f"Precondition failed: UID in precondition: other, UID in object meta: {uid}"
    assert answer.error == (409, "Conflict", f'Operation cannot be fulfilled on ConfigMap "a": {why}')
    assert (await api.delete(f"{MAPS}/a", {"preconditions": {"uid": uid}})).status == 200


async def test_a_pod_on_a_node_waits_for_its_kubelet(api: Api):
    await api.made(PODS, a_pod(nodeName="n"))

    first = await api.delete(f"{PODS}/p")
    longer = await api.delete(f"{PODS}/p", {"gracePeriodSeconds": 60})
    shorter = await api.delete(f"{PODS}/p", {"gracePeriodSeconds": 5})
    final = await api.delete(f"{PODS}/p", {"gracePeriodSeconds": 0})

    waits = [each.json["metadata"]["deletionGracePeriodSeconds"] for each in (first, longer, shorter)]
    assert (waits, first.json["metadata"]["generation"]) == ([30, 30, 5], 2)
    assert final.json["kind"] == "Pod"
    assert (await api.get(f"{PODS}/p")).status == 404


@pytest.mark.parametrize("prepare", ["unscheduled", "finished"])
async def test_a_pod_that_nobody_runs_goes_at_once(api: Api, prepare: str):
    await api.made(PODS, a_pod(**({"nodeName": "n"} if prepare == "finished" else {})))
    if prepare == "finished":
        await api.patch(f"{PODS}/p/status", {"status": {"phase": "Succeeded"}})

    answer = await api.delete(f"{PODS}/p")

    assert (answer.status, answer.json["kind"]) == (200, "Pod")
    assert (await api.get(f"{PODS}/p")).status == 404


async def test_a_collection_is_deleted_by_selector_and_answered_as_a_list(api: Api):
    for name, color in (("a", "red"), ("b", "blue"), ("c", "red")):
        await api.made(MAPS, a_map(name, labels={"color": color}))

    answer = await api.delete(MAPS, query={"labelSelector": "color=red"})

    assert (answer.json["kind"], [item["metadata"]["name"] for item in answer.json["items"]]) == (
        "ConfigMapList",
        ["a", "c"],
    )
    assert [item["metadata"]["name"] for item in (await api.get(MAPS)).json["items"]] == ["b"]


async def test_namespaces_cannot_be_deleted_as_a_collection(api: Api):
    answer = await api.delete("/api/v1/namespaces")

    message = "the server does not allow this method on the requested resource"
    assert answer.error == (405, "MethodNotAllowed", message)
    assert answer.json["details"] == {}


async def test_a_namespace_goes_when_it_is_finalized(api: Api):
    await api.made("/api/v1/namespaces", {"metadata": {"name": "shop"}})

    going = (await api.delete("/api/v1/namespaces/shop")).json
    final = await api.put("/api/v1/namespaces/shop/finalize", {**going, "spec": {"finalizers": []}})

    assert (going["status"]["phase"], going["spec"]["finalizers"]) == ("Terminating", ["kubernetes"])
    assert final.status == 200
    assert (await api.get("/api/v1/namespaces/shop")).status == 404


@pytest.mark.parametrize("name", ["default", "kube-system", "kube-public"])
async def test_three_namespaces_stay_for_ever(api: Api, name: str):
    answer = await api.delete(f"/api/v1/namespaces/{name}")

    message = f'namespaces "{name}" is forbidden: this namespace may not be deleted'
    assert answer.error == (403, "Forbidden", message)


async def test_deleting_what_is_not_there_is_a_404(api: Api):
    assert (await api.delete(f"{MAPS}/a")).error == (404, "NotFound", 'configmaps "a" not found')
