"""A node takes as many volumes of a driver as its CSINode says."""

import pytest
from make import a_node, an_object
from scheduling import a_view, all_plugins

from scheduler.cycle.answers import Answers
from scheduler.cycle.panel import Panel
from scheduler.cycle.plan import plan
from scheduler.explaining.picture import Objects, Picture
from scheduler.plugins.volumes.limits import FULL, NodeVolumeLimits
from scheduler.preemption.plan import Ground, preempt
from scheduler.snapshot import Snapshot
from scheduler.triggers import any_matches
from scheduler.volumes.attachments import TAKEN_OVER, Attachments
from scheduler.volumes.lookup import Lookup
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.storage.csi_node import CSINode
from wherry.api.storage.storage_class import StorageClass
from wherry.api.storage.volume_attachment import VolumeAttachment
from wherry.client.informer import Change
from wherry.client.world import Shelf

EBS, BOUND = "ebs.csi.aws.com", {"pv.kubernetes.io/bind-completed": "yes"}


def drivers_of(node, taken_over="kubernetes.io/aws-ebs", **counts):
    drivers = [{"name": EBS, "nodeID": node, "allocatable": {"count": count}} for count in counts.values()]
    annotations = {TAKEN_OVER: taken_over}
    return an_object(CSINode, node, api_version="storage.k8s.io/v1", annotations=annotations, drivers=drivers)


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


def an_attachment(name, claim, node="a"):
    source = {"persistentVolumeName": f"pv-{claim}"}
    return an_object(
        VolumeAttachment, name, api_version="storage.k8s.io/v1", attacher=EBS, source=source, node_name=node
    )


def a_user(name, *claims, disks=(), **more):
    volumes = [{"name": claim, "persistentVolumeClaim": {"claimName": claim}} for claim in claims]
    volumes += [{"name": f"disk-{index}", **disk} for index, disk in enumerate(disks)]
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
        self.volumes = shelves[PersistentVolume]
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


def a_disk(volume):
    return {"awsElasticBlockStore": {"volumeID": volume}}


@pytest.mark.parametrize(
    ("claims", "disks", "where"),
    [
        ((), ("vol-2",), {"a", "b"}),
        ((), ("vol-2", "vol-3"), {"b"}),
        (("one",), ("vol-2",), {"b"}),
        # The disk behind the claim `old`, which a pod on the node has.
        (("one",), ("vol-1",), {"a", "b"}),
        ((), ("aws://zone-1/vol-1", "vol-2"), {"a", "b"}),
    ],
)
def test_disks_that_a_pod_names_itself_count_as_their_drivers(claims, disks, where):
    storage = Storage()
    storage.snapshot.place(a_user("there", "old"), "a")

    assert storage.where(a_user("web", *claims, disks=[a_disk(disk) for disk in disks])) == where


def test_such_disks_of_placed_pods_count_until_the_pods_are_gone():
    storage, there = Storage(), a_user("there", disks=[a_disk("vol-2"), a_disk("vol-3")])
    storage.snapshot.place(there, "a")
    assert storage.where(a_user("web", "one")) == {"b"}

    storage.snapshot.remove(there.uid)

    assert storage.where(a_user("web", "one")) == {"a", "b"}


def test_what_no_driver_has_taken_over_on_a_node_does_not_count_there():
    storage = Storage()
    storage.attachments.node_changed(Change(None, drivers_of("a", taken_over="", count=1)))
    storage.snapshot.place(a_user("there", "old", disks=[a_disk("vol-2")]), "a")

    assert storage.where(a_user("web", "one")) == {"a", "b"}
    assert storage.where(a_user("web", disks=[a_disk("vol-3"), a_disk("vol-4")])) == {"a", "b"}
    assert storage.where(a_user("web", "one", "two")) == {"b"}


def test_a_volume_that_is_attached_counts_though_no_pod_has_it_but_not_for_one_that_wants_it():
    storage = Storage()
    attached = [an_attachment("a1", "one"), an_attachment("a2", "two")]
    for each in attached:
        storage.attachments.attachment_changed(Change(None, each))

    assert storage.where(a_user("web", "three")) == {"b"}
    assert storage.where(a_user("web", "one")) == {"a", "b"}

    storage.attachments.attachment_changed(Change(attached[0], None))
    assert storage.where(a_user("web", "three")) == {"a", "b"}


def test_an_attached_volume_that_a_pod_has_counts_once_and_one_that_is_unknown_when_it_is_heard_of():
    storage, unknown = Storage(), a_volume("late")
    storage.snapshot.place(a_user("there", "one"), "a")
    for each in (an_attachment("a1", "one"), an_attachment("a2", "late")):
        storage.attachments.attachment_changed(Change(None, each))
    assert storage.where(a_user("web", "three")) == {"a", "b"}

    storage.volumes.put(unknown)
    storage.attachments.volume_changed(Change(None, unknown))
    assert storage.where(a_user("web", "three")) == {"b"}


def test_a_kept_answer_knows_of_an_attachment_that_came_later():
    storage, web = Storage(), a_user("web", "two", "three")
    answers = Answers(storage.snapshot, all_plugins())
    answers.to(storage.lookup.view(web)).best()

    storage.attachments.attachment_changed(Change(None, an_attachment("a1", "one")))

    assert answers.to(storage.lookup.view(web)).decision(web).feasible.tolist() == [False, True]


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


def test_who_waits_for_room_is_tried_again_when_a_driver_has_taken_over_less_on_a_node():
    before, after = drivers_of("a", most=1), drivers_of("a", taken_over="", most=1)

    assert any_matches(NodeVolumeLimits.retry_when, before, after)
    assert not any_matches(NodeVolumeLimits.retry_when, before, drivers_of("a", most=1))
