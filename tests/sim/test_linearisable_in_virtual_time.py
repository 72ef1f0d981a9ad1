"""Objects stay linearisable on a bad network, to a server that is killed again and again, whatever the seed."""

import asyncio
import random
from typing import Any

import orjson
import pytest

from tests.faults.historians import Door, Historians
from tests.faults.linearisability import first_impossible
from wherry.machinery.errors import Unavailable
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.network import Faults
from wherry.sim.virtual_time import run

FAULTS = Faults(lose_requests=0.005, lose_answers=0.01, delay_seconds=(0.001, 0.3))
CLIENTS, OBJECTS, OPERATIONS = 10, 6, 1000


def door_to(cluster: SimulatedCluster) -> Door:
    line = cluster.network.transport("client", "system:masters")

    async def ask(method: str, path: str, body: Any) -> Any:
        content = orjson.dumps(body) if body is not None else None
        try:
            answer = await line.request(method, path, {}, {"Content-Type": "application/json"}, content)
        except Unavailable:
            return None
        return answer.status, orjson.loads(answer.body)

    return Door(ask, cluster.api_server.ready)


async def crash_now_and_then(cluster: SimulatedCluster, seed: int) -> None:
    chance = random.Random(seed)
    while True:
        await asyncio.sleep(chance.uniform(1, 20))
        cluster.api_server.kill()
        await asyncio.sleep(chance.uniform(0, 2))
        cluster.api_server.start()


@pytest.mark.parametrize("seed", range(8))
def test_histories_are_linearisable(seed: int):
    async def story() -> Historians:
        async with SimulatedCluster(nodes=0, faults=FAULTS) as cluster:
            historians = Historians([door_to(cluster)], OBJECTS, seed)
            crashing = asyncio.ensure_future(crash_now_and_then(cluster, seed))
            await historians.work(CLIENTS, OPERATIONS)
            crashing.cancel()
            await asyncio.gather(crashing, return_exceptions=True)
        return historians

    histories = run(story(), seed=seed).histories

    assert {first_impossible(history) for history in histories.values()} == {None}
    doubts = sum(each.outcome == "unknown" for history in histories.values() for each in history)
    assert 5 < doubts < OPERATIONS / 10
