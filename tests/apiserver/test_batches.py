"""Bindings, events or pods in one request: each item fares as if it had come alone."""

from typing import Any

import orjson

from tests.apiserver.local_api import CORE, Api, running_api
from tests.apiserver.test_audit import audited
from wherry.api.resource.gpu import GRANTED

SCHEDULER = {"user": "system:kube-scheduler"}
DONE = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


def a_batch(*items: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "List", "apiVersion": "v1", "items": list(items)}


def a_binding(name: str, node: str = "n", *, namespace: str = "default", **annotations: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "annotations": annotations}
    return {"kind": "Binding", "apiVersion": "v1", "metadata": metadata, "target": {"kind": "Node", "name": node}}


def an_event(name: str, namespace: str = "default") -> dict[str, Any]:
    about = {"kind": "Pod", "namespace": namespace, "name": "web"}
    metadata = {"name": name, "namespace": namespace}
    return {"kind": "Event", "apiVersion": "v1", "metadata": metadata, "involvedObject": about, "reason": "Scheduled"}


async def with_pods(api: Api, *names: str) -> None:
    for name in names:
        spec = {"containers": [{"name": "main", "image": "a"}]}
        assert (await api.post(f"{CORE}/pods", {"metadata": {"name": name}, "spec": spec})).status == 201


async def nodes_of(api: Api) -> dict[str, str]:
    pods = (await api.get(f"{CORE}/pods")).json["items"]
    return {pod["metadata"]["name"]: pod["spec"].get("nodeName", "") for pod in pods}


def told(answer: Any) -> list[tuple[int, str]]:
    return [(item["code"], item.get("message", "")) for item in answer.json["items"]]


async def test_each_item_has_its_own_outcome():
    async with running_api() as api:
        await with_pods(api, "one", "two", "three")
        await api.post(f"{CORE}/pods/two/binding", a_binding("two", "elsewhere"))
        batch = a_batch(a_binding("one"), a_binding("two"), a_binding("gone"), a_binding("three", ""), {"metadata": 1})
        answer = await api.post("/api/v1/bindings", batch, **SCHEDULER, groups=())

        assert await nodes_of(api) == {"one": "n", "two": "elsewhere", "three": ""}
    assert answer.json["items"][0] == DONE
    assert [item["code"] for item in answer.json["items"]] == [201, 409, 404, 422, 404]
    assert answer.json["items"][1]["message"].endswith('pod two is already assigned to node "elsewhere"')


async def test_outcomes_are_json_whatever_the_client_prefers():
    async with running_api() as api:
        preferred = {"accept": "application/vnd.kubernetes.protobuf,application/json"}
        answer = await api.post(
            "/api/v1/bindings", a_batch(a_binding("gone")), headers=preferred, **SCHEDULER, groups=()
        )

    assert told(answer) == [(404, 'pods "gone" not found')]


async def test_an_item_that_is_no_text_spoils_no_other():
    batch = orjson.dumps(a_batch(a_binding("one"), a_binding("spoilt"))).replace(b"spoilt", b"\xff")
    async with running_api() as api:
        await with_pods(api, "one")
        answer = await api.post("/api/v1/bindings", batch, **SCHEDULER, groups=())

        assert [code for code, _ in told(answer)] == [201, 404]
        assert await nodes_of(api) == {"one": "n"}


async def test_watchers_see_every_pod_change_once():
    async with running_api() as api:
        await with_pods(api, "one", "two")
        version = (await api.get(f"{CORE}/pods")).json["metadata"]["resourceVersion"]
        async with api.watch(f"{CORE}/pods", resourceVersion=version) as stream:
            await api.post("/api/v1/bindings", a_batch(a_binding("one"), a_binding("two")))
            seen = [await stream.next(), await stream.next()]

    assert [(e["type"], e["object"]["metadata"]["name"], e["object"]["spec"]["nodeName"]) for e in seen if e] == [
        ("MODIFIED", "one", "n"),
        ("MODIFIED", "two", "n"),
    ]


async def test_a_device_is_granted_once_within_a_batch():
    async with running_api() as api:
        await with_pods(api, "one", "two")
        batch = a_batch(*(a_binding(name, **{GRANTED: "GPU-1"}) for name in ("one", "two")))
        answer = await api.post("/api/v1/bindings", batch)

        assert await nodes_of(api) == {"one": "n", "two": ""}
    assert "device GPU-1 is granted to pod default/one already" in told(answer)[1][1]


async def test_who_may_not_bind_one_by_one_may_not_in_a_batch():
    rules = [{"apiGroups": [""], "resources": ["bindings", "events"], "verbs": ["create"]}]
    subject = {"kind": "User", "name": "eve", "apiGroup": "rbac.authorization.k8s.io"}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "half"}
    batch = a_batch(a_binding("one"))
    async with running_api() as api:
        await with_pods(api, "one")
        refused = await api.post("/api/v1/bindings", batch, user="eve", groups=())
        rbac = "/apis/rbac.authorization.k8s.io/v1"
        await api.made(f"{rbac}/clusterroles", {"metadata": {"name": "half"}, "rules": rules})
        grant = {"metadata": {"name": "half"}, "roleRef": role, "subjects": [subject]}
        await api.made(f"{rbac}/clusterrolebindings", grant)
        halfway = await api.post("/api/v1/bindings", batch, user="eve", groups=())

        assert await nodes_of(api) == {"one": ""}
    assert refused.error[:2] == (403, "Forbidden")
    why = 'User "eve" cannot create resource "pods/binding" in API group "" in the namespace "default"'
    assert told(halfway) == [(403, f'pods "one" is forbidden: {why}')]


async def test_events_of_several_namespaces_come_together():
    async with running_api() as api:
        await api.made("/api/v1/namespaces", {"metadata": {"name": "shop"}})
        batch = a_batch(an_event("a"), an_event("b", "shop"), an_event("a"), an_event("c", "nowhere"))
        answer = await api.post("/api/v1/events", batch, **SCHEDULER, groups=())
        events = (await api.get("/api/v1/events")).json["items"]

    assert [item["code"] for item in answer.json["items"]] == [201, 201, 409, 404]
    assert [(e["metadata"]["namespace"], e["metadata"]["name"]) for e in events] == [("default", "a"), ("shop", "b")]


async def test_of_new_pods_the_versions_are_told():
    def a_pod(name: str, namespace: str = "default", image: str = "a") -> dict[str, Any]:
        spec = {"containers": [{"name": "main", "image": image}]}
        return {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": name, "namespace": namespace}, "spec": spec}

    async with running_api() as api:
        batch = a_batch(a_pod("one"), a_pod("one"), a_pod("two", "nowhere"), a_pod("three", image=""), {"metadata": 1})
        answer = await api.post("/api/v1/pods", batch)
        [pod] = (await api.get("/api/v1/pods")).json["items"]

    assert [code for code, _ in told(answer)] == [201, 409, 404, 422, 405]
    details = {"name": "one", "kind": "pods", "uid": pod["metadata"]["uid"]}
    metadata = {"resourceVersion": pod["metadata"]["resourceVersion"]}
    assert answer.json["items"][0] == {**DONE, "metadata": metadata, "details": details}


async def test_who_may_make_pods_in_one_namespace_only_makes_them_one_by_one():
    async with running_api() as api:
        answer = await api.post("/api/v1/pods", a_batch(), user="eve", groups=())

    assert answer.error[:2] == (403, "Forbidden")


async def test_the_audit_log_tells_of_every_binding(tmp_path):
    policy = "apiVersion: audit.k8s.io/v1\nkind: Policy\nomitStages: [RequestReceived]\nrules: [{level: Request}]\n"
    async with audited(tmp_path, policy) as (api, told):
        await with_pods(api, "one", "two")
        told()
        batch = a_batch(a_binding("one"), a_binding("gone"))
        answer = await api.post("/api/v1/bindings", batch, **SCHEDULER, groups=())
        events = [event for event in told() if event["objectRef"].get("subresource") == "binding"]

    assert sorted((e["objectRef"]["name"], e["responseStatus"]["code"], e["requestURI"]) for e in events) == [
        ("gone", 404, f"{CORE}/pods/gone/binding"),
        ("one", 201, f"{CORE}/pods/one/binding"),
    ]
    assert {event["user"]["username"] for event in events} == {"system:kube-scheduler"}
    [batch_id] = answer.all("audit-id")
    assert {event["annotations"]["batch.audit.wherry.dev/id"] for event in events} == {batch_id}
    assert len({batch_id, *(event["auditID"] for event in events)}) == 3


async def test_what_is_no_list_of_bindings_is_refused():
    async with running_api() as api:
        answers = [
            await api.post("/api/v1/bindings", body)
            for body in (a_binding("one"), {**a_batch(), "kind": "PodList"}, b"[", a_batch(*[{}] * 501))
        ]
        yaml = await api.post("/api/v1/bindings", b"items: []", headers={"content-type": "application/yaml"})
        pods = await api.post("/api/v1/pods", a_batch(*[{}] * 101))
        secrets = await api.post("/api/v1/secrets", a_batch())

    assert [answer.status for answer in (*answers, yaml, pods, secrets)] == [405, 405, 405, 400, 405, 400, 405]
    assert orjson.loads(answers[3].body)["message"].startswith("a List of objects to create may have 500 items")


def a_deletion(name: str, namespace: str = "default", uid: str = "", version: str = "") -> dict[str, Any]:
    preconditions = {word: value for word, value in (("uid", uid), ("resourceVersion", version)) if value}
    metadata = {"name": name, "namespace": namespace}
    options = {"kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": 0}
    return {**options, "metadata": metadata, "preconditions": preconditions}


async def test_pods_that_are_to_go_go_together_each_with_its_own_outcome():
    async with running_api() as api:
        await with_pods(api, "one", "two", "three", "four")
        uid = (await api.get(f"{CORE}/pods/one")).json["metadata"]["uid"]
        wishes = [a_deletion("one", uid=uid), a_deletion("two", uid=uid), a_deletion("three", version="1")]
        strange = [a_deletion("gone"), a_deletion("four", ""), a_deletion(""), {**a_deletion("four"), "kind": "Pod"}]
        answer = await api.delete("/api/v1/pods", a_batch(*wishes, *strange))

        assert sorted(await nodes_of(api)) == ["four", "three", "two"]
    assert [item["code"] for item in answer.json["items"]] == [200, 409, 409, 404, 404, 405, 400]
    assert answer.json["items"][0] == {**DONE, "code": 200}


async def test_a_deletion_that_is_no_list_or_selects_by_itself_is_refused_as_ever():
    async with running_api() as api:
        await with_pods(api, "one")
        answers = [
            await api.delete("/api/v1/pods"),
            await api.delete("/api/v1/pods", a_deletion("one")),
            await api.delete("/api/v1/pods", a_batch(a_deletion("one")), query={"labelSelector": "a=b"}),
            await api.delete("/api/v1/pods", a_batch(*[{}] * 101)),
            await api.delete("/api/v1/pods", a_batch(a_deletion("one")), user="eve", groups=()),
        ]

        assert list(await nodes_of(api)) == ["one"]
    assert [answer.status for answer in answers] == [405, 405, 405, 400, 403]
