"""Volumes that are folders of the node: made for the first pod that mounts them, removed with their object."""

import asyncio
import os
from pathlib import Path

import pytest

from kubelet.serving.disks import disks_of, of_claims
from kubelet.supplies.local_volumes import LocalVolumes
from tests.kubelet.nodes import a_manifest, a_node
from wherry.api.core.node import Node
from wherry.api.core.persistent_volume import PersistentVolume, PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.storage.provisioning import FOLDER, FOLDER_EXISTS
from wherry.machinery.errors import Forbidden, NotFound
from wherry.sim.virtual_time import in_virtual_time

CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data", "namespace": "default"},
    "spec": {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "volumeName": "pvc-1",
        "storageClassName": "local-path",
    },
}
MOUNTS = [{"name": "d", "persistentVolumeClaim": {"claimName": "data"}}]


def a_volume(folder: Path, *, node="n1", policy="Delete", at="pvc-1_default_data"):
    hostname = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    marks = {"pv.kubernetes.io/provisioned-by": "wherry.dev/local-path", "wherry.dev/node": node}
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteOnce"],
        "persistentVolumeReclaimPolicy": policy,
        "storageClassName": "local-path",
        "claimRef": {"kind": "PersistentVolumeClaim", "namespace": "default", "name": "data"},
        "hostPath": {"path": str(folder / at), "type": "DirectoryOrCreate"},
        "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [hostname]}]}},
    }
    metadata = {"name": "pvc-1", "annotations": marks}
    return {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": metadata, "spec": spec}


async def mounted(node, **more):
    """A pod runs with the volume; gives the volume's folder."""
    folder = node.folder / "local-path"
    await node.admin.create(a_volume(folder, **more))
    await node.admin.create(CLAIM)
    bound = {"status": {"phase": "Bound"}}
    await node.admin.patch(PersistentVolumeClaim, "data", "default", bound, subresource="status")
    await node.create(a_manifest("web", volumes=MOUNTS))
    await node.until("web", lambda pod: pod.status.ready)
    return folder / "pvc-1_default_data"


async def released(node):
    """Nobody needs the volume any more, and its object is deleted."""
    await node.admin.delete(Pod, "web", "default", grace_seconds=0)
    await given_up(node)


async def given_up(node):
    """The volume's object is deleted, whoever needs the volume."""
    await node.admin.delete(PersistentVolume, "pvc-1")
    held = {"metadata": {"$deleteFromPrimitiveList/finalizers": ["kubernetes.io/pv-protection"]}}
    await node.admin.patch(PersistentVolume, "pvc-1", "", held, type="strategic")
    await asyncio.sleep(3)


@in_virtual_time
async def test_a_node_says_where_it_keeps_volumes(tmp_path: Path):
    async with a_node(tmp_path) as node:
        await asyncio.sleep(1)
        found = await node.admin.get(Node, "n1")

    assert found.metadata.annotations[FOLDER] == str(tmp_path / "local-path")


@in_virtual_time
async def test_a_folder_everybody_may_write_into_is_made_and_holds_the_object(tmp_path: Path):
    async with a_node(tmp_path) as node:
        path = await mounted(node)
        volume = await node.admin.get(PersistentVolume, "pvc-1")

    assert path.stat().st_mode & 0o777 == 0o777
    assert FOLDER_EXISTS in volume.metadata.finalizers


@in_virtual_time
async def test_the_folder_goes_with_the_object(tmp_path: Path):
    async with a_node(tmp_path) as node:
        path = await mounted(node)
        (path / "file").write_text("data")

        await released(node)

        assert not path.exists()
        with pytest.raises(NotFound):
            await node.admin.get(PersistentVolume, "pvc-1")


@in_virtual_time
async def test_a_volume_still_bound_keeps_its_folder(tmp_path: Path):
    async with a_node(tmp_path) as node:
        path = await mounted(node)

        await node.admin.delete(PersistentVolume, "pvc-1")
        await asyncio.sleep(60)

        assert path.exists()


@in_virtual_time
async def test_what_shall_be_retained_stays(tmp_path: Path):
    async with a_node(tmp_path) as node:
        path = await mounted(node, policy="Retain")

        await released(node)

        assert path.exists()
        with pytest.raises(NotFound):
            await node.admin.get(PersistentVolume, "pvc-1")


@in_virtual_time
async def test_a_new_kubelet_removes_what_an_earlier_one_made(tmp_path: Path):
    async with a_node(tmp_path) as node:
        path = await mounted(node)
        await node.crash()
        await released(node)
        assert path.exists()

        await node.start()
        await asyncio.sleep(3)

        assert not path.exists()


@in_virtual_time
@pytest.mark.parametrize("is_restarted", [False, True])
async def test_a_folder_stays_while_a_pod_uses_it_even_if_the_object_is_let_go(tmp_path: Path, is_restarted):
    async with a_node(tmp_path) as node:
        path = await mounted(node)
        if is_restarted:
            await node.crash()
            await node.start()

        await given_up(node)
        await asyncio.sleep(60)
        assert path.exists()

        await node.admin.delete(Pod, "web", "default", grace_seconds=0)
        await asyncio.sleep(90)
        assert not path.exists()


@in_virtual_time
async def test_a_node_tells_how_full_the_disk_of_a_claim_is(tmp_path: Path):
    async with a_node(tmp_path) as node:
        path = await mounted(node)
        disks = [disk for charge in node.kubelet.charges() for disk in disks_of(charge)]
        size = os.statvfs(path)

    capacity = size.f_blocks * size.f_frsize
    told = {sample.name: (sample.labels, sample.value) for family in of_claims(disks) for sample in family.samples}
    claim = {"namespace": "default", "persistentvolumeclaim": "data"}
    assert told["kubelet_volume_stats_capacity_bytes"] == (claim, capacity)
    assert told["kubelet_volume_stats_inodes"] == (claim, size.f_files)
    [shown] = [disk.shown("now") for disk in disks]
    assert (shown["name"], shown["pvcRef"]) == ("d", {"name": "data", "namespace": "default"})
    assert 0 < shown["usedBytes"] <= capacity - shown["availableBytes"]


@in_virtual_time
async def test_a_folder_that_people_say_late_shall_be_retained_stays(tmp_path: Path):
    async with a_node(tmp_path) as node:
        path = await mounted(node)
        await given_up(node)

        await node.admin.patch(PersistentVolume, "pvc-1", "", {"spec": {"persistentVolumeReclaimPolicy": "Retain"}})
        await asyncio.sleep(90)

        assert path.exists()
        with pytest.raises(NotFound):
            await node.admin.get(PersistentVolume, "pvc-1")


@in_virtual_time
async def test_a_folder_whose_object_is_gone_is_not_followed(tmp_path: Path):
    (tmp_path / "local-path" / "pvc-9_default_data").mkdir(parents=True)
    async with a_node(tmp_path) as node:
        await mounted(node)
        await node.crash()
        await node.start()
        await asyncio.sleep(3)

        assert list(node.kubelet._host.local_volumes._followed) == ["pvc-1"]


@in_virtual_time
@pytest.mark.parametrize("volume", [{"at": "../pods"}, {"at": "pvc-2_default_data"}, {"node": "n2"}])
async def test_folders_of_others_are_left_to_them(tmp_path: Path, volume):
    folder = tmp_path / "local-path"
    volumes = LocalVolumes(None, folder, "n1", asyncio.ensure_future, lambda *_: False)  # type: ignore[arg-type]

    await volumes.make(PersistentVolume.read(a_volume(folder, **volume)))

    assert not folder.exists()


@in_virtual_time
async def test_a_node_may_mark_its_volumes_and_nothing_else(tmp_path: Path):
    async with a_node(tmp_path) as node:
        await node.admin.create(a_volume(tmp_path / "local-path"))
        await node.admin.create(
            {**a_volume(tmp_path, node="n2"), "metadata": {"name": "other", "annotations": {"wherry.dev/node": "n2"}}}
        )
        kubelet = node.kubelet._client
        mark = {"metadata": {"finalizers": [FOLDER_EXISTS]}}

        await kubelet.patch(PersistentVolume, "pvc-1", "", mark, type="strategic")
        with pytest.raises(Forbidden, match="may only add or remove the finalizer"):
            await kubelet.patch(PersistentVolume, "pvc-1", "", {"metadata": {"labels": {"a": "b"}}})
        with pytest.raises(Forbidden):
            await kubelet.patch(PersistentVolume, "other", "", mark, type="strategic")
