"""When a node dies, in virtual time: how long each step takes, with Kubernetes' timers and with those for lessons."""

import asyncio

import pytest
from make import a_deployment
from test_in_a_cluster import manifest

from wherry.api.coordination.node_loss import FAST, KUBERNETES
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.meta import find_condition
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.virtual_time import run

WEB = manifest(a_deployment("web", replicas=6))


class Clock:
    """Seconds since the node was cut off."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._begun_at = self._loop.time()

    async def until(self, holds, within: float) -> float:
        """When it came true, to half a second."""
        while not await holds():
            if self.passed > within:
                raise TimeoutError(f"not after {within} s")
            await asyncio.sleep(0.5)
        return self.passed

    @property
    def passed(self) -> float:
        return self._loop.time() - self._begun_at


async def pods(cluster):
    return (await cluster.admin.list(Pod, "default")).items


async def is_down(cluster, name):
    ready = find_condition((await cluster.admin.get(Node, name)).status.conditions, "Ready")
    return ready is not None and ready.status == "Unknown"


async def all_are_elsewhere(cluster, name):
    ready = [pod for pod in await pods(cluster) if pod.status.ready and pod.spec.node_name != name]
    return len(ready) == 6


@pytest.mark.parametrize(
    ("timers", "noticed", "moved"), [(KUBERNETES, (40, 51), (340, 353)), (FAST, (3, 5), (8, 15))], ids=["usual", "fast"]
)
@pytest.mark.parametrize("seed", range(3))
def test_a_dead_node_is_noticed_and_its_pods_are_moved_in_time(timers, noticed, moved, seed):
    async def story():
        async with SimulatedCluster(nodes=3, node_loss=timers) as cluster:
            await cluster.settle()
            await cluster.admin.create(WEB)
            await cluster.settle()
            cluster.nodes["node-2"].kill()
            clock = Clock()
            seen = await clock.until(lambda: is_down(cluster, "node-2"), 60)
            gone = await clock.until(lambda: all_are_elsewhere(cluster, "node-2"), 400)
            assert noticed[0] <= seen <= noticed[1]
            assert moved[0] <= gone <= moved[1]

            cluster.nodes["node-2"].start()
            await cluster.settle()
            left = await pods(cluster)
            assert (len(left), {pod.status.phase for pod in left}) == (6, {"Running"})

    run(story(), seed=seed)


@pytest.mark.parametrize("timers", [KUBERNETES, FAST], ids=["usual", "fast"])
def test_when_all_nodes_fall_silent_at_once_no_pod_is_lost(timers):
    async def story():
        async with SimulatedCluster(nodes=4, node_loss=timers) as cluster:
            await cluster.settle()
            await cluster.admin.create(WEB)
            await cluster.settle()
            before = {pod.metadata.uid for pod in await pods(cluster)}
            for node in cluster.nodes.values():
                node.kill()
            await asyncio.sleep(900)
            assert {pod.metadata.uid for pod in await pods(cluster) if not pod.metadata.deleted_at} == before
            for node in cluster.nodes.values():
                node.start()
            await cluster.settle()
            assert {pod.metadata.uid for pod in await pods(cluster) if pod.status.ready} == before

    run(story(), seed=1)


def test_of_many_dead_nodes_one_after_the_other_is_emptied():
    async def story():
        async with SimulatedCluster(nodes=10, node_loss=FAST) as cluster:
            await cluster.settle()
            for name in ("node-2", "node-3", "node-4"):
                cluster.nodes[name].kill()
            await asyncio.sleep(60)
            marks = [
                taint.time_added
                for node in (await cluster.admin.list(Node, "")).items
                for taint in node.spec.taints
                if taint.effect == "NoExecute"
            ]
            first, second, third = sorted(marks)
            assert 10 <= (second - first).total_seconds() <= 13
            assert 10 <= (third - second).total_seconds() <= 13

    run(story(), seed=1)


def test_pods_of_a_node_that_is_out_of_service_are_gone_without_it():
    async def story():
        async with SimulatedCluster(nodes=2, node_loss=FAST) as cluster:
            await cluster.settle()
            await cluster.admin.create(WEB)
            await cluster.settle()
            cluster.nodes["node-2"].kill()
            await asyncio.sleep(60)
            stuck = [pod for pod in await pods(cluster) if pod.metadata.deleted_at]
            taints = (await cluster.admin.get(Node, "node-2")).spec.taints
            mark = {"key": "node.kubernetes.io/out-of-service", "value": "nodeshutdown", "effect": "NoExecute"}
            patch = {"spec": {"taints": [*(taint.to_wire() for taint in taints), mark]}}
            await cluster.admin.patch(Node, "node-2", "", patch)
            await asyncio.sleep(30)

            assert len(stuck) == 3
            assert {pod.spec.node_name for pod in await pods(cluster)} == {"node-1"}

    run(story(), seed=1)
