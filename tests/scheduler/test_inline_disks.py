"""Disks that pods name themselves: two pods on one node have one only where Kubernetes lets them."""

import pytest
from scheduling import a_node, a_view, all_plugins

from scheduler.cycle.answers import Answers
from scheduler.plugins.volumes.restrictions import NO_DISK
from scheduler.snapshot import Snapshot
from scheduler.volumes.lookup import Lookup
from wherry.client.world import Shelf


def a_user(name, kind, **source):
    pod = a_view(name, volumes=[{"name": "v", kind: source}])
    return Lookup(Shelf(), Shelf(), Shelf()).view(pod)


GCE, RBD = ("gcePersistentDisk", {"pdName": "x"}), ("rbd", {"monitors": ["m1", "m2"], "image": "i"})
READ = {"readOnly": True}


@pytest.mark.parametrize(
    ("kind", "there", "wanted", "goes_to"),
    [
        (GCE[0], GCE[1], GCE[1], "b"),
        (GCE[0], GCE[1] | READ, GCE[1], "b"),
        (GCE[0], GCE[1] | READ, GCE[1] | READ, "a"),
        (GCE[0], GCE[1], {"pdName": "y"}, "a"),
        ("awsElasticBlockStore", {"volumeID": "v"} | READ, {"volumeID": "v"} | READ, "b"),
        ("iscsi", {"iqn": "q", "lun": 1}, {"iqn": "q", "lun": 2}, "b"),
        (RBD[0], RBD[1], {"monitors": ["m2", "m3"], "image": "i"}, "b"),
        (RBD[0], RBD[1], {"monitors": ["m3"], "image": "i"}, "a"),
    ],
)
def test_a_disk_in_use_is_not_given_again_on_its_node(kind, there, wanted, goes_to):
    snapshot = Snapshot()
    snapshot.set_node(a_node("a", allocatable={"cpu": "64"}))
    snapshot.set_node(a_node("b", allocatable={"cpu": "1"}))
    snapshot.place(a_user("first", kind, **there), "a")

    decision = Answers(snapshot, all_plugins()).to(a_user("second", kind, **wanted)).decision(a_view("second"))

    assert decision.winner == goes_to
    assert [refusal.reason for refusal in decision.refusals] == [NO_DISK] * (goes_to == "b")


def test_of_pods_that_look_alike_each_node_takes_one():
    snapshot = Snapshot()
    for name in "abc":
        snapshot.set_node(a_node(name))
    answers, found = Answers(snapshot, all_plugins()), []
    for number in range(4):
        pod = a_user(f"p{number}", *GCE[:1], **GCE[1])
        choice = answers.to(pod).best()
        found.append(choice.node if choice else None)
        if choice:
            snapshot.place(pod, choice.node)

    assert (sorted(found[:3]), found[3]) == (["a", "b", "c"], None)
