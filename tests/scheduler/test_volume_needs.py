"""Pods go where their volumes are, and claims that wait for a pod get their volume where it goes."""

import pytest
from make import a_node, a_pod, an_object
from scheduling import a_view, all_plugins, decide, fitting, snapshot_of

from scheduler.cycle.panel import Panel
from scheduler.plugins.volumes.binding import NO_ROOM
from scheduler.plugins.volumes.restrictions import IN_USE
from scheduler.pods import PodView
from scheduler.pods.volumes import NO_VOLUMES, VolumeNeeds
from scheduler.preemption.plan import Ground, preempt
from scheduler.volumes.capacity import Capacity
from scheduler.volumes.lookup import Lookup, Promise
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.storage.csi_driver import CSIDriver
from wherry.api.storage.csi_storage_capacity import CSIStorageCapacity
from wherry.api.storage.storage_class import StorageClass
from wherry.client.world import Shelf

BOUND = {"pv.kubernetes.io/bind-completed": "yes"}
NODES = [a_node(name, labels={"kubernetes.io/hostname": name}) for name in ("a", "b", "c")]


def a_claim(name="data", size="1Gi", **more):
    resources = {"requests": {"storage": size}}
    more.setdefault("storage_class_name", "late")
    more.setdefault("access_modes", ["ReadWriteOnce"])
    return an_object(PersistentVolumeClaim, name, resources=resources, **more)


def a_volume(name, node="", size="1Gi", **more):
    more = {"storage_class_name": "late", "access_modes": ["ReadWriteOnce"], "host_path": {"path": "/d"}, **more}
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}]}
    where = {"node_affinity": {"required": {"nodeSelectorTerms": [term]}}} if node else {}
    return an_object(PersistentVolume, name, capacity={"storage": size}, **where, **more)


def a_class(name="late", provisioner="kubernetes.io/no-provisioner", mode="WaitForFirstConsumer", **more):
    fields = {"provisioner": provisioner, "volumeBindingMode": mode, **more}
    return an_object(StorageClass, name, api_version="storage.k8s.io/v1", fields=fields)


def lookup_of(*objects):
    shelves = {kind: Shelf() for kind in (PersistentVolumeClaim, PersistentVolume, StorageClass)}
    for obj in objects:
        shelves[type(obj)].put(obj)
    return Lookup(*shelves.values())


def a_consumer(*claims, name="web", **more):
    volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims or ("data",)]
    return a_view(name, volumes=volumes, **more)


def where(pod, *objects):
    return fitting(lookup_of(*objects).view(pod), *NODES)


def message(pod, *objects):
    return decide(lookup_of(*objects).view(pod), *NODES).message


def test_a_pod_without_claims_asks_for_nothing():
    pod = a_view("web")

    assert lookup_of().view(pod) is pod
    assert pod.volumes == NO_VOLUMES


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ([], 'persistentvolumeclaim "data" not found'),
        ([a_claim(deleted=True)], 'persistentvolumeclaim "data" is being deleted'),
        ([a_claim(storage_class_name="now"), a_class("now", mode="Immediate")], "IMMEDIATE"),
        ([a_claim(storage_class_name="")], "IMMEDIATE"),
        ([a_claim(volume_name="v"), a_volume("v")], "IMMEDIATE"),
        (
            [a_claim(volume_name="v", annotations=BOUND)],
            "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)",
        ),
    ],
    ids=["missing", "going", "immediate", "no class", "half bound", "lost"],
)
def test_what_a_claim_waits_for_is_said_without_counting_nodes(objects, why):
    why = why.replace("IMMEDIATE", "pod has unbound immediate PersistentVolumeClaims")

    assert message(a_consumer(), *objects) == f"0/3 nodes are available: {why}."


def test_the_claim_of_an_ephemeral_volume_is_waited_for_in_its_own_words():
    pod = a_view("web", volumes=[{"name": "scratch", "ephemeral": {"volumeClaimTemplate": {}}}])
    why = 'waiting for ephemeral volume controller to create the persistentvolumeclaim "web-scratch"'

    assert lookup_of().needs(pod.pod) == VolumeNeeds(why)


def test_a_bound_volume_draws_its_pod():
    claim, volume = a_claim(volume_name="v", annotations=BOUND), a_volume("v", "b")

    assert where(a_consumer(), claim, volume) == {"b"}
    assert where(a_consumer(), claim, a_volume("v")) == {"a", "b", "c"}


def test_nodes_that_cannot_reach_a_volume_are_counted():
    decision = decide(
        lookup_of(a_claim(volume_name="v", annotations=BOUND), a_volume("v", "z")).view(a_consumer()), *NODES
    )

    assert decision.message == "0/3 nodes are available: 3 node(s) had volume node affinity conflict."
    assert decision.rejected_by == {"VolumeBinding"}


def test_a_waiting_claim_goes_where_a_free_volume_is():
    volumes = a_volume("small", "a", "1Mi"), a_volume("v", "b"), a_volume("taken", "c", claimRef={"name": "x"})

    assert where(a_consumer(), a_claim(), a_class(), *volumes) == {"b"}
    assert message(a_consumer(), a_claim(), a_class()) == (
        "0/3 nodes are available: 3 node(s) didn't find available persistent volumes to bind."
    )


def test_two_claims_need_two_volumes_of_one_node():
    claims, one = (a_claim("data"), a_claim("logs")), [a_volume("a1", "a"), a_volume("b1", "b")]

    assert where(a_consumer("data", "logs"), *claims, a_class(), *one) == set()
    assert where(a_consumer("data", "logs"), *claims, a_class(), *one, a_volume("b2", "b")) == {"b"}


def test_where_a_class_makes_volumes_every_allowed_node_will_do():
    only_c = [{"matchLabelExpressions": [{"key": "kubernetes.io/hostname", "values": ["c"]}]}]

    assert where(a_consumer(), a_claim(), a_class(provisioner="disks.example.com")) == {"a", "b", "c"}
    restricted = a_class(provisioner="disks.example.com", allowedTopologies=only_c)
    assert where(a_consumer(), a_claim(), restricted) == {"c"}


def test_a_claim_for_which_a_node_was_chosen_stays_there():
    claim = a_claim(annotations={"volume.kubernetes.io/selected-node": "c"})

    assert where(a_consumer(), claim, a_class(provisioner="disks.example.com"), a_volume("v", "a")) == {"c"}


def test_what_was_promised_is_neither_promised_twice_nor_forgotten():
    lookup = lookup_of(a_claim("data"), a_claim("logs"), a_class(), a_volume("a1", "a"), a_volume("b1", "b"))

    promises = lookup.promise(lookup.view(a_consumer("data")), NODES[0])

    assert promises == [Promise("default/data", "a", "a1")]
    assert fitting(lookup.view(a_consumer("logs", name="other")), *NODES) == {"b"}
    assert fitting(lookup.view(a_consumer("data", name="second")), *NODES) == {"a"}
    lookup.forget(promises)
    assert fitting(lookup.view(a_consumer("logs", name="other")), *NODES) == {"a", "b"}


def test_a_promise_of_a_new_volume_draws_the_next_pod_with_that_claim():
    lookup = lookup_of(a_claim(), a_class(provisioner="disks.example.com"))

    promises = lookup.promise(lookup.view(a_consumer()), NODES[1])

    assert promises == [Promise("default/data", "b")]
    assert fitting(lookup.view(a_consumer(name="second")), *NODES) == {"b"}
    assert not lookup.are_bound(promises)


def test_pods_with_different_volumes_share_no_answer():
    paths = ("spec.node_selector", "volumes")
    plain, bound = (
        PodView(a_pod("a")),
        PodView(a_pod("b"), VolumeNeeds(reachable=(a_volume("v", "a").spec.node_affinity.required,))),
    )

    assert plain.signature(paths) != bound.signature(paths)


ZONE = "topology.kubernetes.io/zone"


def test_a_volume_that_names_its_zones_is_used_there_and_where_nodes_name_none():
    nodes = [a_node("here", labels={ZONE: "z1"}), a_node("there", labels={ZONE: "z3"}), a_node("anywhere")]
    volume = a_volume("v", labels={ZONE: "z1__z2"})
    pod = lookup_of(a_claim(volume_name="v", annotations=BOUND), volume).view(a_consumer())

    assert fitting(pod, *nodes) == {"here", "anywhere"}
    assert decide(pod, nodes[1]).message == "0/1 nodes are available: 1 node(s) had no available volume zone."


def test_a_claim_for_one_pod_alone_is_waited_for_by_others():
    claim = a_claim(volume_name="v", annotations=BOUND)
    alone = a_claim("alone", volume_name="v", annotations=BOUND, access_modes=["ReadWriteOncePod"])
    user = a_consumer("alone", name="first")
    pod = lookup_of(claim, alone, a_volume("v")).view(a_consumer("alone", name="second", priority=5))

    decision = decide(pod, *NODES, placed=[(user, "b")])

    assert decision.message == f"0/3 nodes are available: 3 {IN_USE}."
    assert fitting(pod, *NODES) == {"a", "b", "c"}
    snapshot = snapshot_of(*NODES, placed=[(user, "b")])
    found = preempt(pod, decision, Ground(snapshot, Panel(all_plugins())))
    assert (found.node, found.victims) == ("b", (user,))


def a_room(name, capacity, node="", **more):
    topology = {"matchLabels": {"kubernetes.io/hostname": node}} if node else {}
    fields = {"storageClassName": "late", "nodeTopology": topology, "capacity": capacity, **more}
    return an_object(CSIStorageCapacity, name, api_version="storage.k8s.io/v1", fields=fields)


def decided_with_room(*rooms, says=True):
    driver = an_object(CSIDriver, "disks.example.com", api_version="storage.k8s.io/v1", storage_capacity=says)
    drivers, capacities = Shelf(), Shelf()
    drivers.put(driver)
    for room in rooms:
        capacities.put(room)
    kinds = (PersistentVolumeClaim, PersistentVolume, StorageClass)
    shelves = [Shelf() for _ in kinds]
    shelves[0].put(a_claim(size="5Gi"))
    shelves[2].put(a_class(provisioner="disks.example.com"))
    return decide(Lookup(*shelves, None, Capacity(drivers, capacities).room).view(a_consumer()), *NODES)


def test_new_volumes_are_made_where_their_driver_has_room():
    on_nodes = (a_room("a", "10Gi", "a"), a_room("b", "4Gi", "b"), a_room("c", "10Gi", "c", maximumVolumeSize="2Gi"))

    decision = decided_with_room(*on_nodes)

    assert [name for name, fits in zip(decision.nodes, decision.feasible, strict=True) if fits] == ["a"]
    assert decided_with_room(*on_nodes, a_room("wide", "5Gi")).feasible.all()
    assert decided_with_room(*on_nodes, says=False).feasible.all()
    assert decided_with_room().message == f"0/3 nodes are available: 3 {NO_ROOM}."
