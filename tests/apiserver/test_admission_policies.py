"""Policies in CEL: what they refuse, warn of, write down and change, with parameters and without."""

from pathlib import Path
from typing import Any

import pytest

from tests.apiserver.local_api import CORE, Api
from tests.apiserver.served_api import served_api

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
APPS = "/apis/apps/v1/namespaces/default/deployments"
MAPS = f"{CORE}/configmaps"
FAILED = "failed expression: "
PODS = "authorizer.group('').resource('pods').namespace('default')"


def matching(resource: str, group: str = "", **more: Any) -> dict[str, Any]:
    rule = {"operations": ["CREATE", "UPDATE"], "apiGroups": [group], "apiVersions": ["*"], "resources": [resource]}
    return {"resourceRules": [rule], **more}


async def have_policy(api: Api, name: str, *, resource: str = "configmaps", **spec: Any) -> None:
    spec.setdefault("matchConstraints", matching(resource))
    made = {"metadata": {"name": name}, "spec": spec}
    await api.made(f"{ADMISSION}/validatingadmissionpolicies", made)


async def bind(api: Api, policy: str, *actions: str, name: str = "", **spec: Any) -> None:
    binding = {"policyName": policy, "validationActions": list(actions or ("Deny",)), **spec}
    made = {"metadata": {"name": name or policy}, "spec": binding}
    await api.made(f"{ADMISSION}/validatingadmissionpolicybindings", made)


async def have_changes(
    api: Api, name: str, *mutations: dict[str, Any], resource: str = "configmaps", **spec: Any
) -> None:
    spec = {"matchConstraints": matching(resource), "mutations": list(mutations), "reinvocationPolicy": "Never", **spec}
    await api.made(f"{ADMISSION}/mutatingadmissionpolicies", {"metadata": {"name": name}, "spec": spec})
    binding = {"metadata": {"name": name}, "spec": {"policyName": name}}
    await api.made(f"{ADMISSION}/mutatingadmissionpolicybindings", binding)


def json_patch(expression: str) -> dict[str, Any]:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def a_map(name: str = "a", **data: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "data": data}


async def test_a_broken_rule_refuses_in_kubernetes_words(api: Api):
    validations = [{"expression": "object.data.size() <= 1", "message": "too much", "reason": "Forbidden"}]
    await have_policy(api, "small", validations=validations)
    await api.made(MAPS, a_map("before", a="1", b="2"))  # in force where a binding says so
    await bind(api, "small")

    refused = await api.post(MAPS, a_map(a="1", b="2"))

    why = "ValidatingAdmissionPolicy 'small' with binding 'small' denied request: too much"
    assert refused.error == (403, "Forbidden", f'configmaps "a" is forbidden: {why}')
    assert refused.json["details"]["causes"] == [{"message": why}]
    await api.made(MAPS, a_map(a="1"))


@pytest.mark.parametrize(
    ("validation", "said"),
    [
        ({"expression": "has(object.data.x)"}, "failed expression: has(object.data.x)"),
        ({"expression": "variables.keys.size() == 0", "messageExpression": "'has ' + variables.keys[0]"}, "has k"),
        ({"expression": "object.data.x == 'y'"}, "expression 'object.data.x == 'y'' resulted in error: no such key: x"),
        ({"expression": "request.name == 'b'", "message": "m", "messageExpression": "object.data.x"}, "m"),
        ({"expression": "namespaceObject.metadata.name == ''"}, FAILED + "namespaceObject.metadata.name == ''"),
        ({"expression": f"{PODS}.check('delete').allowed()", "message": "may not"}, "may not"),
        ({"expression": "authorizer.requestResource.check('delete').allowed()", "message": "nor this"}, "nor this"),
    ],
)  # fmt: skip
async def test_what_is_said_is_the_messages_or_the_expression(api: Api, validation: dict[str, Any], said: str):
    variables = [{"name": "keys", "expression": "object.data.map(k, k)"}]
    await have_policy(api, "p", validations=[validation], variables=variables)
    await bind(api, "p")
    rule = {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]}
    roles = "/apis/rbac.authorization.k8s.io/v1/"
    await api.made(f"{roles}clusterroles", {"metadata": {"name": "maker"}, "rules": [rule]})
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "maker"}
    subjects = [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "eve"}]
    await api.made(f"{roles}clusterrolebindings", {"metadata": {"name": "eve"}, "roleRef": ref, "subjects": subjects})

    refused = await api.post(MAPS, a_map(k="v"), user="eve", groups=())

    assert refused.json["message"].endswith(f"denied request: {said}")
    assert (refused.status, refused.json["reason"]) == (422, "Invalid")


async def test_actions_warn_and_write_down_instead_of_refusing(api: Api):
    annotations = [{"key": "who", "valueExpression": "'made by ' + request.userInfo.username"}]
    await have_policy(api, "p", validations=[{"expression": "false", "message": "no"}], auditAnnotations=annotations)
    await bind(api, "p", "Warn", "Audit")

    made = await api.post(MAPS, a_map())

    why = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p': no"
    assert (made.status, made.header("warning")) == (201, f'299 - "{why}"')


async def test_parameters_come_by_name_or_selector_and_bindings_say_where(api: Api):
    for name, limit in (("one", "1"), ("two", "2")):
        await api.made(MAPS, {"metadata": {"name": name, "labels": {"limit": "yes"}}, "data": {"max": limit}})
    expression = "object.data.size() <= int(params.data.max)"
    await have_policy(
        api,
        "limit",
        resource="secrets",
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        validations=[
            {"expression": "!has(object.data) || " + expression, "messageExpression": "'max ' + params.data.max"}
        ],
    )
    named = {"name": "two", "namespace": "default", "parameterNotFoundAction": "Deny"}
    selected = {"selector": {"matchLabels": {"limit": "yes"}}, "parameterNotFoundAction": "Deny"}
    await bind(api, "limit", name="a", paramRef=named)
    secret = {"metadata": {"name": "s"}, "data": {"a": "eA==", "b": "eA=="}}

    allowed = await api.post(f"{CORE}/secrets", secret, query={"dryRun": "All"})
    only = matching("secrets", objectSelector={"matchLabels": {"strict": "yes"}})
    await bind(api, "limit", name="b", paramRef=selected, matchResources=only)
    still = await api.post(f"{CORE}/secrets", secret, query={"dryRun": "All"})
    secret["metadata"] = {"name": "s", "labels": {"strict": "yes"}}
    refused = await api.post(f"{CORE}/secrets", secret)

    assert (allowed.status, still.status, refused.json["message"].rpartition("request: ")[2]) == (201, 201, "max 1")


@pytest.mark.parametrize(("action", "status"), [("Deny", 422), ("Allow", 201)])
async def test_parameters_that_are_missing_refuse_or_not(api: Api, action: str, status: int):
    kind = {"apiVersion": "v1", "kind": "ConfigMap"}
    await have_policy(
        api, "p", resource="secrets", paramKind=kind, validations=[{"expression": "params.data.x == '1'"}]
    )
    await bind(api, "p", paramRef={"name": "none", "namespace": "default", "parameterNotFoundAction": action})

    answer = await api.post(f"{CORE}/secrets", {"metadata": {"name": "s"}})

    assert answer.status == status
    if status == 422:
        why = "no params found for policy binding with `Deny` parameterNotFoundAction"
        assert answer.json["message"].endswith(f"denied request: failed to configure binding: {why}")


async def test_what_fails_is_passed_over_where_the_policy_says_so(api: Api):
    conditions = [{"name": "c", "expression": "object.metadata.name != 'free'"}]
    await have_policy(
        api,
        "p",
        validations=[{"expression": "object.data.x == '1'"}],
        failurePolicy="Ignore",
        matchConditions=conditions,
    )
    await bind(api, "p")

    answers = [await api.post(MAPS, made) for made in (a_map("fails"), a_map("free", x="2"), a_map("bad", x="2"))]

    assert [answer.status for answer in answers] == [201, 201, 422]


async def test_an_expression_that_is_none_is_refused_with_the_policy(api: Api):
    spec = {
        "matchConstraints": matching("configmaps"),
        "validations": [{"expression": "object.x +"}, {"expression": "'a'"}],
    }
    refused = await api.post(f"{ADMISSION}/validatingadmissionpolicies", {"metadata": {"name": "p"}, "spec": spec})

    first, second = refused.json["details"]["causes"]
    assert (first["field"], "compilation failed: ERROR: <input>:1:11: Syntax error" in first["message"]) == (
        "spec.validations[0].expression",
        True,
    )
    assert second["message"] == "Invalid value: \"'a'\": must evaluate to bool"


async def test_changes_are_made_by_patch_and_by_configuration(api: Api):
    patch = """[JSONPatch{op: "add", path: "/metadata/annotations", value: {"a/b": "1"}},
      JSONPatch{op: "add", path: "/metadata/annotations/" + jsonpatch.escapeKey("c/d"),
                value: string(object.data.size())}]"""
    apply = "Object{metadata: Object.metadata{labels: {'team': variables.team}}, data: {'more': 'yes'}}"
    configuration = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": apply}}
    variables = [{"name": "team", "expression": "'t-' + object.metadata.annotations['a/b']"}]
    await have_changes(api, "p", json_patch(patch), configuration, variables=variables)

    made = await api.made(MAPS, a_map(k="v"))

    assert made["metadata"]["annotations"] == {"a/b": "1", "c/d": "1"}
    assert (made["metadata"]["labels"], made["data"]) == ({"team": "t-1"}, {"k": "v", "more": "yes"})


async def test_a_sidecar_joins_the_containers_and_rules_see_it(api: Api):
    apply = """Object{spec: Object.spec{template: Object.spec.template{spec: Object.spec.template.spec{
      containers: [Object.spec.template.spec.containers{name: "proxy", image: "proxy:1"}]}}}}"""
    configuration = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": apply}}
    await have_changes(
        api, "p", configuration, resource="deployments", matchConstraints=matching("deployments", "apps")
    )
    rule = "object.spec.template.spec.containers.exists(c, c.name == 'proxy' && c.terminationMessagePolicy == 'File')"
    await have_policy(api, "v", matchConstraints=matching("deployments", "apps"), validations=[{"expression": rule}])
    await bind(api, "v")
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}

    made = await api.made(
        APPS, {"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}}
    )

    assert {each["name"] for each in made["spec"]["template"]["spec"]["containers"]} == {"c", "proxy"}


async def test_a_change_that_fails_refuses_the_write(api: Api):
    await have_changes(api, "p", json_patch("[JSONPatch{op: 'add', path: '/x', value: object.data.none}]"))

    refused = await api.post(MAPS, a_map())

    assert (refused.status, "policy 'p' with binding 'p' denied request: expression" in refused.json["message"]) == (
        403,
        True,
    )


async def test_a_policy_is_applied_and_told_by_kubectl(tmp_path: Path):
    policy = """
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: names}
spec:
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]
  validations: [{expression: "object.metadata.name.startsWith('ok')", message: names begin with ok}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: names}
spec: {policyName: names, validationActions: [Deny]}
"""
    async with served_api(tmp_path) as served:
        applied = await served.kubectl("apply", "-f", "-", given=policy)
        refused = await served.kubectl("create", "configmap", "no")

        assert (applied.status, refused.status) == (0, 1)
        assert "with binding 'names' denied request: names begin with ok" in refused.err
        assert (await served.kubectl("create", "configmap", "ok-1")).status == 0
