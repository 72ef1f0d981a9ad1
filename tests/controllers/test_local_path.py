"""Volumes of the built-in provisioner: made where the scheduler chose, named after their claim, grown on request."""

import pytest
from make import a_node
from storage import a_claim, a_class, a_volume, on_node

from controllers.volumes import local_path, volume_expansion
from controllers.volumes.local_path import volume_for, volume_name, waiting_claims, which_node
from wherry.api.core.node import Node
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.client.controller import controller_named
from wherry.client.plan import CheckAgain, Create, Event, SetStatus, Update
from wherry.client.world import World

OURS = "wherry.dev/local-path"
BY = "volume.kubernetes.io/storage-provisioner"
SELECTED = "volume.kubernetes.io/selected-node"


def asking(**more):
    marks = {BY: OURS, **more.pop("annotations", {})}
    return a_claim(storage_class_name="local-path", annotations=marks, **more)


def node_at(name, folder="/data/local-path", **more):
    return a_node(name, annotations={"wherry.dev/local-path-folder": folder}, **more)


def done(claim, *objects):
    """The plan's actions, of events the reason."""
    actions = local_path.plan(claim, World(claim, a_class("local-path"), *objects))
    return [action.reason if isinstance(action, Event) else action for action in actions]


def test_the_volume_is_a_folder_of_the_node_that_was_chosen():
    claim, node = asking(annotations={SELECTED: "n2"}), node_at("n2", labels={"kubernetes.io/hostname": "host-2"})

    created = Create(volume_for(claim, a_class("local-path"), node))
    assert done(claim, node_at("n1"), node) == ["Provisioning", created, "ProvisioningSucceeded"]

    volume = PersistentVolume.read(created.manifest)
    path = f"/data/local-path/{volume_name(claim)}_default_data"
    assert (volume.spec.host_path.path, volume.spec.host_path.type) == (path, "DirectoryOrCreate")
    assert volume.spec.node_affinity.required.node_selector_terms[0].match_expressions[0].values == ("host-2",)
    assert (volume.spec.claim_ref.uid, str(volume.spec.capacity["storage"])) == (claim.metadata.uid, "5Gi")
    assert not list(volume.validate(None))


def test_the_folder_of_a_claim_with_a_long_name_has_a_name_that_file_systems_take():
    claim = asking(name="d" * 253, namespace="n" * 63, uid="1-2", annotations={SELECTED: "n1"})

    path = volume_for(claim, a_class("local-path"), node_at("n1"))["spec"]["hostPath"]["path"]

    folder = path.rpartition("/")[2]
    assert (len(folder.encode()), folder.partition("_")[0]) == (255, volume_name(claim))


def test_of_a_class_that_binds_at_once_the_volume_goes_where_the_fewest_are():
    claim, elsewhere = asking(), a_volume("v", annotations={"wherry.dev/node": "a"})
    unfit = (
        node_at("0", ready=False),
        node_at("1", unschedulable=True),
        node_at("2", taints=[{"key": "k", "effect": "NoExecute"}]),
    )

    _, created, _ = done(claim, elsewhere, node_at("a"), node_at("b"), *unfit)

    assert created.manifest["metadata"]["annotations"]["wherry.dev/node"] == "b"


def test_without_any_node_people_are_told_and_it_is_tried_again():
    assert done(asking()) == ["ProvisioningFailed", CheckAgain(15.0)]


def test_when_the_chosen_node_is_gone_the_scheduler_chooses_again():
    claim = asking(annotations={SELECTED: "gone"})

    assert done(claim) == ["ProvisioningFailed", Update(claim, {"metadata": {"annotations": {SELECTED: None}}})]
    assert list(waiting_claims(a_node("gone"), World(claim))) == [claim.key]


def test_heartbeats_of_nodes_wake_no_claims():
    before = a_node("n1", uid="1", conditions=[{"type": "Ready", "status": "True", "lastHeartbeatTime": None}])
    after = a_node("n1", uid="1", labels={"a": "b"})

    assert which_node(before) == which_node(after) != which_node(a_node("n1", uid="2"))
    assert controller_named("local_path").notices == {Node: which_node}


@pytest.mark.parametrize(
    "claim",
    [
        a_claim(storage_class_name="local-path"),
        a_claim(storage_class_name="local-path", annotations={BY: "disks.example.com"}),
        a_claim(storage_class_name="another", annotations={BY: OURS}),
        asking(volume_name="v"),
        asking(deleted=True),
    ],
    ids=["nobody asked", "somebody else was asked", "no such class", "bound", "going"],
)
def test_nothing_is_made_that_was_not_asked_for(claim):
    assert done(claim, node_at("n1")) == []


def test_a_claim_never_gets_a_second_volume():
    claim = asking()

    assert done(claim, node_at("n1"), a_volume(volume_name(claim), **on_node("n1"))) == []


def test_a_folder_is_no_block_device():
    assert done(asking(volume_mode="Block"), node_at("n1")) == ["ProvisioningFailed"]


def a_bound(size, provisioner=OURS):
    claim = a_claim(size, volume_name="v", status={"phase": "Bound", "capacity": {"storage": "5Gi"}})
    volume = a_volume("v", "5Gi", claim="data", annotations={"pv.kubernetes.io/provisioned-by": provisioner})
    return claim, volume


def test_a_claim_that_asks_for_more_gets_it():
    claim, volume = a_bound("8Gi")

    *actions, status, told = volume_expansion.plan(claim, World(claim, volume))

    assert actions[1] == Update(volume, {"spec": {"capacity": {"storage": "8Gi"}}})
    assert isinstance(status, SetStatus)
    assert (str(status.obj.status.capacity["storage"]), told.reason) == ("8Gi", "VolumeResizeSuccessful")


def test_volumes_of_others_are_theirs_to_expand():
    claim, volume = a_bound("8Gi", "disks.example.com")

    (event,) = volume_expansion.plan(claim, World(claim, volume))

    assert (event.reason, event.message) == (
        "ExternalExpanding",
        "waiting for an external controller to expand this PVC",
    )


def test_a_claim_that_has_what_it_asks_for_is_left_alone():
    claim, volume = a_bound("5Gi")

    assert list(volume_expansion.plan(claim, World(claim, volume))) == []
