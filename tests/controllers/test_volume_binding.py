"""Claims find volumes that are there, and volumes know whose they are."""

from datetime import timedelta

import pytest
from make import NOW, a_node, a_pod, an_object
from simulated import Cluster
from storage import a_claim, a_class, a_volume, a_waiting_class, on_node

from controllers.volumes import volume_binding, volume_reclaim
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.storage.volume_matching import best_volume, is_reachable
from wherry.client.plan import CheckAgain, Delete, Update
from wherry.client.world import World


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


def told(claim, *objects):
    """What the plan of a claim tells people."""
    (event,) = volume_binding.plan(claim, World(claim, *objects))
    return event.type, event.reason, event.message


def test_without_a_volume_the_claim_waits_and_says_so():
    why = "no persistent volumes available for this claim and no storage class is set"

    assert told(a_claim()) == ("Normal", "FailedBinding", why)


def test_a_class_that_does_not_exist_is_named_and_waited_for():
    claim, other = a_claim(storage_class_name="fast"), an_object(PersistentVolumeClaim, "other")

    assert told(claim) == ("Warning", "ProvisioningFailed", 'storageclass.storage.k8s.io "fast" not found')
    assert list(volume_binding.claims_for(a_class("fast"), World(claim, other))) == [claim.key, other.key]
    assert list(volume_binding.claims_for(a_class("slow"), World(claim, other))) == [other.key]


def test_a_class_that_makes_no_volumes_says_so():
    none = a_class("manual", provisioner="kubernetes.io/no-provisioner")
    why = "no volume plugin matched name: kubernetes.io/no-provisioner"

    assert told(a_claim(storage_class_name="manual"), none) == ("Warning", "ProvisioningFailed", why)


def test_who_shall_make_the_volume_is_written_down_and_told():
    claim = a_claim(storage_class_name="fast")

    marked, event = volume_binding.plan(claim, World(claim, a_class("fast", provisioner="disks.example.com")))

    names = ("volume.kubernetes.io/storage-provisioner", "volume.beta.kubernetes.io/storage-provisioner")
    assert marked == Update(claim, {"metadata": {"annotations": dict.fromkeys(names, "disks.example.com")}})
    assert (event.reason, event.message) == (
        "ExternalProvisioning",
        "Waiting for a volume to be created either by the external provisioner 'disks.example.com' or manually by the "
        "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
        "correctly registered.",
    )


def test_a_claim_made_before_there_was_a_default_class_gets_it():
    claim, none = a_claim(), a_claim(storage_class_name="")
    default = a_class("fast", annotations={"storageclass.kubernetes.io/is-default-class": "true"})

    assert list(volume_binding.plan(claim, World(claim, default))) == [
        Update(claim, {"spec": {"storageClassName": "fast"}})
    ]
    assert told(none, default)[1] == "FailedBinding"


def test_a_claim_that_waits_for_its_consumer_waits_for_the_scheduler():
    claim, kind = a_claim(storage_class_name="local"), a_waiting_class("local", "kubernetes.io/no-provisioner")
    volumes = [a_volume(f"on-{node}", storage_class_name="local", **on_node(node)) for node in ("n1", "n2")]
    pod = a_pod("web", volumes=[{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}])

    assert told(claim, kind, *volumes) == (
        "Normal",
        "WaitForFirstConsumer",
        "waiting for first consumer to be created before binding",
    )
    assert told(claim, kind, *volumes, pod)[1:] == ("WaitForPodScheduled", "waiting for pod web to be scheduled")
    assert list(volume_binding.claims_of(pod, World())) == ["default/data"]


def test_the_volume_that_the_scheduler_set_aside_is_bound():
    claim, kind = a_claim(storage_class_name="local"), a_waiting_class("local", "kubernetes.io/no-provisioner")
    volumes = [a_volume("a", storage_class_name="local"), a_volume("b", storage_class_name="local", claim="data")]

    cluster = settled(claim, kind, *volumes)

    assert cluster.get(PersistentVolumeClaim, "default/data").spec.volume_name == "b"


def test_a_claim_whose_volume_is_gone_is_lost():
    claim = a_claim(volume_name="v", annotations={"pv.kubernetes.io/bind-completed": "yes"}, status={"phase": "Bound"})

    lost, event = volume_binding.plan(claim, World(claim))

    assert (lost.obj.status.phase, event.reason, event.type) == ("Lost", "ClaimLost", "Warning")


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
