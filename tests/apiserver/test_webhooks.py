"""Admission webhooks over real HTTPS: who is asked, what they see, change and refuse, and what a failure means."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from tests.apiserver.local_api import CORE, Api
from tests.apiserver.served_api import Served, own_address, served_api
from tests.apiserver.webhook_server import ADMISSION, Hooks, have_webhook, patch, rule, webhook_server

MAPS = f"{CORE}/configmaps"
RULES = [rule("configmaps")]
ALLOW = {"allowed": True}


class Scene(NamedTuple):
    served: Served
    api: Api
    hooks: Hooks


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    async with served_api(tmp_path) as served, webhook_server(served) as hooks:
        hooks.answers["/allow"] = lambda request: ALLOW
        hooks.answers["/deny"] = lambda request: {"allowed": False, "status": {"message": "not here", "code": 403}}
        yield Scene(served, served.api, hooks)


def a_map(name: str = "a", **more: Any) -> dict[str, Any]:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, **more.pop("metadata", {})}, **more}


async def test_a_validating_webhook_sees_every_operation_with_its_objects_and_user(scene: Scene):
    await have_webhook(scene.api, "validating", "see", scene.hooks.at("/allow"), RULES)

    await scene.api.made(MAPS, a_map(), query={"fieldManager": "me"})
    await scene.api.patch(f"{MAPS}/a", {"data": {"k": "v"}}, query={"dryRun": "All"})
    await scene.api.delete(f"{MAPS}/a", {"gracePeriodSeconds": 0})

    create, update, delete = scene.hooks.take()
    assert [(each["operation"], each["name"], each["namespace"]) for each in (create, update, delete)] == [
        (operation, "a", "default") for operation in ("CREATE", "UPDATE", "DELETE")
    ]
    assert (create["oldObject"], create["object"]["kind"], create["options"]["fieldManager"]) == (
        None,
        "ConfigMap",
        "me",
    )
    assert (update["object"]["data"], update["dryRun"], "data" in update["oldObject"]) == ({"k": "v"}, True, False)
    assert (delete["object"], delete["oldObject"]["metadata"]["name"]) == (None, "a")
    assert (create["kind"], create["resource"]) == (
        {"group": "", "version": "v1", "kind": "ConfigMap"},
        {"group": "", "version": "v1", "resource": "configmaps"},
    )
    assert create["userInfo"]["username"] == "admin"
    assert delete["options"]["gracePeriodSeconds"] == 0


async def test_a_refusal_reads_as_in_kubernetes_also_in_kubectl(scene: Scene):
    await have_webhook(scene.api, "validating", "deny", scene.hooks.at("/deny"), RULES)

    told = await scene.served.kubectl("create", "configmap", "a")

    why = 'admission webhook "deny.example.com" denied the request: not here'
    assert (told.status, told.err.strip()) == (1, f"error: failed to create configmap: {why}")
    assert (await scene.api.get(f"{MAPS}/a")).status == 404


@pytest.mark.parametrize(
    ("status", "code", "reason", "message"),
    [
        ({}, 400, None, "without explanation"),
        ({"reason": "Forbidden", "code": 403}, 403, "Forbidden", None),
        ({"message": "no", "code": 200}, 400, None, None),
    ],
)
async def test_a_refusal_has_the_code_and_reason_that_the_webhook_gives(
    scene: Scene, status: dict[str, Any], code: int, reason: str | None, message: str | None
):
    scene.hooks.answers["/x"] = lambda request: {"allowed": False, "status": status}
    await have_webhook(scene.api, "validating", "x", scene.hooks.at("/x"), RULES)

    answer = await scene.api.post(MAPS, a_map())

    said = message or ": " + (status.get("message") or status["reason"])
    denied = f'admission webhook "x.example.com" denied the request{" " if message else ""}{said}'
    assert (answer.status, answer.json.get("reason"), answer.json["message"]) == (code, reason, denied)


async def test_a_mutating_webhook_changes_the_object_before_it_is_judged(scene: Scene):
    scene.hooks.answers["/label"] = lambda request: patch(
        {"op": "add", "path": "/metadata/labels", "value": {"by": "hook"}},
        {"op": "add", "path": "/data", "value": {"n": "1"}},
    )
    scene.hooks.answers["/bad"] = lambda request: patch({"op": "add", "path": "/metadata/labels", "value": {"!": ""}})
    await have_webhook(scene.api, "mutating", "label", scene.hooks.at("/label"), RULES)
    await have_webhook(scene.api, "mutating", "bad", scene.hooks.at("/bad"), [rule("secrets")])

    made = await scene.api.made(MAPS, a_map())
    refused = await scene.api.post(f"{CORE}/secrets", {"metadata": {"name": "s"}})

    assert (made["metadata"]["labels"], made["data"]) == ({"by": "hook"}, {"n": "1"})
    assert (refused.status, refused.json["details"]["causes"][0]["field"]) == (422, "metadata.labels")


async def test_a_webhook_cannot_change_through_status_what_status_may_not(scene: Scene):
    scene.hooks.answers["/x"] = lambda request: patch({"op": "add", "path": "/spec/unschedulable", "value": True})
    await scene.api.made("/api/v1/nodes", {"metadata": {"name": "n1"}})
    await have_webhook(scene.api, "mutating", "x", scene.hooks.at("/x"), [rule("nodes/status")])

    node = (await scene.api.patch("/api/v1/nodes/n1/status", {"status": {"nodeInfo": {"kernelVersion": "1"}}})).json

    unschedulable = node["spec"].get("unschedulable")
    assert (len(scene.hooks.take()), unschedulable, node["status"]["nodeInfo"]["kernelVersion"]) == (1, None, "1")


async def test_whoever_wants_is_asked_again_when_a_later_one_changed_the_object(scene: Scene):
    def count(request: dict[str, Any]) -> dict[str, Any]:
        data = request["object"].get("data", {})
        return patch({"op": "add", "path": "/data", "value": {**data, "seen": data.get("seen", "") + "1"}})

    def later(request: dict[str, Any]) -> dict[str, Any]:
        return patch({"op": "add", "path": "/data/later", "value": "1"})

    scene.hooks.answers |= {"/count": count, "/later": later}
    await have_webhook(scene.api, "mutating", "a", scene.hooks.at("/count"), RULES, reinvocationPolicy="IfNeeded")
    await have_webhook(scene.api, "mutating", "b", scene.hooks.at("/later"), RULES)

    made = await scene.api.made(MAPS, a_map())

    assert made["data"] == {"seen": "11", "later": "1"}
    assert len(scene.hooks.take()) == 3


async def test_selectors_and_conditions_say_who_is_asked(scene: Scene):
    await scene.api.made("/api/v1/namespaces", {"metadata": {"name": "lab", "labels": {"watched": "yes"}}})
    condition = {"name": "not-mine", "expression": "request.userInfo.username != 'me' && !has(object.data)"}
    await have_webhook(
        scene.api,
        "validating",
        "x",
        scene.hooks.at("/allow"),
        [rule("configmaps", operations=("CREATE",))],
        namespaceSelector={"matchLabels": {"watched": "yes"}},
        objectSelector={"matchLabels": {"app": "web"}},
        matchConditions=[condition],
    )
    lab, web = "/api/v1/namespaces/lab/configmaps", {"labels": {"app": "web"}}

    await scene.api.made(MAPS, a_map("other-namespace", metadata=web))
    await scene.api.made(lab, a_map("no-label"))
    await scene.api.made(lab, a_map("data", metadata=web, data={"a": "b"}))
    await scene.api.made(lab, a_map("me", metadata=web), user="me")
    await scene.api.made(lab, a_map("meant", metadata=web))

    assert [request["name"] for request in scene.hooks.take()] == ["meant"]


async def test_a_condition_that_fails_refuses_or_is_passed_over(scene: Scene):
    conditions = [{"name": "broken", "expression": "object.data.missing == 'x'"}]
    client = scene.hooks.at("/deny")
    await have_webhook(scene.api, "validating", "x", client, RULES, matchConditions=conditions, failurePolicy="Ignore")
    await scene.api.made(MAPS, a_map("passed-over"))
    await have_webhook(scene.api, "validating", "y", client, RULES, matchConditions=conditions)

    answer = await scene.api.post(MAPS, a_map())

    assert (answer.status, 'match condition "broken" failed: no such key' in answer.json["message"]) == (403, True)


async def test_a_webhook_that_fails_ends_the_write_unless_it_may_be_ignored(scene: Scene):
    await have_webhook(scene.api, "validating", "broken", scene.hooks.at("/none"), RULES)
    failed = await scene.api.post(MAPS, a_map())
    hook = {"failurePolicy": "Ignore"}
    await scene.api.patch(
        f"{ADMISSION}/validatingwebhookconfigurations/broken",
        [{"op": "add", "path": "/webhooks/0/failurePolicy", "value": hook["failurePolicy"]}],
        "application/json-patch+json",
    )
    await scene.api.made(MAPS, a_map())

    why = 'an error on the server ("no idea") has prevented the request from succeeding'
    text = f'Internal error occurred: failed calling webhook "broken.example.com": failed to call webhook: {why}'
    assert failed.error == (500, "InternalError", text)


@pytest.mark.parametrize(
    ("path", "client", "why"),
    [
        ("/hang", {}, 'Post "https://hook.default.svc:443/hang?timeout=1s": context deadline exceeded'),
        ("/x", {"name": "none"}, 'service "none" not found'),
        (
            "/x",
            {"port": 1},
            'Post "https://hook.default.svc:1/x?timeout=1s": no service port 1 found for service "hook"',
        ),
    ],
)
async def test_why_a_webhook_failed_is_told(scene: Scene, path: str, client: dict[str, Any], why: str):
    await have_webhook(scene.api, "mutating", "x", scene.hooks.at(path, **client), RULES, timeoutSeconds=1)

    answer = await scene.api.post(MAPS, a_map())

    assert answer.json["message"] == (
        f'Internal error occurred: failed calling webhook "x.example.com": failed to call webhook: {why}'
    )


async def test_certificates_are_checked_against_the_bundle_and_the_name(scene: Scene):
    stranger = {**scene.hooks.at("/allow"), "caBundle": ""}
    elsewhere = {"url": f"https://{own_address()}:{scene.hooks.port}/allow", "caBundle": scene.hooks.ca_bundle}
    await have_webhook(scene.api, "validating", "a", stranger, RULES)
    await have_webhook(scene.api, "validating", "b", elsewhere, [rule("secrets")])

    answers = [
        await scene.api.post(MAPS, a_map()),
        await scene.api.post(f"{CORE}/secrets", {"metadata": {"name": "s"}}),
    ]

    assert ["tls: failed to verify certificate: x509: " in answer.json["message"] for answer in answers] == [True, True]
    assert scene.hooks.take() == []


@pytest.mark.parametrize(
    ("response", "why"),
    [
        ({"uid": "other", "allowed": True}, 'expected response.uid="'),
        ({"allowed": True, "patch": "W10="}, "validating webhook may not return response.patch"),
    ],
)
async def test_an_answer_that_is_none_is_told(scene: Scene, response: dict[str, Any], why: str):
    scene.hooks.answers["/x"] = lambda request: response
    await have_webhook(scene.api, "validating", "x", scene.hooks.at("/x"), RULES)

    answer = await scene.api.post(MAPS, a_map())

    assert f'"x.example.com": received invalid webhook response: {why}' in answer.json["message"]


async def test_warnings_reach_the_client_also_with_a_refusal(scene: Scene):
    scene.hooks.answers["/warn"] = lambda request: {"allowed": request["name"] != "b", "warnings": ["mind the gap"]}
    await have_webhook(scene.api, "validating", "x", scene.hooks.at("/warn"), RULES)

    told = [await scene.served.kubectl("create", "configmap", name) for name in ("a", "b")]
    gone = await scene.api.delete(f"{MAPS}/a")

    assert ["Warning: mind the gap" in each.err for each in told] == [True, True]
    assert gone.header("warning") == '299 - "mind the gap"'


async def test_a_dry_run_asks_only_webhooks_without_side_effects(scene: Scene):
    await have_webhook(scene.api, "validating", "x", scene.hooks.at("/allow"), RULES, sideEffects="NoneOnDryRun")
    assert (await scene.api.post(MAPS, a_map(), query={"dryRun": "All"})).status == 201


async def test_subresources_are_seen_as_what_they_are(scene: Scene):
    rules = [rule("pods/binding", "pods/eviction", "pods/status", "serviceaccounts/token")]
    rules += [rule("deployments/scale", group="apps")]
    pod = {"containers": [{"name": "c", "image": "i"}]}
    await scene.api.made(f"{CORE}/pods", {"metadata": {"name": "p"}, "spec": pod})
    template = {"metadata": {"labels": {"a": "b"}}, "spec": pod}
    deployment = {"selector": {"matchLabels": {"a": "b"}}, "template": template}
    await scene.api.made(
        "/apis/apps/v1/namespaces/default/deployments", {"metadata": {"name": "d"}, "spec": deployment}
    )
    await scene.api.made(f"{CORE}/serviceaccounts", {"metadata": {"name": "bob"}})
    scene.hooks.answers["/two"] = lambda request: (
        patch({"op": "replace", "path": "/spec/replicas", "value": 2}) if request["subResource"] == "scale" else ALLOW
    )
    await have_webhook(scene.api, "mutating", "x", scene.hooks.at("/two"), rules)

    scale = await scene.api.patch("/apis/apps/v1/namespaces/default/deployments/d/scale", {"spec": {"replicas": 5}})
    await scene.api.made(f"{CORE}/pods/p/binding", {"target": {"kind": "Node", "name": "n1"}})
    await scene.api.made(f"{CORE}/serviceaccounts/bob/token", {"spec": {}})
    await scene.api.made(f"{CORE}/pods/p/eviction", {"metadata": {"name": "p"}})

    seen = [
        (each["operation"], each["kind"]["kind"], each["resource"]["resource"], each["subResource"])
        for each in scene.hooks.take()
    ]
    assert seen == [
        ("UPDATE", "Scale", "deployments", "scale"),
        ("CREATE", "Binding", "pods", "binding"),
        ("CREATE", "TokenRequest", "serviceaccounts", "token"),
        ("CREATE", "Eviction", "pods", "eviction"),
    ]
    assert scale.json["spec"] == {"replicas": 2}


async def test_connections_can_be_refused(scene: Scene):
    rules = [rule("pods/exec", "pods/attach", "pods/proxy", operations=("CONNECT",))]
    await have_webhook(scene.api, "validating", "x", scene.hooks.at("/deny"), rules)

    told = await scene.served.kubectl("exec", "hook", "-c", "app", "--", "ls", "/")
    proxied = await scene.api.get(f"{CORE}/pods/hook:1/proxy/x/y")

    assert 'admission webhook "x.example.com" denied the request: not here' in told.err
    assert proxied.status == 403
    exec_, *_, proxy = scene.hooks.take()
    options = {"stdout": True, "stderr": True, "container": "app", "command": ["ls", "/"]}
    assert exec_["object"] == {"kind": "PodExecOptions", "apiVersion": "v1", **options}
    assert (proxy["operation"], proxy["object"]["path"], proxy["name"]) == ("CONNECT", "/x/y", "hook:1")


async def test_an_equivalent_version_is_shown_in_the_form_the_rule_asks_for(scene: Scene):
    group = "autoscaling"
    await have_webhook(
        scene.api,
        "validating",
        "x",
        scene.hooks.at("/allow"),
        [rule("horizontalpodautoscalers", group=group, version="v1")],
    )
    await have_webhook(
        scene.api,
        "validating",
        "exact",
        scene.hooks.at("/deny"),
        [rule("horizontalpodautoscalers", group=group, version="v1")],
        matchPolicy="Exact",
    )
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": "d", "apiVersion": "apps/v1"}, "maxReplicas": 3}

    await scene.api.made(
        "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers", {"metadata": {"name": "h"}, "spec": spec}
    )

    [seen] = scene.hooks.take()
    versions = (seen["object"]["apiVersion"], seen["kind"]["version"], seen["requestKind"]["version"])
    assert versions == ("autoscaling/v1", "v1", "v2")


async def test_configurations_can_always_be_taken_back(scene: Scene):
    everything = {"operations": ["*"], "apiGroups": ["*"], "apiVersions": ["*"], "resources": ["*/*"]}
    await have_webhook(scene.api, "validating", "all", scene.hooks.at("/deny"), [everything])

    refused = await scene.api.post(MAPS, a_map())
    told = await scene.served.kubectl("delete", "validatingwebhookconfiguration", "all")

    assert (refused.status, told.status) == (403, 0)
    await scene.api.made(MAPS, a_map())
