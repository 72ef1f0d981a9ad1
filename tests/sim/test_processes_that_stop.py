"""Parts of a simulated cluster that are stopped, go on, and believe another time; networks that do what they may."""

import asyncio
from datetime import timedelta

import pytest

from wherry.api.core.config_map import ConfigMap
from wherry.api.core.node import Node
from wherry.api.meta import find_condition
from wherry.client import clock
from wherry.client.informer import Change, Informer
from wherry.machinery.errors import ApiError
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.network import REFUSALS, Faults
from wherry.sim.part import client_over
from wherry.sim.virtual_time import VirtualTimeLoop, in_virtual_time, process


def a_config_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}


@in_virtual_time
async def test_a_frozen_process_does_nothing_until_it_thaws():
    loop, ticks = asyncio.get_running_loop(), []
    assert isinstance(loop, VirtualTimeLoop)
    process.set("clock")

    async def tick() -> None:
        while True:
            await asyncio.sleep(1)
            ticks.append(loop.time())

    ticking = asyncio.create_task(tick())
    process.set("")
    await asyncio.create_task(asyncio.sleep(2.5))
    loop.freeze("clock")
    await asyncio.create_task(asyncio.sleep(7))
    loop.thaw("clock")
    await asyncio.create_task(asyncio.sleep(1))
    ticking.cancel()

    assert ticks == [1, 2, 9.5, 10.5]


@in_virtual_time
async def test_a_paused_node_is_silent_and_well_again_when_it_goes_on():
    async with SimulatedCluster(nodes=3) as cluster:
        await cluster.settle()
        cluster.nodes["node-1"].pause()
        await asyncio.sleep(90)
        ready = find_condition((await cluster.admin.get(Node, "node-1")).status.conditions, "Ready")
        assert ready is not None
        assert ready.status == "Unknown"

        cluster.nodes["node-1"].resume()
        await asyncio.sleep(20)
        ready = find_condition((await cluster.admin.get(Node, "node-1")).status.conditions, "Ready")
        assert ready is not None
        assert ready.status == "True"


@in_virtual_time
async def test_a_clock_may_jump_while_its_component_runs():
    with clock.skewed(hours=1) as skew:
        at = clock.now()
        skew.offset = timedelta(hours=-1)

        assert at - clock.now() == timedelta(hours=2)


@in_virtual_time
async def test_a_server_under_strain_refuses_what_it_does_not_do():
    async with SimulatedCluster(nodes=0) as cluster:
        line = cluster.network.transport("x", "system:masters", faults=Faults(refuse_requests=1.0))

        with pytest.raises(ApiError) as refused:
            await client_over(line, "x").create(a_config_map("refused"))

        assert type(refused.value) in REFUSALS
        assert "x" not in cluster.network.served


@in_virtual_time
async def test_events_that_come_twice_are_told_once():
    async with SimulatedCluster(nodes=0) as cluster:
        line = cluster.network.transport("x", "system:masters", faults=Faults(repeat_events=1.0, watch_lag_seconds=1))
        informer = Informer(client_over(line, "x"), ConfigMap, namespace="default")
        changes: list[Change[ConfigMap]] = []
        informer.subscribe(changes.append)
        watching = asyncio.create_task(informer.run())
        await cluster.admin.create(a_config_map("one"))
        await asyncio.sleep(5)
        watching.cancel()

    assert [change.after and change.after.key for change in changes] == ["default/one"]
