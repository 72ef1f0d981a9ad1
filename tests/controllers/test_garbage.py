"""Garbage collection: the graph, the verdicts, and both together until nothing is left to collect."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from make import a_deployment, a_pod, a_replicaset, an_object

from controllers.garbage.graph import OwnerGraph
from controllers.garbage.plan import Owner, plan
from wherry.api.core.config_map import ConfigMap
from wherry.client.patches import merged
from wherry.client.plan import Delete, Update

FOREGROUND, ORPHAN = ["foregroundDeletion"], ["orphan"]


def collected(obj, policy="Background"):
    """The deletion of what the plan has seen without an owner; another version of it may have one."""
    return Delete(obj, policy, only_as_seen=True)


def owned(name, *owners, blocking=True, **more):
    """A config map with any number of owners."""
    references = [
        {
            "apiVersion": owner.kind.api_version,
            "kind": owner.kind.name,
            "name": owner.metadata.name,
            "uid": owner.metadata.uid,
            "blockOwnerDeletion": blocking,
        }
        for owner in owners
    ]
    obj = an_object(ConfigMap, name, **more)
    wire = merged(obj.to_wire(), {"metadata": {"ownerReferences": references}})
    return ConfigMap.read(wire)


def references(obj, *owners):
    uids = {owner.metadata.uid for owner in owners}
    return [one.to_wire() for one in obj.metadata.owner_references if one.uid in uids] or None


def graph_of(*objects):
    graph = OwnerGraph()
    for obj in objects:
        graph.put(obj)
    return graph


A, B = an_object(ConfigMap, "a"), an_object(ConfigMap, "b")


def test_what_has_no_owner_left_is_deleted():
    child = owned("child", A)

    assert list(plan(child, {A.metadata.uid: Owner.ABSENT}, [])) == [collected(child)]


@pytest.mark.parametrize("state", [Owner.PRESENT, Owner.UNSEEN])
def test_what_has_its_owner_is_left_alone(state):
    assert list(plan(owned("child", A), {A.metadata.uid: state}, [])) == []


def test_one_owner_that_is_left_keeps_it_and_the_others_are_struck_off():
    child = owned("child", A, B)

    (update,) = plan(child, {A.metadata.uid: Owner.ABSENT}, [])

    assert update == Update(child, {"metadata": {"ownerReferences": references(child, B)}})


def test_a_dependent_of_a_waiting_owner_is_deleted_with_its_own_dependents_first():
    child = owned("child", A)
    grandchild = owned("grandchild", child)

    assert list(plan(child, {A.metadata.uid: Owner.WAITING}, [grandchild])) == [collected(child, "Foreground")]
    assert list(plan(child, {A.metadata.uid: Owner.WAITING}, [])) == [collected(child)]


def test_owners_that_wait_for_each_other_are_freed():
    child = owned("child", A)
    circular = owned("circular", child, deleted=True, finalizers=FOREGROUND)

    update, delete = plan(child, {A.metadata.uid: Owner.WAITING}, [circular])

    assert "blockOwnerDeletion" not in update.patch["metadata"]["ownerReferences"][0]
    assert delete == collected(child, "Foreground")


def test_a_waiting_owner_goes_when_nothing_blocks_it():
    owner = an_object(ConfigMap, "a", deleted=True, finalizers=["mine", *FOREGROUND])
    free = Update(owner, {"metadata": {"finalizers": ["mine"]}})

    assert list(plan(owner, {}, [owned("child", owner)])) == []
    assert list(plan(owner, {}, [owned("child", owner, blocking=False)])) == [free]
    assert list(plan(owner, {}, [])) == [free]


def test_orphaning_strikes_the_owner_off_its_dependents_and_lets_it_go():
    owner = an_object(ConfigMap, "a", deleted=True, finalizers=ORPHAN)
    only, shared = owned("only", owner), owned("shared", owner, B)

    assert list(plan(owner, {}, [only, shared])) == [
        Update(only, {"metadata": {"ownerReferences": None}}),
        Update(shared, {"metadata": {"ownerReferences": references(shared, B)}}),
        Update(owner, {"metadata": {"finalizers": None}}),
    ]


def test_how_an_object_was_to_be_deleted_is_not_forgotten():
    child = owned("child", A, finalizers=ORPHAN)

    assert list(plan(child, {A.metadata.uid: Owner.ABSENT}, [])) == [collected(child, "Orphan")]


def test_the_graph_points_at_the_children_of_what_is_gone():
    deployment = a_deployment("web")
    rs, pod = a_replicaset(owner=deployment), a_pod(labels={"app": "web"})
    graph = graph_of(deployment, rs, pod)

    assert graph.put(rs) == set()
    assert graph.remove(deployment) == {rs.metadata.uid}
    assert graph.put(rs) == {rs.metadata.uid}


def test_an_owner_of_the_same_name_but_another_uid_is_another_owner():
    old, new = an_object(ConfigMap, "a", uid="old"), an_object(ConfigMap, "a", uid="new")
    child = owned("child", old)

    assert graph_of(new).put(child) == {child.metadata.uid}
    assert graph_of(new, child).dependents(new) == []


def test_an_owner_in_another_namespace_is_no_owner():
    far = an_object(ConfigMap, "a", namespace="far")
    child = owned("child", far)

    assert graph_of(far, child).doubtful(child) == list(child.metadata.owner_references)
    assert graph_of(far, child).dependents(far) == []


def test_the_end_of_a_dependent_wakes_the_owner_that_waits_for_it():
    owner = an_object(ConfigMap, "a", deleted=True, finalizers=FOREGROUND)
    child = owned("child", owner)
    graph = graph_of(owner, child)

    assert graph.remove(child) == {owner.metadata.uid}


def test_a_dependent_that_changes_hands_wakes_the_owner_that_waits_for_it():
    owner = an_object(ConfigMap, "a", deleted=True, finalizers=FOREGROUND)
    graph = graph_of(owner, owned("child", owner))

    assert graph.put(owned("child")) == {owner.metadata.uid}


def test_an_owner_that_begins_to_wait_wakes_its_dependents():
    child = owned("child", A)
    graph = graph_of(A, child)

    assert graph.put(an_object(ConfigMap, "a", deleted=True, finalizers=FOREGROUND)) == {
        child.metadata.uid,
        A.metadata.uid,
    }


class Room:
    """Objects that own each other, and a collector that works until nothing changes."""

    def __init__(self, owners):
        self.objects = {}
        for number, of in owners.items():
            parents = [self.objects[f"o{one}"] for one in sorted(of) if f"o{one}" in self.objects]
            self.objects[f"o{number}"] = owned(f"o{number}", *parents)

    def delete(self, name, policy):
        obj = self.objects[name]
        finalizer = {"Foreground": FOREGROUND, "Orphan": ORPHAN}.get(policy)
        if finalizer is None:
            del self.objects[name]
        else:
            self.write(obj, {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizer})

    def write(self, obj, metadata):
        changed = ConfigMap.read(merged(obj.to_wire(), {"metadata": metadata}))
        self.objects[obj.metadata.name] = changed
        if changed.metadata.deleted_at and not changed.metadata.finalizers:
            del self.objects[obj.metadata.name]

    def collect(self):
        while any(self.look_at(name) for name in sorted(self.objects)):
            pass

    def look_at(self, name):
        obj = self.objects.get(name)
        if obj is None:
            return False
        graph = graph_of(*self.objects.values())
        owners = {}
        for reference in graph.doubtful(obj):
            owners[reference.uid] = Owner.WAITING if graph.get(reference.uid) else Owner.ABSENT
        actions = list(plan(obj, owners, graph.dependents(obj)))
        for action in actions:
            if isinstance(action, Update):
                self.write(self.objects[action.obj.metadata.name], action.patch["metadata"])
            elif action.obj.metadata.name in self.objects:
                self.delete(action.obj.metadata.name, action.propagation)
        return bool(actions)


OWNERS = st.dictionaries(st.integers(0, 7), st.sets(st.integers(0, 7), max_size=3), min_size=1).map(
    lambda owners: dict(sorted(owners.items()))
)


@settings(max_examples=150, deadline=None)
@given(OWNERS, st.sampled_from(["Background", "Foreground"]), st.data())
def test_exactly_what_lives_from_the_deleted_alone_goes_with_it(owners, policy, data):
    room = Room(owners)
    victim = data.draw(st.sampled_from(sorted(room.objects)))
    alive = {name for name, obj in room.objects.items() if not obj.metadata.owner_references} - {victim}
    for name, obj in room.objects.items():  # owners come before what they own
        if name != victim and {one.name for one in obj.metadata.owner_references} & alive:
            alive.add(name)

    room.delete(victim, policy)
    room.collect()

    assert set(room.objects) == alive
    assert all(one.name in alive for obj in room.objects.values() for one in obj.metadata.owner_references)


@settings(max_examples=100, deadline=None)
@given(OWNERS, st.data())
def test_orphaning_takes_nothing_but_the_owner(owners, data):
    room = Room(owners)
    before = set(room.objects)
    victim = data.draw(st.sampled_from(sorted(before)))

    room.delete(victim, "Orphan")
    room.collect()

    assert set(room.objects) == before - {victim}


def test_an_owner_that_waits_is_looked_at_when_the_last_who_keeps_it_goes():
    waiting = an_object(ConfigMap, "a", deleted=True, finalizers=FOREGROUND)
    children = [owned(f"child-{number}", waiting) for number in range(3)]
    graph = graph_of(waiting, *children, owned("loose", waiting, blocking=False))

    assert [graph.remove(child) for child in children] == [set(), set(), {waiting.metadata.uid}]


def test_what_goes_already_is_not_looked_at_again():
    child = owned("child", A, deleted=True)

    assert graph_of(child).suspects() == set()
