"""Server-side apply: creating, owning, sharing, fighting over and letting go of fields.

The stories of Kubernetes' own documentation are told here, with what it promises.
"""

import re

import pytest

from tests.apiserver.local_api import APPLY, APPS, CORE, MERGE, Answer, Api
from tests.apiserver.test_objects import MAPS, a_deployment, a_map

WEB = f"{APPS}/deployments/web"


def config(kind: str = "ConfigMap", name: str = "a", version: str = "v1", **fields: object) -> dict:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, **fields}


def deployment(**spec: object) -> dict:
    return config("Deployment", "web", "apps/v1", spec=spec)


def owners(answer: Answer) -> dict[str, dict]:
    """Manager and operation of every entry, and its fields."""
    assert answer.status in (200, 201), answer.body
    entries = answer.json["metadata"].get("managedFields", [])
    return {f"{each['manager']} {each['operation']}": each["fieldsV1"] for each in entries}


def containers(*names: str, **fields: object) -> dict:
    return {"template": {"spec": {"containers": [{"name": name, **fields} for name in names]}}}


async def test_apply_creates_what_is_not_there(api: Api):
    answer = await api.apply(f"{MAPS}/a", config(data={"k": "v"}), "ci")

    assert (answer.status, answer.json["data"]) == (201, {"k": "v"})
    [entry] = answer.json["metadata"]["managedFields"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry.pop("time"))
    assert entry == {
        "manager": "ci",
        "operation": "Apply",
        "apiVersion": "v1",
        "fieldsType": "FieldsV1",
        "fieldsV1": {"f:data": {"f:k": {}}},
    }


async def test_creating_by_apply_needs_the_right_to_create(api: Api):
    role = {"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["patch"]}]}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "eve"}
    binding = {"metadata": {"name": "r"}, "roleRef": {**subject, "kind": "Role", "name": "r"}, "subjects": [subject]}
    rbac = "/apis/rbac.authorization.k8s.io/v1/namespaces/default"
    await api.made(f"{rbac}/roles", role)
    await api.made(f"{rbac}/rolebindings", binding)

    refused = await api.apply(f"{MAPS}/a", config(), user="eve", groups=())
    await api.made(MAPS, a_map())
    allowed = await api.apply(f"{MAPS}/a", config(data={"l": "w"}), user="eve", groups=())

    assert (refused.error[:2], allowed.status) == ((403, "Forbidden"), 200)
    assert 'cannot create resource "configmaps"' in refused.json["message"]


async def test_applying_the_same_again_changes_nothing(api: Api):
    first = await api.apply(f"{MAPS}/a", config(data={"k": "v"}))

    again = await api.apply(f"{MAPS}/a", config(data={"k": "v"}))

    assert (again.status, again.json) == (200, first.json)


async def test_a_field_of_somebody_else_is_a_conflict(api: Api):
    await api.made(f"{APPS}/deployments", a_deployment(), headers={"user-agent": "kubectl/v1.33 (linux)"})

    answer = await api.apply(WEB, deployment(replicas=3, **containers("c", image="new")), "ci")

    owner = '"kubectl" using apps/v1'
    lost = [".spec.replicas", '.spec.template.spec.containers[name="c"].image']
    lines = [f"Apply failed with 2 conflicts: conflicts with {owner}:", *(f"- {path}" for path in lost)]
    assert answer.error == (409, "Conflict", "\n".join(lines))
    assert answer.json["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": f"conflict with {owner}", "field": path} for path in lost
    ]


async def test_force_takes_the_fields_over(api: Api):
    await api.apply(f"{MAPS}/a", config(data={"k": "v", "l": "w"}), "first")

    refused = await api.apply(f"{MAPS}/a", config(data={"k": "x"}), "second")
    forced = await api.apply(f"{MAPS}/a", config(data={"k": "x"}), "second", force="true")

    assert refused.json["message"] == 'Apply failed with 1 conflict: conflict with "first": .data.k'
    assert forced.json["data"] == {"k": "x", "l": "w"}
    assert owners(forced) == {"first Apply": {"f:data": {"f:l": {}}}, "second Apply": {"f:data": {"f:k": {}}}}


async def test_an_equal_value_is_shared_and_stays_until_the_last_owner_leaves(api: Api):
    await api.apply(f"{MAPS}/a", config(data={"k": "v"}), "first")
    shared = await api.apply(f"{MAPS}/a", config(data={"k": "v"}), "second")

    one_left = await api.apply(f"{MAPS}/a", config(), "first")
    none_left = await api.apply(f"{MAPS}/a", config(), "second")

    assert set(owners(shared)) == {"first Apply", "second Apply"}
    assert (one_left.json["data"], owners(one_left)) == ({"k": "v"}, {"second Apply": {"f:data": {"f:k": {}}}})
    assert "data" not in none_left.json
    assert "managedFields" not in none_left.json["metadata"]


async def test_what_is_not_applied_any_more_is_removed_and_defaults_come_back(api: Api):
    await api.apply(WEB, {**a_deployment(replicas=3, minReadySeconds=7)}, "ci")

    answer = await api.apply(WEB, a_deployment(), "ci")

    assert answer.json["spec"]["replicas"] == 1
    assert "minReadySeconds" not in answer.json["spec"]
    assert answer.json["metadata"]["generation"] == 2


async def test_replicas_are_handed_over_to_an_autoscaler(api: Api):
    """Kubernetes' documentation, "Transferring ownership"."""
    await api.apply(WEB, a_deployment(replicas=3), "kubectl")
    await api.apply(WEB, deployment(replicas=3), "handover-to-hpa")

    left = await api.apply(WEB, a_deployment(), "kubectl")
    scale = {"metadata": {"name": "web"}, "spec": {"replicas": 5}}
    await api.request("PUT", f"{WEB}/scale", scale, query={"fieldManager": "hpa"})
    after = await api.get(WEB)

    assert left.json["spec"]["replicas"] == 3
    assert (after.json["spec"]["replicas"], owners(after)["hpa Update"]) == (5, {"f:spec": {"f:replicas": {}}})
    assert "handover-to-hpa Apply" not in owners(after)


async def test_two_managers_share_a_list_by_its_keys(api: Api):
    await api.apply(WEB, a_deployment(), "app")

    both = await api.apply(
        WEB, deployment(**containers("sidecar", image="proxy", ports=[{"containerPort": 80}])), "mesh"
    )
    alone = await api.apply(WEB, deployment(), "mesh")

    names = [[each["name"] for each in it.json["spec"]["template"]["spec"]["containers"]] for it in (both, alone)]
    assert names == [["c", "sidecar"], ["c"]]
    ports = {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}}
    sidecar = {".": {}, "f:name": {}, "f:image": {}, "f:ports": ports}
    listed = owners(both)["mesh Apply"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert listed == {'k:{"name":"sidecar"}': sidecar}


async def test_sets_are_shared_by_value_and_atomic_lists_are_not(api: Api):
    metadata = {"name": "a", "finalizers": ["example.org/x"]}
    await api.apply(f"{MAPS}/a", {**config(), "metadata": metadata}, "x")
    finalizers = await api.apply(
        f"{MAPS}/a", {**config(), "metadata": {"name": "a", "finalizers": ["example.org/y"]}}, "y"
    )
    await api.apply(
        f"{CORE}/pods/p", config("Pod", "p", spec={"containers": [{"name": "c", "image": "i", "args": ["1"]}]})
    )

    args = await api.apply(
        f"{CORE}/pods/p", config("Pod", "p", spec={"containers": [{"name": "c", "args": ["2"]}]}), "z"
    )

    assert finalizers.json["metadata"]["finalizers"] == ["example.org/x", "example.org/y"]
    assert owners(finalizers)["y Apply"] == {"f:metadata": {"f:finalizers": {'v:"example.org/y"': {}}}}
    assert args.json["message"].endswith('conflict with "tester": .spec.containers[name="c"].args')


async def test_the_order_of_a_list_is_that_of_the_last_applier(api: Api):
    await api.apply(WEB, {**a_deployment()} | deployment(**a_deployment()["spec"]), "app")
    await api.apply(WEB, deployment(**containers("a", "b", image="i")), "x")

    answer = await api.apply(WEB, deployment(**containers("b", "new", "a", image="i")), "x")

    assert [each["name"] for each in answer.json["spec"]["template"]["spec"]["containers"]] == ["c", "b", "new", "a"]


async def test_status_is_applied_through_its_subresource_alone(api: Api):
    await api.made(f"{APPS}/deployments", a_deployment())
    wanted = deployment(replicas=9) | {"status": {"replicas": 4, "readyReplicas": 4}}

    through = await api.apply(f"{WEB}/status", wanted, "ctl")
    main = await api.apply(WEB, config("Deployment", "web", "apps/v1", status={"replicas": 7}), "ctl")

    assert (through.json["spec"]["replicas"], through.json["status"]) == (1, {"replicas": 4, "readyReplicas": 4})
    entry = next(each for each in through.json["metadata"]["managedFields"] if each["manager"] == "ctl")
    assert (entry["subresource"], entry["fieldsV1"]) == (
        "status",
        {"f:status": {"f:readyReplicas": {}, "f:replicas": {}}},
    )
    assert main.json == through.json


async def test_a_scale_is_applied_like_the_field_it_stands_for(api: Api):
    await api.apply(WEB, a_deployment(replicas=3), "ci")
    scale = config("Scale", "web", "autoscaling/v1", spec={"replicas": 5})

    refused = await api.apply(f"{WEB}/scale", scale, "hpa")
    forced = await api.apply(f"{WEB}/scale", scale, "hpa", force="true")
    again = await api.apply(WEB, a_deployment(replicas=2), "ci")

    assert refused.json["message"] == 'Apply failed with 1 conflict: conflict with "ci": .spec.replicas'
    assert (forced.status, forced.json["spec"]) == (200, {"replicas": 5})
    assert again.json["message"].endswith('conflict with "hpa" with subresource "scale": .spec.replicas')


async def test_a_dry_run_shows_the_outcome_and_the_conflicts(api: Api):
    made = await api.apply(f"{MAPS}/a", config(data={"k": "v"}), "x")

    shown = await api.apply(f"{MAPS}/a", config(data={"l": "w"}), "y", dryRun="All")
    refused = await api.apply(f"{MAPS}/a", config(data={"k": "w"}), "y", dryRun="All")
    created = await api.apply(f"{MAPS}/b", config(name="b"), dryRun="All")

    assert (shown.json["data"], refused.status, created.status) == ({"k": "v", "l": "w"}, 409, 201)
    assert ((await api.get(f"{MAPS}/a")).json, (await api.get(f"{MAPS}/b")).status) == (made.json, 404)


async def test_a_version_in_the_configuration_is_a_condition(api: Api):
    made = await api.apply(f"{MAPS}/a", config(data={"k": "v"}))
    version = made.json["metadata"]["resourceVersion"]
    body = config(data={"k": "w"}) | {"metadata": {"name": "a", "resourceVersion": version}}

    fits, stale = await api.apply(f"{MAPS}/a", body), await api.apply(f"{MAPS}/a", body | {"data": {"k": "x"}})
    missing = await api.apply(f"{MAPS}/b", config(name="b") | {"metadata": {"name": "b", "resourceVersion": "1"}})

    assert (fits.status, stale.error[:2], missing.error[:2]) == (200, (409, "Conflict"), (409, "Conflict"))


async def test_a_uid_of_what_is_not_there_is_a_conflict(api: Api):
    answer = await api.apply(f"{MAPS}/a", config() | {"metadata": {"name": "a", "uid": "u"}})

    why = "uid mismatch: the provided object specified uid u, and no existing object was found"
    assert answer.error == (409, "Conflict", f'Operation cannot be fulfilled on configmaps "a": {why}')


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ({"kind": "ConfigMap", "metadata": {}}, 400, "apiVersion: an applied configuration must say it, got None"),
        ({"apiVersion": "v1"}, 400, "kind: an applied configuration must say it, got None"),
        (config(version="v2"), 400, "Specified patch version: v2, expected: v1"),
        (config("Secret"), 400, "the configuration is of a Secret, but the URL is for a ConfigMap"),
        (config(name="b"), 400, "the name of the object (b) does not match the name on the URL (a)"),
        (
            config(dada={}),
            400,
            "failed to create typed patch object (/a; v1, Kind=ConfigMap): .dada: field not declared",
        ),
        (config(data=["x"]), 400, "cannot unmarshal array into Go struct field ConfigMap.data"),
        (config() | {"metadata": {"managedFields": []}}, 400, "metadata.managedFields must be nil"),
        (b"a: [", 400, "error decoding YAML"),
        (b"[]", 400, "error decoding YAML: error unmarshaling JSON: while decoding JSON: json: cannot unmarshal array"),
        (b"{a: b, c", 400, "error decoding YAML"),
    ],
)
async def test_what_is_no_configuration_is_refused_with_a_reason(api: Api, body: object, code: int, text: str):
    answer = await api.apply(f"{MAPS}/a", body)

    assert (answer.status, text in answer.json["message"]) == (code, True), answer.json


async def test_items_that_cannot_be_told_apart_are_refused(api: Api):
    twice = await api.apply(WEB, deployment(**containers("c", "c", image="i")))
    nameless = await api.apply(WEB, deployment(template={"spec": {"containers": [{"image": "i"}]}}))

    assert (twice.status, nameless.status) == (400, 400)
    assert twice.json["message"].endswith('.spec.template.spec.containers: duplicate entries for key [name="c"]')
    assert (
        'element 0: associative list with keys has an element that omits key field "name"' in nameless.json["message"]
    )


async def test_who_applies_must_say_who_they_are(api: Api):
    nameless = await api.apply(f"{MAPS}/a", config(), "")
    force = await api.patch(f"{MAPS}/a", {}, MERGE, query={"force": "true"})

    why = "fieldManager: Required value: is required for apply patch"
    assert nameless.error == (422, "Invalid", f'PatchOptions.meta.k8s.io "" is invalid: {why}')
    assert force.json["message"].endswith("force: Forbidden: may not be specified for non-apply patch")


async def test_a_configuration_may_be_yaml(api: Api):
    body = b"# mine\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  k: v\n"
    twice = body + b"data: {l: w}\n"

    made = await api.apply(f"{MAPS}/a", body)
    strict = await api.apply(f"{MAPS}/a", twice, fieldValidation="Strict")

    assert (made.status, made.json["data"]) == (201, {"k": "v"})
    assert strict.error == (400, "BadRequest", 'error strict decoding patch: duplicate field "data"')


async def test_what_nobody_kept_track_of_belongs_to_whoever_was_before(api: Api):
    await api.made(MAPS, a_map())
    await api.patch(f"{MAPS}/a", {"metadata": {"managedFields": [{}]}})

    answer = await api.apply(f"{MAPS}/a", config(data={"k": "w"}), "x")

    assert answer.json["message"].endswith('conflict with "before-first-apply" using v1: .data.k')


async def test_another_version_of_the_kind_owns_the_same_fields(api: Api):
    scalers = "namespaces/default/horizontalpodautoscalers/h"
    target = {"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}
    spec = {"scaleTargetRef": target, "minReplicas": 2, "maxReplicas": 3}
    await api.apply(
        f"/apis/autoscaling/v2/{scalers}", config("HorizontalPodAutoscaler", "h", "autoscaling/v2", spec=spec)
    )
    old = config("HorizontalPodAutoscaler", "h", "autoscaling/v1", spec={"minReplicas": 1})

    other = await api.apply(f"/apis/autoscaling/v1/{scalers}", old, "other")
    same = await api.apply(f"/apis/autoscaling/v1/{scalers}", old | {"spec": {**spec, "minReplicas": 1}})

    assert other.json["message"] == 'Apply failed with 1 conflict: conflict with "tester": .spec.minReplicas'
    assert (
        same.json["spec"]["minReplicas"],
        [each["apiVersion"] for each in same.json["metadata"]["managedFields"]],
    ) == (
        1,
        ["autoscaling/v1"],
    )


async def test_apply_is_offered_in_openapi_and_refuses_cbor(api: Api):
    document = await api.get("/openapi/v3/api/v1")
    patch = document.json["paths"]["/api/v1/namespaces/{namespace}/configmaps/{name}"]["patch"]

    answer = await api.patch(f"{MAPS}/a", b"\xa0", "application/apply-patch+cbor", query={"fieldManager": "x"})

    assert APPLY in patch["requestBody"]["content"]
    assert answer.error[:2] == (415, "UnsupportedMediaType")


async def test_defaults_inside_atomic_lists_are_no_change(api: Api):
    rules = [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}
    spec = {"podFailurePolicy": {"rules": rules}, "template": {"spec": pod}}
    path = "/apis/batch/v1/namespaces/default/jobs/j"

    first, again = [await api.apply(path, config("Job", "j", "batch/v1", spec=spec)) for _ in range(2)]

    assert (first.status, again.status, again.json) == (201, 200, first.json)
