"""A simulated cluster: its parts die and come back, its network loses what it is told to lose, one seed is one run."""

import asyncio

import pytest

from wherry.api.coordination.lease import Lease
from wherry.api.core.config_map import ConfigMap
from wherry.api.core.node import Node
from wherry.api.meta import find_condition
from wherry.machinery.errors import AlreadyExists, Unavailable
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.journal import Write
from wherry.sim.network import Faults
from wherry.sim.part import client_over
from wherry.sim.virtual_time import in_virtual_time, run


def a_config_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}


async def readiness(cluster: SimulatedCluster, node: str) -> str:
    ready = find_condition((await cluster.admin.get(Node, node)).status.conditions, "Ready")
    return ready.status if ready else ""


def history(seed: int) -> list[Write]:
    async def play() -> list[Write]:
        writes: list[Write] = []
        async with SimulatedCluster(nodes=2, faults=Faults(lose_requests=0.2, lose_answers=0.2)) as cluster:
            cluster.journal.subscribe(writes.append)
            await asyncio.sleep(30)
            cluster.controllers.kill()
            cluster.controllers.start()
            await asyncio.sleep(30)
        return writes

    return run(play(), seed=seed)


def test_one_seed_is_one_history_down_to_the_byte():
    assert history(1) == history(1)


def test_another_seed_is_another_history():
    assert history(1) != history(2)


@in_virtual_time
async def test_a_small_world_is_one_of_some_kinds_only():
    async with SimulatedCluster(nodes=1).of(Node, Lease) as cluster:
        await cluster.admin.create(a_config_map("unseen"))
        await cluster.settle()

        assert (await cluster.admin.list(ConfigMap)).items == []
        assert await readiness(cluster, "node-1") == "True"


@in_virtual_time
async def test_what_was_stored_outlives_the_server():
    async with SimulatedCluster(nodes=0) as cluster:
        await cluster.admin.create(a_config_map("kept"))
        cluster.api_server.kill()
        with pytest.raises(Unavailable):
            await cluster.admin.get(ConfigMap, "kept", "default")
        cluster.api_server.start()
        await cluster.api_server.ready()

        assert (await cluster.admin.get(ConfigMap, "kept", "default")).metadata.name == "kept"


@in_virtual_time
async def test_a_killed_node_falls_silent_and_a_started_one_is_heard_again():
    async with SimulatedCluster(nodes=2) as cluster:
        await cluster.settle()
        cluster.nodes["node-1"].kill()
        await asyncio.sleep(60)
        silent = await readiness(cluster, "node-1")
        cluster.nodes["node-1"].start()
        await cluster.settle()

        assert (silent, await readiness(cluster, "node-1")) == ("Unknown", "True")


@in_virtual_time
async def test_a_lost_answer_is_a_write_that_happened():
    async with SimulatedCluster(nodes=0) as cluster:
        client = client_over(cluster.network.transport("x", "system:masters", faults=Faults(lose_answers=1)), "x")
        with pytest.raises(Unavailable):
            await client.create(a_config_map("written"))

        with pytest.raises(AlreadyExists):
            await cluster.admin.create(a_config_map("written"))


@in_virtual_time
async def test_who_is_cut_off_gets_no_answer():
    async with SimulatedCluster(nodes=0) as cluster:
        line = cluster.network.transport("x", "system:masters")
        under_way = asyncio.create_task(client_over(line, "x").create(a_config_map("perhaps")))
        await asyncio.sleep(0)
        line.cut()

        with pytest.raises(Unavailable):
            await under_way


@in_virtual_time
async def test_the_journal_names_who_asked_for_a_write():
    async with SimulatedCluster(nodes=1) as cluster:
        writes: list[Write] = []
        cluster.journal.subscribe(writes.append)
        await cluster.admin.create(a_config_map("mine"))
        cluster.journal.unsubscribe(writes.append)

        [mine] = [write for write in writes if write.resource == "configmaps"]
        assert (mine.actor, mine.key, mine.before) == ("admin", "/registry/configmaps/default/mine", None)


@in_virtual_time
async def test_a_settled_world_writes_nothing_but_heartbeats():
    async with SimulatedCluster(nodes=3) as cluster:
        await cluster.settle()
        writes: list[Write] = []
        cluster.journal.subscribe(writes.append)
        await asyncio.sleep(3600)

        assert {write.resource for write in writes} == {"leases", "minions"}


@in_virtual_time
async def test_a_world_that_never_rests_does_not_settle():
    async with SimulatedCluster(nodes=0) as cluster:

        async def fidget() -> None:
            for number in range(100):
                await cluster.admin.create(a_config_map(f"again-{number}"))
                await asyncio.sleep(1)

        fidgeting = asyncio.create_task(fidget())
        with pytest.raises(TimeoutError):
            await cluster.settle(within_seconds=60)
        fidgeting.cancel()
