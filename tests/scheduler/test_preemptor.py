"""The scheduler makes room for important pods, against a slow or forgetful API server, in virtual time."""

import asyncio
from collections import Counter

import pytest
from binding_api import BindingApi
from fake_api import lost
from make import a_node, a_pod, an_object
from scheduling import a_view, all_plugins
from test_scheduler_runner import events, flaky, placement, scheduling

from scheduler.preemption.nominations import Nominations
from scheduler.snapshot import Snapshot
from wherry.api.core.pod import Pod
from wherry.machinery import errors
from wherry.sim.virtual_time import in_virtual_time

MESSAGE = "0/1 nodes are available: 1 Insufficient cpu."


def running(api, name, node="n", priority=0, cpu="1", **more):
    pod = a_pod(name, node=node, priority=priority, requests={"cpu": cpu}, phase="Running", **more)
    return api.put(pod)


def urgent(api, name="urgent", cpu="1", **more):
    return api.put(a_pod(name, priority=100, requests={"cpu": cpu}, **more))


def pod_named(api, name):
    return next(pod for pod in api.all(Pod) if pod.metadata.name == name)


async def bury(api, seconds=2.0):
    """The kubelets: pods that are being deleted are gone after a while."""
    while True:
        going = [pod for pod in api.all(Pod) if pod.metadata.deleted_at]
        await asyncio.sleep(seconds)
        for pod in going:
            api.remove(pod)


@in_virtual_time
async def test_a_victim_is_told_why_it_goes_and_the_pod_gets_its_place():
    api = BindingApi()
    api.put(a_node("n", cpu="1"))
    running(api, "victim")
    async with scheduling(api):
        pod = urgent(api)
        await asyncio.sleep(1)
        victim, waiting = pod_named(api, "victim"), pod_named(api, "urgent")
        [disrupted] = [each for each in victim.status.conditions if each.type == "DisruptionTarget"]
        api.remove(victim)
        await asyncio.sleep(3)

    assert victim.metadata.deleted_at is not None
    assert (disrupted.status, disrupted.reason, disrupted.message) == (
        "True",
        "PreemptionByScheduler",
        "default-scheduler: preempting to accommodate a higher priority pod",
    )
    assert (waiting.status.nominated_node_name, waiting.status.conditions[0].message) == ("n", MESSAGE)
    assert ("victim", "Preempted", f"Preempted by pod {pod.metadata.uid} on node n") in events(api)
    assert placement(api) == {"urgent": "n"}


@in_virtual_time
async def test_nobody_goes_before_it_is_written_whose_the_room_will_be():
    async def refusing(method, path, perform):
        if method == "PATCH" and "urgent" in path:
            raise errors.Unavailable("not now")
        return await perform()

    api = BindingApi(disturb=refusing)
    api.put(a_node("n", cpu="1"))
    running(api, "victim")
    async with scheduling(api):
        urgent(api)
        await asyncio.sleep(0.5)

    assert pod_named(api, "victim").metadata.deleted_at is None
    assert pod_named(api, "victim").status.conditions == ()


@in_virtual_time
async def test_while_victims_go_no_more_are_chosen_and_nobody_takes_the_room():
    api = BindingApi()
    api.put(a_node("n", cpu="2"))
    running(api, "victim", priority=1)
    running(api, "other", priority=2)
    async with scheduling(api):
        urgent(api)
        await asyncio.sleep(30)
        api.put(a_pod("late", priority=50, requests={"cpu": "1"}, preemption_policy="Never"))
        api.put(a_node("elsewhere", cpu="500m"))
        await asyncio.sleep(30)
        api.remove(pod_named(api, "victim"))
        await asyncio.sleep(30)

    assert placement(api) == {"other": "n", "urgent": "n", "late": ""}
    assert [pod.metadata.name for pod in api.all(Pod) if pod.metadata.deleted_at] == []
    last = [message for name, _, message in events(api) if name == "late"][-1]
    assert last.endswith(". no new claims to deallocate, preemption: not eligible due to preemptionPolicy=Never.")


@in_virtual_time
async def test_a_more_important_pod_takes_the_room_that_was_kept():
    api = BindingApi()
    api.put(a_node("n", cpu="1"))
    running(api, "victim")
    async with scheduling(api):
        urgent(api)
        await asyncio.sleep(2)
        api.put(a_pod("king", priority=1000, requests={"cpu": "1"}))
        await asyncio.sleep(2)
        kept = {pod.metadata.name: pod.status.nominated_node_name for pod in api.all(Pod)}
        api.remove(pod_named(api, "victim"))
        await asyncio.sleep(20)

    assert kept == {"victim": "", "urgent": "", "king": "n"}
    assert placement(api) == {"king": "n", "urgent": ""}


@in_virtual_time
async def test_budgets_are_heeded_where_another_node_serves():
    api = BindingApi()
    for name in ("guarded", "free"):
        api.put(a_node(name, cpu="1"))
        running(api, f"on-{name}", node=name, labels={"app": name}, priority=1 if name == "free" else 0)
    budget = {"selector": {"matchLabels": {"app": "guarded"}}, "status": {"disruptionsAllowed": 0}}
    api.put(an_object("PodDisruptionBudget", "b", api_version="policy/v1", **budget))
    async with scheduling(api):
        urgent(api)
        await asyncio.sleep(2)

    assert [pod.metadata.name for pod in api.all(Pod) if pod.metadata.deleted_at] == ["on-free"]


@in_virtual_time
async def test_a_refused_eviction_gives_the_room_back_and_is_tried_again():
    refusals = iter([errors.Forbidden("not yet")])

    async def refusing(method, path, perform):
        if method == "DELETE" and (refusal := next(refusals, None)):
            raise refusal
        return await perform()

    api = BindingApi(disturb=refusing)
    api.put(a_node("n", cpu="1"))
    running(api, "victim")
    async with scheduling(api):
        urgent(api)
        await asyncio.sleep(10)

    assert pod_named(api, "victim").metadata.deleted_at is not None
    assert pod_named(api, "urgent").status.nominated_node_name == "n"


@in_virtual_time
async def test_a_profile_without_the_plugin_evicts_nobody():
    api = BindingApi()
    api.put(a_node("n", cpu="1"))
    running(api, "victim")
    plugins = [plugin for plugin in all_plugins() if plugin.name != "DefaultPreemption"]
    async with scheduling(api, plugins=plugins):
        urgent(api)
        await asyncio.sleep(2)

    assert placement(api) == {"victim": "n", "urgent": ""}
    assert pod_named(api, "urgent").status.conditions[0].message == f"{MESSAGE} no new claims to deallocate"


async def forgetful(method, path, perform):
    """Also when it comes to deletions."""
    if method == "DELETE":
        await perform()
        raise lost()
    return await flaky(method, path, perform)


@pytest.mark.parametrize("killed_after", [0.51, 0.6, 1.0, 1.7, 3.0])
@in_virtual_time
async def test_whenever_the_scheduler_dies_everybody_urgent_gets_a_place_and_no_more_go_than_must(killed_after):
    api = BindingApi(disturb=forgetful)
    for index in range(4):
        api.put(a_node(f"n{index}", cpu="3"))
        for number in range(3):
            running(api, f"low-{index}-{number}", node=f"n{index}")
    for number in range(6):
        urgent(api, f"urgent-{number}")
    burial = asyncio.create_task(bury(api))
    async with scheduling(api):
        await asyncio.sleep(killed_after - 0.5)
    async with scheduling(api):
        await asyncio.sleep(300)
    burial.cancel()

    left = Counter(name.partition("-")[0] for name, node in placement(api).items() if node)
    assert left == {"urgent": 6, "low": 6}


def test_room_is_kept_from_those_who_are_no_more_important():
    snapshot = Snapshot()
    snapshot.set_node(a_node("n", cpu="4"))
    nominations = Nominations(snapshot)
    mine, king, peer = (a_view(name, priority=priority) for name, priority in (("m", 5), ("k", 9), ("p", 5)))

    nominations.nominate(mine, "n")

    with nominations.making_way(peer):
        assert snapshot.node_of(mine.uid) == "n"
    for pod in (king, mine):
        with nominations.making_way(pod):
            assert snapshot.node_of(mine.uid) is None
        assert snapshot.node_of(mine.uid) == "n"
    assert [nomination.pod for nomination in nominations.beneath(9)] == [mine]
    nominations.withdraw(mine.uid)
    assert snapshot.node_of(mine.uid) is None
