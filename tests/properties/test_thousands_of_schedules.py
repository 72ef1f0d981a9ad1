"""Thousands of lives in little worlds: whatever befalls a manager between two writes, all ends as wanted.

Each seed is another life; `seeds.py` tells how to live others, longer ones, or one again. What surrounds the
controllers is little (`little_server.py`); whole clusters live in `test_deployments_under_chaos.py` and beside it.
"""

import asyncio
import random

import pytest
from little_promises import Promises, promises_of
from little_world import BAD_NETWORK, LittleWorld
from seeds import least_seconds, replay, seeds
from wishes import a_workload

from wherry.sim.virtual_time import run

LIVES, IN_A_TEST = 2000, 50
NAMES = ("web", "db", "agent", "work")
WISHES = 3
# The longest pause of a Job whose pods fail is ten minutes, and they may fail again and again.
GRANTED_SECONDS, SILENT_SECONDS = 4000, 30
# In a long life, so long until something happens again.
LONGEST_REST_SECONDS = 900
# Who has failed again and again tries again after half a minute, and may then tell what nobody waited for.
RETRY_SECONDS = 35


def a_wish(name: str, chance: random.Random) -> dict:
    """What a user may want of a workload of this kind."""
    image, count = f"v{chance.randint(1, 3)}", chance.randint(0, 5)
    if name == "web":
        unavailable = chance.randint(0, 2)
        bounds = {"maxUnavailable": unavailable, "maxSurge": chance.randint(0 if unavailable else 1, 2)}
        return a_workload(name, image=image, replicas=count, strategy={"rollingUpdate": bounds})
    if name == "db":
        return a_workload(name, image=image, replicas=count)
    if name == "agent":
        return a_workload(name, image=image)
    return a_workload(name, parallelism=1 + count % 3, completions=1 + count, backoffLimit=100)


async def live_through(seed: int) -> list[str]:
    """A life; gives the promises that were broken."""
    chance, name = random.Random(seed), NAMES[seed % len(NAMES)]
    async with asyncio.TaskGroup() as tasks:
        world = LittleWorld(name, chance, tasks, fails=chance.choice((0.0, 0.3)))
        promises = promises_of(world)
        world.manager.start()
        broken = await an_episode(world, promises, chance)
        while not broken and asyncio.get_running_loop().time() < least_seconds():
            await asyncio.sleep(chance.uniform(0, LONGEST_REST_SECONDS))
            if world.name == "work":  # what a Job wants is final
                world.delete()
            broken = await an_episode(world, promises, chance)
        world.end()
    return [*broken, replay(seed, __file__), *world.story] if broken else []


async def an_episode(world: LittleWorld, promises: Promises, chance: random.Random) -> list[str]:
    """Wishes and misfortunes, and then peace, in which all comes true; gives the promises that were broken."""
    wish = await wish_and_suffer(world, chance)
    world.calm()
    broken = [*promises.broken, *(await granted(promises, wish))]
    return broken or await silent(world)


async def wish_and_suffer(world: LittleWorld, chance: random.Random) -> dict:
    """Some wishes, and misfortune beside each; gives the last wish."""
    wish = a_wish(world.name, chance)
    world.apply(wish)
    world.server.faults = BAD_NETWORK
    for _ in range(WISHES):
        world.arm()
        await asyncio.sleep(chance.choice((0.0, 0.3, 1.0, 6.0)))
        what = chance.choice(("change", "change", "lose", "replace"))
        if what == "lose" and (world.name != "db" or chance.random() < 0.3):
            world.lose_a_pod()
            continue
        if what == "lose":  # and who then plans to delete that very pod must not hit who is in its place now
            await asyncio.sleep(8)
            world.squat()
        if what == "replace":
            world.delete()
            await asyncio.sleep(chance.choice((0.0, 1.0)))
        if what == "replace" or world.name != "work":  # the template of a Job is final
            before, wish = wish, a_wish(world.name, chance)
            if world.name == "web" and chance.random() < 0.5:  # another version of the same size
                wish["spec"] = {**before["spec"], "template": wish["spec"]["template"]}
            world.apply(wish)
    await asyncio.sleep(5)
    return wish


async def granted(promises: Promises, wish: dict) -> list[str]:
    """Wait until all is as it was wished."""
    for _ in range(GRANTED_SECONDS):
        if not (wrong := list(promises.lacks(wish))):
            return []
        await asyncio.sleep(1)
    return ["never granted:", *wrong]


async def silent(world: LittleWorld) -> list[str]:
    """Nobody writes, once all is as it was wished and told."""
    await asyncio.sleep(RETRY_SECONDS)
    before = world.writes
    await asyncio.sleep(SILENT_SECONDS)
    return [f"{world.writes - before} writes in a world at rest"] if world.writes != before else []


@pytest.mark.parametrize("block", range(0, len(seeds(LIVES)), IN_A_TEST))
def test_whatever_befalls_a_manager_its_promises_hold(block: int):
    for seed in seeds(LIVES)[block : block + IN_A_TEST]:
        assert run(live_through(seed), seed=seed) == []
