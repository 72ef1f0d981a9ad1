"""Claims stay while pods have them mounted, volumes while claims are bound to them."""

from datetime import timedelta

import pytest
from make import NOW, a_node, a_pod
from storage import a_claim, a_volume

from controllers.volumes import claim_protection, volume_protection, volume_reclaim
from wherry.client.plan import CheckAgain, Update
from wherry.client.world import World

MOUNTED = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]
CLAIM, VOLUME = "kubernetes.io/pvc-protection", "kubernetes.io/pv-protection"
FOLDER = "wherry.dev/local-path-folder"


def finalizers(obj, *names):
    return [Update(obj, {"metadata": {"finalizers": list(names)}})]


def test_claims_and_volumes_from_before_get_their_finalizers():
    claim, volume = a_claim(finalizers=["mine"]), a_volume("v")

    assert list(claim_protection.plan(claim, World(claim))) == finalizers(claim, "mine", CLAIM)
    assert list(volume_protection.plan(volume, World(volume))) == finalizers(volume, VOLUME)


@pytest.mark.parametrize(
    ("pod", "is_kept"),
    [
        (a_pod(node="n1", volumes=MOUNTED), True),
        (a_pod(node="n1", volumes=MOUNTED, phase="Succeeded"), True),
        (a_pod(volumes=MOUNTED), False),
        (a_pod(node="n1"), False),
        (a_pod(node="n1", volumes=MOUNTED, namespace="other"), False),
    ],
    ids=["mounted", "finished", "not placed", "other volumes", "elsewhere"],
)
def test_a_claim_that_is_going_stays_while_a_pod_on_a_node_has_it(pod, is_kept):
    claim = a_claim(deleted=NOW - timedelta(seconds=3), finalizers=["mine", CLAIM])

    assert list(claim_protection.plan(claim, World(claim, pod))) == ([] if is_kept else finalizers(claim, "mine"))


@pytest.mark.parametrize(("seconds", "wait"), [(0, 3.0), (2, 1.0)])
def test_a_claim_just_deleted_stays_until_pods_that_just_came_are_known(seconds, wait):
    claim = a_claim(deleted=NOW - timedelta(seconds=seconds), finalizers=[CLAIM])

    assert list(claim_protection.plan(claim, World(claim))) == [CheckAgain(wait)]
    assert list(claim_protection.plan(claim, World(claim, a_pod(node="n1", volumes=MOUNTED)))) == []


def test_an_ephemeral_volume_has_a_claim_named_after_its_pod():
    pod = a_pod("data", node="n1", volumes=[{"name": "scratch", "ephemeral": {}}])

    assert list(claim_protection.claims_of(pod, World())) == ["default/data-scratch"]


@pytest.mark.parametrize("phase", ["Bound", "Released"])
def test_a_volume_that_is_going_stays_while_a_claim_is_bound_to_it(phase):
    claim = a_claim()
    reference = {"namespace": "default", "name": "data", "uid": claim.metadata.uid}
    volume = a_volume("v", deleted=True, finalizers=[VOLUME], claimRef=reference, status={"phase": phase})

    expected = [] if phase == "Bound" else finalizers(volume)
    assert list(volume_protection.plan(volume, World(volume, claim))) == expected


def test_a_volume_whose_claim_is_gone_need_not_wait_to_be_told_released():
    reference = {"namespace": "default", "name": "data", "uid": "u"}
    volume = a_volume("v", deleted=True, finalizers=[VOLUME], claimRef=reference, status={"phase": "Bound"})

    assert list(volume_protection.plan(volume, World(volume))) == finalizers(volume)


def test_the_folder_of_a_node_that_is_gone_is_gone_with_it():
    volume = a_volume("v", deleted=True, finalizers=[FOLDER, VOLUME], annotations={"wherry.dev/node": "n1"})

    assert list(volume_reclaim.plan(volume, World(volume, a_node("n1")))) == []
    assert list(volume_reclaim.plan(volume, World(volume))) == finalizers(volume, VOLUME)
    assert list(volume_reclaim.volumes_on(a_node("n1"), World(volume))) == ["v"]
    assert list(volume_reclaim.volumes_on(a_node("n1"), World(volume, a_node("n1")))) == []
