"""What the binder asks for, and what it leaves alone."""

import asyncio

from binding_api import BindingApi
from make import a_node, a_pod
from scheduling import a_view

from scheduler.binder import Binder
from wherry.machinery import errors
from wherry.sim.virtual_time import in_virtual_time


@in_virtual_time
async def test_a_batch_that_waited_for_its_turn_while_the_lead_was_lost_is_not_sent():
    asked, reported, leads = [], [], [True]

    async def slow(method, path, perform):
        asked.append(path)
        if len(asked) == 1:
            raise errors.Unavailable("try again")
        await asyncio.sleep(1)
        return await perform()

    api = BindingApi(disturb=slow)
    api.put(a_node("n"))
    binder = Binder(api.client(), reported.append, lambda: leads[0])
    running = asyncio.create_task(binder.run())
    for group in range(3):
        for number in range(2):
            api.put(a_pod(f"p{group}{number}"))
            await binder.bind(a_view(f"p{group}{number}"), "n")
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.5)  # the first two are tried again meanwhile, and wait: two batches are on their way
    leads[0] = False
    await asyncio.sleep(60)
    running.cancel()

    assert asked == ["/api/v1/bindings"] * 3
    assert sorted(each.pod.key for each in reported) == [
        f"default/p{group}{number}" for group in (1, 2) for number in (0, 1)
    ]


@in_virtual_time
async def test_a_single_binding_too_is_sent_by_nobody_but_the_leader():
    api, reported, leads = BindingApi(), [], [False]
    api.put(a_node("n"))
    api.put(a_pod("p"))
    binder = Binder(api.client(), reported.append, lambda: leads[0])
    running = asyncio.create_task(binder.run())
    await binder.bind(a_view("p"), "n")
    await asyncio.sleep(30)
    before = list(api.requests)
    leads[0] = True
    await asyncio.sleep(30)
    running.cancel()

    assert before == []
    assert [(each.pod.key, each.error) for each in reported] == [("default/p", None)]
