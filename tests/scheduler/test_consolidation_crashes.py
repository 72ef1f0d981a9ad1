"""The scheduler dies while pods move for another: whoever goes on finishes it, and nobody moves in vain."""

import asyncio

import pytest
from fake_api import lost
from make import a_node
from test_consolidation import EvictingApi, a_large_pod, moving, service
from test_scheduler_runner import placement, scheduling

from wherry.api.core.pod import Pod
from wherry.sim.virtual_time import in_virtual_time

CPUS = {"n": 3, "m": 3, "k": 2}


class Deadly:
    """The answer to the write of this number never arrives, and no write after it gets through."""

    def __init__(self, number, arrives):
        self.left, self.arrives, self.is_dead = number, arrives, asyncio.Event()

    async def __call__(self, method, path, perform):
        if method in ("GET", "WATCH"):
            return await perform()
        if self.is_dead.is_set():
            raise lost()
        self.left -= 1
        if self.left:
            return await perform()
        if self.arrives:
            await perform()
        self.is_dead.set()
        raise lost()


def overfilled(api):
    asked = dict.fromkeys(CPUS, 0)
    for pod in api.all(Pod):
        if pod.spec.node_name:
            asked[pod.spec.node_name] += int(str(pod.spec.containers[0].resources.requests["cpu"]))
    return [node for node, cpus in asked.items() if cpus > CPUS[node]]


@pytest.mark.parametrize("arrives", [True, False])
@pytest.mark.parametrize("number", range(1, 10))
@in_virtual_time
async def test_whichever_write_is_its_last_all_have_their_place_and_no_more_move_than_must(number, arrives):
    deadly = Deadly(number, arrives)
    api = EvictingApi(disturb=deadly)
    for node, cpus in CPUS.items():
        api.put(a_node(node, cpu=str(cpus)))
    for name, node, cpu in (("a", "n", "1"), ("c", "n", "1"), ("b", "m", "2"), ("d", "k", "1")):
        api.put(service(name, node, cpu=cpu))

    async with scheduling(api, plugins=moving()):
        api.put(a_large_pod("3"))
        async with asyncio.timeout(30):
            await deadly.is_dead.wait()
    assert overfilled(api) == []
    deadly.is_dead, deadly.left = asyncio.Event(), 10_000
    async with scheduling(api, plugins=moving()):
        await asyncio.sleep(200)

    placed = placement(api)
    assert all(placed.values())
    assert overfilled(api) == []
    assert sorted(name.removesuffix("-again") for name in placed) == ["a", "b", "c", "d", "large"]
    assert len([name for name in placed if name.endswith("-again")]) == 2
