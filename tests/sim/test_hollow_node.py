"""Nodes without machines: what they say of their pods."""

import asyncio

from wherry.api.core.pod import Pod
from wherry.machinery.errors import NotFound
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.virtual_time import in_virtual_time


def a_pod(name: str, image: str = "web") -> dict[str, object]:
    spec = {"nodeName": "node-1", "containers": [{"name": "app", "image": image}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


async def pod(cluster: SimulatedCluster, name: str) -> Pod:
    return await cluster.admin.get(Pod, name, "default")


@in_virtual_time
async def test_pods_take_their_time_to_start_and_have_addresses_of_their_own():
    async with SimulatedCluster(nodes=1) as cluster:
        await cluster.settle()
        for name in ("a", "b"):
            await cluster.admin.create(a_pod(name))
        await asyncio.sleep(0.9)
        early = await pod(cluster, "a")
        await asyncio.sleep(0.2)
        a, b = await pod(cluster, "a"), await pod(cluster, "b")

        assert (early.status.phase, a.status.phase, a.status.ready) == ("Pending", "Running", True)
        assert {a.status.pod_ip, b.status.pod_ip} == {"10.128.1.1", "10.128.1.2"}


@in_virtual_time
async def test_a_pod_without_its_image_waits():
    async with SimulatedCluster(nodes=1) as cluster:
        await cluster.settle()
        await cluster.admin.create(a_pod("a", image="missing"))
        await cluster.settle()
        status = (await pod(cluster, "a")).status

        assert (status.phase, status.ready) == ("Pending", False)
        assert status.container_statuses[0].state.waiting.reason == "ImagePullBackOff"


@in_virtual_time
async def test_a_deleted_pod_is_gone_when_it_has_stopped():
    async with SimulatedCluster(nodes=1) as cluster:
        await cluster.settle()
        await cluster.admin.create(a_pod("a"))
        await cluster.settle()
        await cluster.admin.delete(Pod, "a", "default")
        await asyncio.sleep(0.4)
        stopping = await pod(cluster, "a")
        await asyncio.sleep(0.2)

        assert stopping.metadata.deleted_at is not None
        assert await is_gone(cluster, "a")


async def is_gone(cluster: SimulatedCluster, name: str) -> bool:
    try:
        await pod(cluster, name)
    except NotFound:
        return True
    return False


@in_virtual_time
async def test_a_node_that_comes_back_keeps_its_pods_as_they_were():
    async with SimulatedCluster(nodes=1) as cluster:
        await cluster.settle()
        await cluster.admin.create(a_pod("a"))
        await cluster.settle()
        before = await pod(cluster, "a")
        cluster.nodes["node-1"].kill()
        cluster.nodes["node-1"].start()
        await cluster.settle()

        assert await pod(cluster, "a") == before
