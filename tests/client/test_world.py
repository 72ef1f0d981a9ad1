"""What plans see."""

from datetime import timedelta

import pytest
from make import a_node, a_pod, a_replicaset, a_service

from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.core.service import Service
from wherry.client.plan import Action, Update
from wherry.client.world import TEST_NOW, Shelf, UndeclaredRead, World
from wherry.machinery.meta import controller_reference


def claimed(world: World, owner: ReplicaSet) -> tuple[list[Action], list[Pod]]:
    actions: list[Action] = []
    claim = world.claim(owner, Pod, owner.spec.selector)
    while True:
        try:
            actions.append(next(claim))
        except StopIteration as end:
            return actions, end.value


def test_objects_are_listed_by_key():
    pods = [a_pod("b"), a_pod("a"), a_pod("a", namespace="another")]

    assert World(*pods).list(Pod) == [pods[2], pods[1], pods[0]]
    assert World(*pods).list(Pod, namespace="default") == [pods[1], pods[0]]


def test_lists_are_narrowed_by_labels_and_by_selector():
    rs = a_replicaset(labels={"app": "web"})
    pod, other = a_pod(labels={"app": "web", "tier": "front"}), a_pod(labels={"app": "mail"})
    world = World(pod, other)

    assert world.list(Pod, labels={"tier": "front"}) == [pod]
    assert world.list(Pod, selector=rs.spec.selector) == [pod]


def test_get_finds_by_name_and_namespace():
    node, service = a_node("n1"), a_service("web", namespace="shop")
    world = World(node, service)

    assert (world.get(Node, "n1"), world.get(Service, "web", "shop"), world.get(Service, "web")) == (
        node,
        service,
        None,
    )


def test_two_objects_of_one_name_are_a_mistake_of_the_test():
    with pytest.raises(ValueError, match=r"two objects of kind Pod are called 'default/web'"):
        World(a_pod("web"), a_pod("web"))


def test_undeclared_kinds_are_refused():
    world = World.over({Pod: Shelf(), ReplicaSet: Shelf()}, lambda: TEST_NOW)

    with pytest.raises(UndeclaredRead, match="Node is read but not declared; this controller declares Pod, ReplicaSet"):
        world.list(Node)


def test_owned_are_those_whose_controller_has_the_uid():
    rs, namesake = a_replicaset("web"), a_replicaset("web", uid="an-earlier-life")
    pod = a_pod(owner=rs)

    assert World(pod, a_pod(owner=namesake), a_pod()).owned(rs, Pod) == [pod]


def test_an_orphan_that_matches_is_adopted():
    rs = a_replicaset()
    orphan, own = a_pod("a", labels={"app": "web"}), a_pod("b", owner=rs)

    actions, pods = claimed(World(rs, orphan, own), rs)

    assert actions == [Update(orphan, {"metadata": {"ownerReferences": [controller_reference(rs)]}})]
    assert pods == [orphan, own]


def test_an_owned_object_that_matches_no_more_is_released():
    rs = a_replicaset()
    stray = a_pod(owner=rs, labels={"app": "debug"})

    assert claimed(World(rs, stray), rs) == ([Update(stray, {"metadata": {"ownerReferences": None}})], [])


def test_what_else_than_labels_must_be_right_counts_for_orphans_and_owned_alike():
    rs = a_replicaset()
    orphan, owned = a_pod("orphan", labels={"app": "web"}), a_pod("owned", owner=rs)

    claim = World(orphan, owned).claim(rs, Pod, rs.spec.selector, lambda pod: pod.metadata.name == "orphan")

    assert [action.obj for action in claim if isinstance(action, Update)] == [owned, orphan]


def test_others_children_dying_orphans_and_foreign_namespaces_are_left_alone():
    rs, other = a_replicaset("web"), a_replicaset("other")
    labels = {"app": "web"}
    world = World(a_pod(owner=other), a_pod(labels=labels, deleted=True), a_pod(labels=labels, namespace="far"))

    assert claimed(world, rs) == ([], [])


def test_an_owner_that_is_being_deleted_neither_adopts_nor_releases():
    rs = a_replicaset(deleted=True)
    own = a_pod(owner=rs)
    world = World(a_pod(labels={"app": "web"}), own, a_pod(owner=rs, labels={"app": "debug"}))

    assert claimed(world, rs) == ([], [own])


def test_a_shelf_forgets_every_trace_of_a_replaced_object():
    rs, shelf = a_replicaset(), Shelf[Pod]()
    shelf.put(a_pod("a"))
    shelf.put(pod := a_pod("a", owner=rs))

    assert (list(shelf.orphans_in("default")), list(shelf.controlled_by(rs.metadata.uid))) == ([], [pod])


def test_objects_are_found_by_their_node_and_a_change_of_any_is_noticed():
    here, there = a_pod("here", node_name="n1"), a_pod("there", node_name="n2")
    shelves = {Pod: Shelf[Pod]()}
    world = World.over(shelves, lambda: TEST_NOW)
    shelves[Pod].put(here)
    before = world.version(Pod)
    shelves[Pod].put(there)

    assert (world.on_node(Pod, "n1"), world.on_node(Pod, "n3")) == ([here], [])
    assert world.version(Pod) != before

    shelves[Pod].remove(here.key)
    assert world.on_node(Pod, "n1") == []


def test_the_time_of_a_world_is_asked_for_once_and_stands_still():
    times = iter([TEST_NOW, TEST_NOW + timedelta(seconds=1)])

    world = World.over({}, lambda: next(times))

    assert [world.now, world.now] == [TEST_NOW, TEST_NOW]
