"""The scheduler while there is a FairShare: the light user goes first, and what was used is written and read again."""

import asyncio
from contextlib import asynccontextmanager

import pytest
from binding_api import BindingApi
from make import a_container, a_node, a_pod, an_object
from scheduling import all_plugins

from scheduler.runner import Scheduler
from wherry.api.core.pod import Pod
from wherry.api.sharing.fair_share import FairShare
from wherry.client import clock
from wherry.machinery.time import micro_time_text
from wherry.sim.virtual_time import in_virtual_time


@asynccontextmanager
async def scheduling(api):
    task = asyncio.create_task(Scheduler(api.client(), {"default-scheduler": all_plugins()}).run())
    await asyncio.sleep(0.5)
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


def a_share(**users):
    rows = [{"name": name, "gpuMilliseconds": 1000 * seconds} for name, seconds in users.items()]
    status = {"asOf": micro_time_text(clock.now()), "users": rows}
    return an_object(FairShare, "default", api_version="scheduling.wherry.dev/v1alpha1", status=status)


def of(user, name, cards=1):
    container = a_container(requests={"nvidia.com/gpu": str(cards)})
    return a_pod(name, labels={"wherry.dev/user": user}, spec={"containers": [container]})


def a_gpu_node(cards):
    return a_node("n", allocatable={"nvidia.com/gpu": str(cards), "cpu": "64", "memory": "64Gi", "pods": "110"})


def placed(api):
    return {pod.metadata.name for pod in api.all(Pod) if pod.spec.node_name}


def written(api):
    [share] = api.all(FairShare)
    return {user.name: user.gpu_milliseconds / 1000 for user in share.status.users}


@in_virtual_time
async def test_the_light_user_gets_the_cards_though_he_came_later():
    api = BindingApi()
    api.put(a_share(alice=5000))
    for name in ("a-1", "a-2"):
        api.put(of("alice", name))
    for name in ("b-1", "b-2"):
        api.put(of("bob", name))
    api.put(a_gpu_node(3))
    async with scheduling(api):
        await asyncio.sleep(2)

    assert placed(api) == {"b-1", "b-2", "a-1"}


@in_virtual_time
async def test_of_two_who_come_together_each_gets_half_and_without_fair_share_the_first_gets_all():
    for shares, expected in (([a_share()], {"a-0", "a-1", "b-0", "b-1"}), ([], {"a-0", "a-1", "a-2", "a-3"})):
        api = BindingApi()
        for each in (*shares, *(of(user, f"{user[0]}-{n}") for user in ("alice", "bob") for n in range(4))):
            api.put(each)
        api.put(a_gpu_node(4))
        async with scheduling(api):
            await asyncio.sleep(2)

        assert placed(api) == expected


@in_virtual_time
async def test_what_is_used_is_written_and_a_scheduler_that_comes_back_counts_it_once():
    api = BindingApi()
    api.put(a_share(bob=100))
    api.put(a_gpu_node(4))
    api.put(of("alice", "a", cards=2))
    for _ in range(3):
        async with scheduling(api):
            await asyncio.sleep(100)
        await asyncio.sleep(200)

    async with scheduling(api):
        await asyncio.sleep(61)

    # Since it has its node it holds two cards for the 961 s; of so little time nothing has decayed yet.
    assert written(api) == {"alice": pytest.approx(2 * 961, abs=5), "bob": pytest.approx(100, abs=1)}


@in_virtual_time
async def test_nothing_is_written_while_nobody_holds_anything():
    api = BindingApi()
    api.put(a_share(bob=100))
    api.put(a_gpu_node(4))
    [before] = api.all(FairShare)
    async with scheduling(api):
        await asyncio.sleep(600)

    assert api.all(FairShare) == [before]


@in_virtual_time
async def test_whoever_was_refused_last_goes_first_all_the_same_when_it_is_his_turn():
    api = BindingApi()
    api.put(a_share(alice=5000))
    api.put(a_gpu_node(1))
    holder = api.put(of("carol", "holder"))
    async with scheduling(api):
        await asyncio.sleep(1)
        api.put(of("alice", "a"))
        await asyncio.sleep(20)
        api.put(of("bob", "b"))
        await asyncio.sleep(0.1)
        api.remove(holder)
        await asyncio.sleep(5)

    assert placed(api) == {"b"}


@in_virtual_time
async def test_who_has_just_had_all_cards_lets_another_go_first():
    api = BindingApi()
    api.put(a_share())
    api.put(a_gpu_node(1))
    holder = api.put(of("alice", "holder"))
    async with scheduling(api):
        await asyncio.sleep(5)
        for user in ("alice", "bob"):
            api.put(of(user, user))
        await asyncio.sleep(1)
        api.remove(holder)
        await asyncio.sleep(1)

    assert placed(api) == {"bob"}
