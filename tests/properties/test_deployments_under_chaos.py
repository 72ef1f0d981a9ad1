"""Whatever is lost, cut, killed, paused and restarted: no promise is broken at any moment, in the end all is as wanted.

Each seed is another life; `seeds.py` tells how to live others, or one again. Every tenth is lived
among all kinds there are.
"""

import asyncio
import random

import pytest
from chaos import CAPACITY, FAULTS, Chaos, Silence
from invariants import Invariants
from seeds import deeds, replay, seeds
from worlds import DEPLOYMENTS

from wherry.sim.cluster import SimulatedCluster
from wherry.sim.network import Faults
from wherry.sim.virtual_time import run

# What befalls the controllers alone is lived through in `test_thousands_of_schedules.py`; here whole clusters suffer.
SEEDS = 24


async def live_through(seed: int) -> list[str]:
    """A life of a cluster; gives the promises that it broke."""
    world = SimulatedCluster(nodes=3, capacity=CAPACITY)
    async with world.of(*DEPLOYMENTS) if seed % 10 else world as cluster:
        seen, chaos = Invariants(cluster.journal), Chaos(cluster, random.Random(seed))
        await cluster.settle()
        cluster.network.faults = FAULTS
        await chaos.rage(deeds(seed, long=20, short=4))
        cluster.network.faults = Faults()
        try:
            # Whoever was cut off again and again waits for seconds before the next attempt: that is no rest.
            await cluster.settle(quiet_seconds=20.0)
        except TimeoutError:
            seen.broken.append("it never came to rest")
        silence = Silence(cluster)
        await asyncio.sleep(60)
        broken = [*seen.broken, *chaos.complaints(seen), *silence.broken]
        return [*broken, replay(seed, __file__), "what was done:", *chaos.story] if broken else []


@pytest.mark.parametrize("seed", seeds(SEEDS))
def test_a_deployment_keeps_its_promises(seed: int):
    assert run(live_through(seed), seed=seed) == []
