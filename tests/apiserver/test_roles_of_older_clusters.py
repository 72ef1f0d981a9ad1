"""A cluster that an earlier version began: its own roles and bindings get what they lack, and nothing is taken."""

import pytest

from apiserver.bootstrap import bootstrap
from tests.apiserver.local_api import MERGE, Api

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ROLE = f"{RBAC}/clusterroles/system:kube-scheduler"
BINDING = f"{RBAC}/clusterrolebindings/system:kube-scheduler"
EXTRA = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}
SOMEBODY = {"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": "somebody"}


async def begun_again(api: Api) -> tuple[dict, dict]:
    """The role and the binding after the next start, when both had been changed by hand."""
    await api.patch(ROLE, {"rules": [EXTRA]}, MERGE)
    await api.patch(BINDING, {"subjects": [SOMEBODY]}, MERGE)
    await bootstrap(api.server)
    return (await api.get(ROLE)).json, (await api.get(BINDING)).json


async def test_what_is_missing_is_added(api: Api):
    rules = (await api.get(ROLE)).json["rules"]

    role, binding = await begun_again(api)

    assert role["rules"] == [EXTRA, *rules]
    assert [subject["name"] for subject in binding["subjects"]] == ["somebody", "system:kube-scheduler"]


async def test_what_its_owner_keeps_stays_as_it_is(api: Api):
    mine = {"metadata": {"annotations": {"rbac.authorization.kubernetes.io/autoupdate": "false"}}}
    for path in (ROLE, BINDING):
        await api.patch(path, mine, MERGE)

    role, binding = await begun_again(api)

    assert (role["rules"], binding["subjects"]) == ([EXTRA], [SOMEBODY])


@pytest.mark.parametrize("path", [ROLE, BINDING, f"{RBAC}/clusterroles/view"])
async def test_what_lacks_nothing_is_not_written(api: Api, path: str):
    before = (await api.get(path)).json

    await bootstrap(api.server)

    assert (await api.get(path)).json == before


async def test_a_binding_of_the_same_name_to_another_role_is_somebodys_own(api: Api):
    await api.delete(BINDING)
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    await api.post(f"{RBAC}/clusterrolebindings", {"metadata": {"name": "system:kube-scheduler"}, "roleRef": role})

    await bootstrap(api.server)

    assert not (await api.get(BINDING)).json.get("subjects")
