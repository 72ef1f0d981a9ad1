"""Claims find volumes that are there, and volumes know whose they are."""

from datetime import timedelta

import pytest
from make import NOW, a_node, a_pod, an_object
from simulated import Cluster

from controllers.parts.volume_matching import best_volume, is_reachable
from controllers.volumes import volume_binding, volume_reclaim
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.storage.storage_class import StorageClass
from wherry.client.plan import CheckAgain, Delete, Event
from wherry.client.world import World


def a_volume(name, size="10Gi", *, modes=("ReadWriteOnce",), claim=None, **more):
    more.setdefault("host_path", {"path": f"/data/{name}"})
    reference = {"claimRef": {"namespace": "default", "name": claim}} if claim else {}
    return an_object(PersistentVolume, name, capacity={"storage": size}, access_modes=list(modes), **reference, **more)


def a_claim(size="5Gi", *, modes=("ReadWriteOnce",), **more):
    resources = {"requests": {"storage": size}}
    return an_object(PersistentVolumeClaim, "data", resources=resources, access_modes=list(modes), **more)


def on_node(name):
    term = {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [name]}]}
    return {"node_affinity": {"required": {"nodeSelectorTerms": [term]}}, "host_path": None, "local": {"path": "/d"}}


def chosen(claim, *volumes):
    found = best_volume(claim, volumes)
    return found.metadata.name if found else None


def test_the_smallest_volume_that_is_large_enough_is_chosen():
    assert chosen(a_claim("5Gi"), a_volume("l", "20Gi"), a_volume("m", "5Gi"), a_volume("s", "1Gi")) == "m"


@pytest.mark.parametrize(
    "volume",
    [
        a_volume("v", storage_class_name="fast"),
        a_volume("v", volume_mode="Block"),
        a_volume("v", modes=["ReadOnlyMany"]),
        a_volume("v", claim="other"),
        a_volume("v", deleted=True),
        a_volume("v", "4Gi"),
    ],
    ids=["class", "mode", "access", "taken", "going", "small"],
)
def test_what_does_not_suit_is_not_chosen(volume):
    assert chosen(a_claim("5Gi"), volume) is None


def test_a_volume_set_aside_for_the_claim_goes_before_smaller_ones():
    assert chosen(a_claim("5Gi"), a_volume("small", "5Gi"), a_volume("mine", "50Gi", claim="data")) == "mine"


def test_labels_may_be_asked_for():
    claim = a_claim(selector={"matchLabels": {"disk": "ssd"}})

    assert chosen(claim, a_volume("a"), a_volume("b", labels={"disk": "ssd"})) == "b"


def test_a_local_volume_is_reachable_from_its_node_only():
    volume = a_volume("v", **on_node("n1"))

    assert [is_reachable(volume, a_node(name)) for name in ("n1", "n2")] == [True, False]


def settled(*objects):
    cluster = Cluster(*objects)
    for _ in range(5):
        for claim in cluster.list(PersistentVolumeClaim):
            cluster.run(PersistentVolumeClaim, volume_binding.plan, claim.key)
        for volume in cluster.list(PersistentVolume):
            cluster.run(PersistentVolume, volume_reclaim.plan, volume.key)
    return cluster


def test_claim_and_volume_end_up_bound_to_each_other():
    cluster = settled(a_claim(), a_volume("v"))

    claim, volume = cluster.get(PersistentVolumeClaim, "default/data"), cluster.get(PersistentVolume, "v")
    assert (claim.spec.volume_name, claim.status.phase, str(claim.status.capacity["storage"])) == ("v", "Bound", "10Gi")
    assert (volume.spec.claim_ref.uid, volume.status.phase) == (claim.metadata.uid, "Bound")
    assert not cluster.run(PersistentVolumeClaim, volume_binding.plan, "default/data")
    assert not cluster.run(PersistentVolume, volume_reclaim.plan, "v")


def test_a_volume_that_the_claim_names_is_bound():
    cluster = settled(a_claim(volume_name="b"), a_volume("a"), a_volume("b"))

    assert [volume.status.phase for volume in cluster.list(PersistentVolume)] == ["Available", "Bound"]


def test_without_a_volume_the_claim_waits_and_says_so():
    claim = a_claim()

    (event,) = volume_binding.plan(claim, World(claim))

    assert event.reason == "FailedBinding"


def test_a_claim_that_waits_for_its_consumer_gets_a_volume_where_that_one_runs():
    claim = a_claim(storage_class_name="local")
    kind = an_object(
        StorageClass,
        "local",
        api_version="storage.k8s.io/v1",
        fields={"provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"},
    )
    volumes = [a_volume(f"on-{node}", storage_class_name="local", **on_node(node)) for node in ("n1", "n2")]
    pod = a_pod(node="n2", volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}])
    nodes = a_node("n1"), a_node("n2")

    (waiting,) = volume_binding.plan(claim, World(claim, kind, *volumes, *nodes))
    cluster = settled(claim, kind, *volumes, *nodes, pod)

    assert isinstance(waiting, Event)
    assert waiting.reason == "WaitForFirstConsumer"
    assert cluster.get(PersistentVolumeClaim, "default/data").spec.volume_name == "on-n2"
    assert list(volume_binding.claims_of(pod, World())) == ["default/data"]


def test_a_claim_whose_volume_is_gone_is_lost():
    claim = a_claim(volume_name="v", annotations={"pv.kubernetes.io/bind-completed": "yes"}, status={"phase": "Bound"})

    told, event = volume_binding.plan(claim, World(claim))

    assert (told.obj.status.phase, event.reason, event.type) == ("Lost", "ClaimLost", "Warning")


def a_released(policy, since):
    reference = {"namespace": "default", "name": "data", "uid": "an-earlier-life"}
    status = {"phase": "Released", "lastPhaseTransitionTime": since}
    return a_volume("v", claimRef=reference, persistent_volume_reclaim_policy=policy, status=status)


def test_a_volume_whose_claim_is_gone_is_released():
    cluster = settled(a_claim(), a_volume("v"))
    cluster.remove(cluster.get(PersistentVolumeClaim, "default/data"))

    cluster.run(PersistentVolume, volume_reclaim.plan, "v")

    assert cluster.get(PersistentVolume, "v").status.phase == "Released"


def test_a_released_volume_is_kept_or_deleted_as_its_policy_says():
    old, young = NOW - timedelta(seconds=5), NOW - timedelta(seconds=2)
    kept, going, waiting = a_released("Retain", old), a_released("Delete", old), a_released("Delete", young)

    assert [list(volume_reclaim.plan(volume, World(volume, a_claim()))) for volume in (kept, going, waiting)] == [
        [],
        [Delete(going)],
        [CheckAgain(3)],
    ]


def test_a_released_volume_is_not_given_to_the_next_claim_of_that_name():
    assert chosen(a_claim(), a_released("Retain", NOW)) is None


def test_claims_that_might_want_a_free_volume_are_woken():
    claim, other = a_claim(), an_object(PersistentVolumeClaim, "other", storage_class_name="fast")
    world = World(claim, other)

    assert list(volume_binding.claims_on(a_volume("v"), world)) == [claim.key]
    assert list(volume_binding.claims_on(a_volume("v", claim="other"), world)) == [other.key]
