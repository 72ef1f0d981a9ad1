"""A node takes as many volumes of a driver as its CSINode says."""

import pytest
from make import a_node, an_object
from scheduling import a_view, all_plugins

from scheduler.cycle.panel import Panel
from scheduler.cycle.plan import plan
from scheduler.explaining.picture import Objects, Picture
from scheduler.plugins.volumes.limits import FULL
from scheduler.preemption.plan import Ground, preempt
from scheduler.snapshot import Snapshot
from scheduler.volumes.attachments import Attachments
from scheduler.volumes.lookup import Lookup
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.storage.csi_node import CSINode
from wherry.api.storage.storage_class import StorageClass
from wherry.client.informer import Change
from wherry.client.world import Shelf

EBS, BOUND = "ebs.csi.aws.com", {"pv.kubernetes.io/bind-completed": "yes"}


def drivers_of(node, **counts):
    drivers = [{"name": EBS, "nodeID": node, "allocatable": {"count": count}} for count in counts.values()]
    return an_object(CSINode, node, api_version="storage.k8s.io/v1", drivers=drivers)


def a_claim(name):
    return an_object(
        PersistentVolumeClaim,
        name,
        annotations=BOUND,
        volume_name=f"pv-{name}",
        access_modes=["ReadWriteOnce"],
        resources={"requests": {"storage": "1Gi"}},
    )


def a_volume(claim, source=None):
    source = source or {"csi": {"driver": EBS, "volumeHandle": claim}}
    holder = {"namespace": "default", "name": claim}
    return an_object(PersistentVolume, f"pv-{claim}", capacity={"storage": "1Gi"}, claim_ref=holder, **source)


def a_user(name, *claims, **more):
    volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims]
    return a_view(name, volumes=volumes, **more)


class Storage:
    """Nodes a and b, a of which takes two volumes; four claims, `old` with a disk of the time before drivers."""

    def __init__(self, **limits):
        shelves = {kind: Shelf() for kind in (PersistentVolumeClaim, PersistentVolume, StorageClass)}
        self.snapshot = Snapshot()
        self.attachments = Attachments(self.snapshot, *shelves.values())
        self.lookup = Lookup(*shelves.values(), self.attachments.limited)
        for name in ("a", "b"):
            self.snapshot.set_node(a_node(name))
        self.objects = [(a_claim(name), a_volume(name)) for name in ("one", "two", "three")]
        old = {"aws_elastic_block_store": {"volumeID": "vol-1"}}
        for claim, volume in [*self.objects, (a_claim("old"), a_volume("old", old))]:
            shelves[PersistentVolumeClaim].put(claim)
            self.attachments.claim_changed(Change(None, claim))
            shelves[PersistentVolume].put(volume)
            self.attachments.volume_changed(Change(None, volume))
        self.attachments.node_changed(Change(None, drivers_of("a", count=2)))

    def decision(self, pod):
        return plan(self.lookup.view(pod), self.snapshot.columns, all_plugins())

    def where(self, pod):
        decision = self.decision(pod)
        return {name for name, fits in zip(decision.nodes, decision.feasible.tolist(), strict=True) if fits}


@pytest.mark.parametrize(
    ("placed", "wanted", "where"),
    [
        ([], ("one", "two"), {"a", "b"}),
        ([], ("one", "two", "three"), {"b"}),
        ([("one",)], ("two",), {"a", "b"}),
        ([("one", "two")], ("three",), {"b"}),
        ([("one",), ("two",)], ("three",), {"b"}),
        ([("one",), ("one",)], ("two",), {"a", "b"}),
        ([("one", "two")], ("one",), {"a", "b"}),
        ([("one", "old")], ("two",), {"b"}),
    ],
)
def test_volumes_count_once_on_a_node_and_only_new_ones_need_room(placed, wanted, where):
    storage = Storage()
    for number, claims in enumerate(placed):
        storage.snapshot.place(a_user(f"there-{number}", *claims), "a")

    assert storage.where(a_user("web", *wanted)) == where


def test_room_comes_back_with_the_last_pod_that_used_a_volume_or_when_the_node_says_so():
    storage, web = Storage(), a_user("web", "three")
    there = a_user("there", "one", "two")
    storage.snapshot.place(there, "a")
    assert [(each.plugin, each.reason) for each in storage.decision(web).refusals] == [("NodeVolumeLimits", FULL)]

    storage.snapshot.remove(there.uid)
    assert storage.where(web) == {"a", "b"}

    storage.snapshot.place(there, "a")
    storage.attachments.node_changed(Change(drivers_of("a", count=2), drivers_of("a")))
    assert storage.where(web) == {"a", "b"}
    assert storage.lookup.view(web).volumes.limited == ()


def test_a_pod_makes_way_with_its_volumes():
    storage = Storage()
    storage.attachments.node_changed(Change(None, drivers_of("b", count=0)))
    storage.snapshot.place(a_user("there", "one", "two", priority=1), "a")
    web = storage.lookup.view(a_user("web", "three", priority=9))

    ground = Ground(storage.snapshot, Panel(all_plugins()))
    found = preempt(web, plan(web, storage.snapshot.columns, all_plugins()), ground)

    assert (found.node, [victim.metadata.name for victim in found.victims]) == ("a", ["there"])


def test_a_claim_without_a_volume_is_of_its_classs_driver():
    kind = an_object(
        StorageClass,
        "fast",
        api_version="storage.k8s.io/v1",
        fields={"provisioner": "kubernetes.io/aws-ebs", "volumeBindingMode": "WaitForFirstConsumer"},
    )
    claim = an_object(PersistentVolumeClaim, "new", storage_class_name="fast", access_modes=["ReadWriteOnce"])
    web = a_user("web", "new")

    found = {PersistentVolumeClaim: [claim], StorageClass: [kind], CSINode: [drivers_of("a", count=0)], Pod: []}
    picture = Picture(Objects({type(a_node("a")): [a_node("a")], **found}), {"default-scheduler": all_plugins()})

    assert picture.judged(picture.view(web.pod)).decision.message == f"0/1 nodes are available: 1 {FULL}."
