"""Claims of pods in a whole cluster: scheduler, controllers and nodes together, in virtual time."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from wherry.api.core.persistent_volume import PersistentVolume, PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.events.event import Event
from wherry.api.storage.storage_class import StorageClass
from wherry.machinery.errors import Forbidden
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.network import Faults
from wherry.sim.virtual_time import in_virtual_time, run


def a_claim(name="data", size="1Gi", **spec):
    spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": size}}, **spec}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def a_consumer(name="web", claim="data", **spec):
    volumes = [{"name": "d", "persistentVolumeClaim": {"claimName": claim}}]
    spec = {"containers": [{"name": "app", "image": "app:1"}], "volumes": volumes, **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def a_class(name, provisioner="wherry.dev/local-path", **fields):
    return {
        "apiVersion": "storage.k8s.io/v1",
        "kind": "StorageClass",
        "metadata": {"name": name},
        "provisioner": provisioner,
        **fields,
    }


@asynccontextmanager
async def a_cluster(**settings):
    """At rest: every namespace has its service account."""
    async with SimulatedCluster(**settings) as cluster:
        await cluster.settle()
        yield cluster


async def claim_of(cluster, name="data"):
    return await cluster.admin.get(PersistentVolumeClaim, name, "default")


async def reasons(cluster, about):
    events = (await cluster.admin.list(Event, "default")).items
    return {event.reason for event in events if event.about.name == about}


@in_virtual_time
async def test_a_claim_without_a_class_gets_a_folder_where_its_first_pod_goes():
    async with a_cluster(nodes=3) as cluster:
        await cluster.admin.create(a_claim())
        await cluster.settle()
        waiting = await claim_of(cluster)
        await cluster.admin.create(a_consumer())
        await cluster.settle()
        claim, pod = await claim_of(cluster), await cluster.admin.get(Pod, "web", "default")
        volume = await cluster.admin.get(PersistentVolume, claim.spec.volume_name)

        assert (waiting.status.phase, waiting.spec.storage_class_name) == ("Pending", "local-path")
        assert (claim.status.phase, volume.status.phase, pod.status.ready) == ("Bound", "Bound", True)
        assert volume.metadata.annotations["wherry.dev/node"] == pod.spec.node_name
        waits, made = {"WaitForFirstConsumer", "WaitForPodScheduled"}, {"Provisioning", "ProvisioningSucceeded"}
        assert await reasons(cluster, "data") == waits | made | {"ExternalProvisioning"}


@in_virtual_time
async def test_published_manifests_bind_once_their_class_is_mapped():
    async with a_cluster(nodes=2) as cluster:
        await cluster.admin.create(a_claim(storageClassName="rook-ceph-block"))
        await cluster.admin.create(a_consumer())
        await cluster.settle()
        before = await claim_of(cluster)
        await cluster.admin.create(a_class("rook-ceph-block"))
        await cluster.settle()

        assert (before.status.phase, (await claim_of(cluster)).status.phase) == ("Pending", "Bound")
        assert (await cluster.admin.get(Pod, "web", "default")).status.ready


@in_virtual_time
async def test_pods_that_share_a_claim_run_on_one_node():
    async with a_cluster(nodes=3) as cluster:
        await cluster.admin.create(a_claim())
        for number in range(6):
            await cluster.admin.create(a_consumer(f"web-{number}"))
        await cluster.settle()

        pods = (await cluster.admin.list(Pod, "default")).items
        assert all(pod.status.ready for pod in pods)
        assert len({pod.spec.node_name for pod in pods}) == 1


@in_virtual_time
async def test_a_claim_goes_when_its_last_pod_does_and_takes_its_volume_along():
    async with a_cluster(nodes=1) as cluster:
        await cluster.admin.create(a_claim())
        await cluster.admin.create(a_consumer())
        await cluster.settle()
        await cluster.admin.delete(PersistentVolumeClaim, "data", "default")
        await cluster.settle()
        held = await claim_of(cluster)
        await cluster.admin.delete(Pod, "web", "default")
        await cluster.settle(20)

        assert held.metadata.deleted_at is not None
        assert [(await cluster.admin.list(kind, "")).items for kind in (PersistentVolumeClaim, PersistentVolume)] == [
            [],
            [],
        ]


@in_virtual_time
async def test_a_claim_grows_where_its_class_says_so():
    async with a_cluster(nodes=1) as cluster:
        await cluster.admin.create(a_class("fixed"))
        more = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
        for name, kind in (("data", "local-path"), ("fixed", "fixed")):
            await cluster.admin.create(a_claim(name, storageClassName=kind))
            await cluster.admin.create(a_consumer(name, name))
        await cluster.settle()
        await cluster.admin.patch(PersistentVolumeClaim, "data", "default", more)
        with pytest.raises(Forbidden, match="only dynamically provisioned pvc can be resized and the storageclass"):
            await cluster.admin.patch(PersistentVolumeClaim, "fixed", "default", more)
        await cluster.settle()

        assert str((await claim_of(cluster)).status.capacity["storage"]) == "2Gi"


@in_virtual_time
async def test_a_pod_whose_volume_nobody_makes_keeps_no_other_from_its_node():
    async with a_cluster(nodes=1) as cluster:
        await cluster.admin.create(a_class("slow", "disks.example.com", volumeBindingMode="WaitForFirstConsumer"))
        for number in range(60):
            await cluster.admin.create(a_claim(f"slow-{number}", storageClassName="slow"))
            await cluster.admin.create(a_consumer(f"slow-{number}", f"slow-{number}"))
        await cluster.admin.create(a_claim())
        await cluster.admin.create(a_consumer())
        await asyncio.sleep(20)
        assert (await cluster.admin.get(Pod, "web", "default")).status.ready
        await asyncio.sleep(620)

        assert "FailedScheduling" in await reasons(cluster, "slow-0")
        assert await cluster.admin.get(StorageClass, "slow")


@pytest.mark.parametrize("seed", range(3))
def test_every_claim_gets_exactly_one_volume_whatever_is_lost(seed):
    async def story():
        async with a_cluster(nodes=2, faults=Faults(lose_requests=0.1, lose_answers=0.1)) as cluster:
            for number in range(8):
                await cluster.admin.create(a_claim(f"data-{number}"))
                await cluster.admin.create(a_consumer(f"web-{number}", f"data-{number}"))
                if number == 4:
                    cluster.scheduler.kill()
                    cluster.controllers.kill()
                    cluster.scheduler.start()
                    cluster.controllers.start()
            await cluster.settle()
            pods, volumes = [(await cluster.admin.list(kind, "")).items for kind in (Pod, PersistentVolume)]
            assert [pod.status.ready for pod in pods] == [True] * 8
            assert len(volumes) == len({volume.spec.claim_ref.name for volume in volumes}) == 8

    run(story(), seed=seed)
