"""Cluster roles that are the sum of others."""

import orjson
from make import an_object

from apiserver.access.bootstrap_policy import policy_objects
from controllers.access.cluster_role_aggregation import plan, sums_of
from wherry.api.rbac.role import ClusterRole
from wherry.client.plan import Update
from wherry.client.world import World
from wherry.sim import virtual_time
from wherry.sim.cluster import SimulatedCluster

TO_VIEW = "rbac.authorization.k8s.io/aggregate-to-view"
READ_ROBOTS = {"verbs": ["get"], "apiGroups": ["robots.example"], "resources": ["arms"]}
READ_MAPS = {"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"]}


def as_json(value: object) -> object:
    return orjson.loads(orjson.dumps(value, default=lambda view: view.to_wire()))


def a_role(name: str, *rules: dict, sums: dict | None = None, **labels: str) -> ClusterRole:
    fields = {"rules": list(rules)}
    if sums is not None:
        fields["aggregationRule"] = {"clusterRoleSelectors": [{"matchLabels": sums}]}
    return an_object(ClusterRole, name, labels=labels, fields=fields)


def test_the_rules_are_those_of_the_selected_roles_each_once():
    view = a_role("view", READ_MAPS, sums={"part": "view"}, part="view")
    world = World(
        view, a_role("b", READ_ROBOTS, READ_MAPS, part="view"), a_role("a", READ_MAPS, part="view"), a_role("c")
    )

    [action] = plan(view, world)
    assert isinstance(action, Update)
    assert as_json(action.patch) == {"rules": [READ_MAPS, READ_ROBOTS]}


def test_rules_that_are_the_sum_are_left_alone():
    view = a_role("view", READ_MAPS, sums={"part": "view"})

    assert list(plan(view, World(view, a_role("a", READ_MAPS, part="view")))) == []


def test_a_role_without_an_aggregation_rule_is_its_authors():
    role = a_role("mine", READ_MAPS)

    assert list(plan(role, World(role))) == []


def test_a_change_of_any_role_wakes_the_sums():
    world = World(a_role("view", sums={"part": "view"}), a_role("edit", sums={"part": "edit"}), a_role("plain"))

    assert list(sums_of(a_role("x"), world)) == ["edit", "view"]


def test_the_roles_of_a_new_cluster_are_sums_already():
    roles = {draft["metadata"]["name"]: draft for draft in policy_objects() if draft["kind"] == "ClusterRole"}
    world = World(*(ClusterRole.read(draft) for draft in roles.values()))

    for name in ("admin", "edit", "view"):
        role = world.get(ClusterRole, name)
        [*_, added_up] = [role.rules, *(action.patch["rules"] for action in plan(role, world))]
        assert sorted(map(str, as_json(added_up))) == sorted(map(str, as_json(role.rules)))


def test_in_a_cluster_a_labelled_role_extends_view_edit_and_admin():
    async def story() -> None:
        async with SimulatedCluster(nodes=0) as cluster:
            metadata = {"name": "robots-view", "labels": {TO_VIEW: "true"}}
            identity = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
            await cluster.admin.create({**identity, "metadata": metadata, "rules": [READ_ROBOTS]})
            await cluster.settle()
            for name in ("view", "edit", "admin"):
                role = await cluster.admin.get(ClusterRole, name)
                assert READ_ROBOTS in as_json(role.rules)

            await cluster.admin.delete(ClusterRole, "robots-view")
            await cluster.settle()
            admin = await cluster.admin.get(ClusterRole, "admin")
            assert READ_ROBOTS not in as_json(admin.rules)

    virtual_time.run(story(), seed=5)
