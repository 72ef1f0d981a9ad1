"""Who is asking and what they may do: certificates, RBAC, impersonation, reviews."""

import pytest

from tests.apiserver.local_api import CORE, MERGE, Api
from tests.apiserver.test_deleting import PODS, a_pod
from tests.apiserver.test_objects import MAPS, a_map

RBAC = "/apis/rbac.authorization.k8s.io/v1"
READ_MAPS = [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list", "watch"]}]


async def grant(api: Api, rules: list[dict], user: str = "bob", namespace: str = "default") -> None:
    """A Role and its binding, or their cluster-wide forms if `namespace` is empty."""
    kind = "Role" if namespace else "ClusterRole"
    where = f"{RBAC}/namespaces/{namespace}" if namespace else RBAC
    plural = kind.lower()
    await api.made(f"{where}/{plural}s", {"metadata": {"name": f"r-{user}"}, "rules": rules})
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": f"r-{user}"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}
    await api.made(
        f"{where}/{plural}bindings", {"metadata": {"name": f"b-{user}"}, "roleRef": ref, "subjects": [subject]}
    )


def as_bob(**more: object) -> dict:
    return {"user": "bob", "groups": (), **more}


async def whoami(api: Api, **options: object) -> dict:
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    return (await api.post(path, {}, **options)).json["status"]["userInfo"]


async def test_a_certificate_names_user_and_groups(api: Api):
    info = await whoami(api, **as_bob(groups=("dev", "ops")))

    assert (info["username"], info["groups"]) == ("bob", ["dev", "ops", "system:authenticated"])
    (credential,) = info["extra"]["authentication.kubernetes.io/credential-id"]
    assert credential.startswith("X509SHA256=")
    assert len(credential) == len("X509SHA256=") + 64


async def test_who_am_i_is_answered_to_kubectl_1_27_too(api: Api):
    answer = await api.post("/apis/authentication.k8s.io/v1beta1/selfsubjectreviews", {}, **as_bob())

    assert (answer.status, answer.json["apiVersion"]) == (201, "authentication.k8s.io/v1beta1")
    assert answer.json["status"]["userInfo"] == await whoami(api, **as_bob())


async def test_nobody_may_look_but_not_touch(api: Api):
    version, pods = await api.get("/version", user=None), await api.get(PODS, user=None)

    who = 'User "system:anonymous" cannot list resource "pods" in API group "" in the namespace "default"'
    message = f"pods is forbidden: {who}"
    assert (version.status, pods.error) == (200, (403, "Forbidden", message))


@pytest.mark.parametrize(
    ("method", "path", "subject"),
    [
        ("GET", f"{CORE}/pods/p", 'pods "p" is forbidden: User "bob" cannot get resource "pods" in API group ""'),
        (
            "PATCH",
            "/apis/apps/v1/namespaces/default/deployments/web/scale",
            'deployments.apps "web" is forbidden: User "bob" cannot patch resource "deployments/scale" '
            'in API group "apps"',
        ),
        (
            "DELETE",
            MAPS,
            'configmaps is forbidden: User "bob" cannot deletecollection resource "configmaps" in API group ""',
        ),
    ],
)
async def test_a_403_says_who_may_not_do_what(api: Api, method: str, path: str, subject: str):
    answer = await api.request(method, path, **as_bob())

    assert answer.error == (403, "Forbidden", f'{subject} in the namespace "default"')


async def test_a_403_at_the_cluster_scope_and_of_a_path(api: Api):
    nodes, metrics = await api.get("/api/v1/nodes", **as_bob()), await api.get("/metrics", **as_bob())

    scope = 'nodes is forbidden: User "bob" cannot list resource "nodes" in API group "" at the cluster scope'
    assert nodes.error[2] == scope
    assert metrics.error[2] == 'forbidden: User "bob" cannot get path "/metrics"'
    assert metrics.json["details"] == {}


async def test_a_403_does_not_tell_whether_the_object_exists(api: Api):
    await api.made(MAPS, a_map())

    there, missing = await api.get(f"{MAPS}/a", **as_bob()), await api.get(f"{MAPS}/b", **as_bob())

    assert there.json["message"].replace('"a"', '"b"') == missing.json["message"]


async def test_a_role_reaches_as_far_as_its_namespace(api: Api):
    await grant(api, READ_MAPS)

    here = await api.get(MAPS, **as_bob())
    elsewhere = await api.get("/api/v1/namespaces/kube-system/configmaps", **as_bob())
    everywhere = await api.get("/api/v1/configmaps", **as_bob())
    writing = await api.post(MAPS, a_map(), **as_bob())

    assert [each.status for each in (here, elsewhere, everywhere, writing)] == [200, 403, 403, 403]


async def test_a_cluster_role_reaches_everywhere(api: Api):
    await grant(api, READ_MAPS, namespace="")

    assert (await api.get("/api/v1/configmaps", **as_bob())).status == 200


async def test_a_right_ends_with_its_binding(api: Api):
    await grant(api, READ_MAPS)
    assert (await api.get(MAPS, **as_bob())).status == 200

    await api.delete(f"{RBAC}/namespaces/default/rolebindings/b-bob")

    assert (await api.get(MAPS, **as_bob())).status == 403


async def test_names_limit_a_rule_to_named_requests(api: Api):
    rule = {**READ_MAPS[0], "resourceNames": ["a"], "verbs": ["get", "list", "create"]}
    await grant(api, [rule])
    await api.made(MAPS, a_map())

    named = await api.get(f"{MAPS}/a", **as_bob())
    selected = await api.get(MAPS, query={"fieldSelector": "metadata.name=a"}, **as_bob())
    other, listed = await api.get(f"{MAPS}/b", **as_bob()), await api.get(MAPS, **as_bob())
    created = await api.post(MAPS, a_map("b"), **as_bob())

    assert [each.status for each in (named, selected, other, listed, created)] == [200, 200, 403, 403, 403]


async def test_subresources_are_rights_of_their_own(api: Api):
    await grant(api, [{"apiGroups": [""], "resources": ["pods"], "verbs": ["*"]}])
    await api.made(PODS, a_pod())

    assert (await api.get(f"{PODS}/p", **as_bob())).status == 200
    assert (await api.get(f"{PODS}/p/log", **as_bob())).status == 403
    assert (await api.get(f"{PODS}/p/status", **as_bob())).status == 403


async def test_a_put_that_creates_needs_the_right_to_create(api: Api):
    await grant(api, [{"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["update"]}])

    path = "/apis/coordination.k8s.io/v1/namespaces/default/leases/l"
    answer = await api.put(path, {"metadata": {"name": "l"}}, **as_bob())

    assert answer.error[:2] == (403, "Forbidden")


@pytest.mark.parametrize("verb", ["none", "escalate"])
async def test_nobody_gives_away_rights_they_do_not_have(api: Api, verb: str):
    rbac = {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles", "rolebindings"], "verbs": ["*"]}
    rules = [{**rbac, "verbs": ["create", "update", "patch", "get"] + ([verb] if verb == "escalate" else [])}]
    await grant(api, rules)
    secrets = [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]

    made = await api.post(
        f"{RBAC}/namespaces/default/roles", {"metadata": {"name": "thief"}, "rules": secrets}, **as_bob()
    )

    assert made.status == (201 if verb == "escalate" else 403), made.body


async def test_nobody_binds_a_role_they_do_not_hold(api: Api):
    await grant(api, [{"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["rolebindings"], "verbs": ["create"]}])
    ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}
    body = {"metadata": {"name": "up"}, "roleRef": ref, "subjects": [subject]}

    answer = await api.post(f"{RBAC}/namespaces/default/rolebindings", body, **as_bob())

    assert answer.error[:2] == (403, "Forbidden")


async def test_the_role_of_a_binding_is_immutable(api: Api):
    await grant(api, READ_MAPS)

    answer = await api.patch(f"{RBAC}/namespaces/default/rolebindings/b-bob", {"roleRef": {"name": "other"}})

    assert answer.error[:2] == (422, "Invalid")


async def test_masters_may_be_anybody(api: Api):
    headers = {"impersonate-user": "alice", "impersonate-group": "dev", "impersonate-uid": "7"}
    headers["impersonate-extra-acme.com%2Fscope"] = "view"

    info = await whoami(api, headers=headers)

    assert info == {
        "username": "alice",
        "uid": "7",
        "groups": ["dev", "system:authenticated"],
        "extra": {"acme.com/scope": ["view"]},
    }


async def test_an_impersonated_account_has_its_groups(api: Api):
    info = await whoami(api, headers={"impersonate-user": "system:serviceaccount:shop:robot"})

    groups = ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"]
    assert info["groups"] == groups


async def test_an_impersonated_user_has_no_more_rights_than_their_own(api: Api):
    answer = await api.get(MAPS, headers={"impersonate-user": "bob"})

    assert 'User "bob" cannot list resource "configmaps"' in answer.json["message"]


@pytest.mark.parametrize(
    "headers",
    [
        {"impersonate-user": "alice"},
        {"impersonate-user": "bob", "impersonate-group": "system:masters"},
        {"impersonate-user": "system:serviceaccount:default:robot"},
        {"impersonate-user": "bob", "impersonate-extra-x": "y"},
    ],
)
async def test_others_may_be_nobody_else(api: Api, headers: dict):
    assert (await api.get("/version", headers=headers, **as_bob())).error[:2] == (403, "Forbidden")


@pytest.mark.parametrize("header", ["impersonate-group", "impersonate-uid", "impersonate-extra-x"])
async def test_impersonation_needs_a_user(api: Api, header: str):
    assert (await api.get("/version", headers={header: "x"})).error[:2] == (400, "BadRequest")


async def test_impersonation_of_undecodable_names_is_a_4xx(api: Api):
    answer = await api.get("/version", headers={"impersonate-user": "\xff\xfe"})

    assert answer.status == 200  # masters may be anybody; what the name says is read byte by byte


async def can_i(api: Api, path: str, spec: dict, **options: object) -> dict:
    return (await api.post(f"/apis/authorization.k8s.io/v1/{path}", {"spec": spec}, **options)).json


async def test_can_i_tells_and_says_why(api: Api):
    await grant(api, READ_MAPS)
    attributes = {"verb": "get", "resource": "configmaps", "namespace": "default"}

    own = await can_i(api, "selfsubjectaccessreviews", {"resourceAttributes": attributes}, **as_bob())
    other = await can_i(api, "subjectaccessreviews", {"resourceAttributes": attributes, "user": "bob"})
    denied = await can_i(
        api, "selfsubjectaccessreviews", {"nonResourceAttributes": {"path": "/x", "verb": "get"}}, **as_bob()
    )

    why = 'RBAC: allowed by RoleBinding "b-bob/default" of Role "r-bob" to User "bob"'
    assert own["status"] == other["status"] == {"allowed": True, "reason": why}
    assert denied["status"]["allowed"] is False


async def test_a_local_review_stays_in_its_namespace(api: Api):
    path = "/apis/authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews"
    attributes = {"verb": "get", "resource": "configmaps"}

    other = await api.post(path, {"spec": {"user": "bob", "resourceAttributes": {**attributes, "namespace": "x"}}})
    here = await api.post(path, {"spec": {"user": "bob", "resourceAttributes": {**attributes, "namespace": "default"}}})

    assert (other.status, here.json["status"]["allowed"]) == (422, False)


@pytest.mark.parametrize("spec", [{}, {"resourceAttributes": {}, "nonResourceAttributes": {}}])
async def test_a_review_asks_one_thing(api: Api, spec: dict):
    assert (await can_i(api, "selfsubjectaccessreviews", spec))["code"] == 422


async def test_the_rules_of_a_user_can_be_listed(api: Api):
    await grant(api, READ_MAPS)

    review = await can_i(api, "selfsubjectrulesreviews", {"namespace": "default"}, **as_bob())

    assert READ_MAPS[0] in review["status"]["resourceRules"]
    assert review["status"]["incomplete"] is False


async def test_a_patch_by_somebody_without_rights_tells_nothing(api: Api):
    answer = await api.request("PATCH", f"{MAPS}/a", b"{", headers={"content-type": MERGE}, **as_bob())

    assert answer.status == 403
