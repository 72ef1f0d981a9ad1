"""Two managers: one works, and the other takes over when it dies, stops, is paused or believes another time.

Lease, deadline and retry are Kubernetes' 15, 10 and 2 seconds: a manager that is killed is replaced within 20 s, one
that stops within 1 s.
"""

import asyncio

import pytest
from chaos import a_deployment
from invariants import Invariants

from wherry.api.apps.deployment import Deployment
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.journal import Write
from wherry.sim.part import Part
from wherry.sim.virtual_time import in_virtual_time, run


class Seen(Invariants):
    """The invariants of Deployments, and: never may two managers write."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        super().__init__(cluster.journal)
        self._cluster = cluster
        cluster.journal.subscribe(self._judge_leaders)

    def _judge_leaders(self, write: Write) -> None:
        if len(self._cluster.leading) > 1:
            self.broken.append(f"at {write.at:.3f} several managers may write: {self._cluster.leading}")

    def ready(self) -> int:
        """How many pods serve, by the store itself."""
        conditions = (pod.get("status", {}).get("conditions", ()) for pod in self.pods())
        return sum(any(one["type"] == "Ready" and one["status"] == "True" for one in some) for some in conditions)


def leader_of(cluster: SimulatedCluster) -> Part:
    [identity] = cluster.leading
    return cluster.managers[int(identity.rpartition("-")[2]) - 1]


async def seconds_until_scaled(cluster: SimulatedCluster, replicas: int) -> float:
    """How long it takes until somebody acts on a new size."""
    begun, acted = asyncio.get_running_loop().time(), asyncio.Event()

    def look(write: Write) -> None:
        if write.resource == "replicasets" and write.after and write.after["spec"]["replicas"] == replicas:
            acted.set()

    cluster.journal.subscribe(look)
    await cluster.admin.patch(Deployment, "web", "default", {"spec": {"replicas": replicas}})
    async with asyncio.timeout(60):
        await acted.wait()
    cluster.journal.unsubscribe(look)
    return asyncio.get_running_loop().time() - begun


async def begun(cluster: SimulatedCluster) -> Seen:
    await asyncio.sleep(30)
    seen = Seen(cluster)
    await cluster.admin.create(a_deployment("web", replicas=2))
    await cluster.settle()
    return seen


@in_virtual_time
async def test_a_manager_that_is_killed_is_replaced_within_20_seconds():
    async with SimulatedCluster(managers=2) as cluster:
        seen = await begun(cluster)
        leader_of(cluster).kill()

        assert await seconds_until_scaled(cluster, 3) <= 20
        assert seen.broken == []


@in_virtual_time
async def test_a_manager_that_is_stopped_is_replaced_within_a_second():
    async with SimulatedCluster(managers=2) as cluster:
        seen = await begun(cluster)
        await leader_of(cluster).stop()

        assert await seconds_until_scaled(cluster, 3) <= 1
        assert seen.broken == []


@pytest.mark.parametrize("seed", range(4))
def test_a_leader_that_is_paused_in_the_middle_of_a_roll_out_does_no_harm_when_it_goes_on(seed: int):
    async def story() -> list[str]:
        async with SimulatedCluster(managers=2) as cluster:
            seen, first = await begun(cluster), leader_of(cluster)
            new = a_deployment("web", replicas=4, image="v2")
            await cluster.admin.patch(Deployment, "web", "default", {"spec": new["spec"]})
            await asyncio.sleep(0.01 + 0.013 * seed)
            first.pause()
            await asyncio.sleep(30)
            first.resume()
            await cluster.settle()
            return seen.broken + seen.orphans() + ([] if seen.ready() == 4 else ["not rolled out"])

    assert run(story(), seed=seed) == []


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_clock_that_jumps_makes_no_second_leader_and_no_silent_node(hours: int):
    async def story() -> tuple[list[str], int]:
        async with SimulatedCluster(managers=2) as cluster:
            seen = await begun(cluster)
            waiting = next(manager for manager in cluster.managers if manager is not leader_of(cluster))
            for part in (waiting, leader_of(cluster), cluster.nodes["node-1"]):
                part.set_clock(hours=hours)
                await asyncio.sleep(60)
            return seen.broken, seen.ready()

    assert run(story(), seed=hours + 1) == ([], 2)
