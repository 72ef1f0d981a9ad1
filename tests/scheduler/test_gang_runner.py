"""Pods of a group get their nodes together or not at all, against an API server, in virtual time."""

import asyncio
from datetime import timedelta

import pytest
from binding_api import BindingApi
from make import a_container, a_node, a_pod, an_object
from scheduling import all_plugins, gpu_node
from test_scheduler_runner import events, placement, scheduling

from scheduler.explaining.text import DECISION
from wherry.api.core.pod import Pod
from wherry.api.events.event import Event
from wherry.api.resource.gpu import DRIVER, Share, fake_gpus, share_record, slice_manifest
from wherry.api.resource.resource_slice import ResourceSlice
from wherry.api.scheduling.pod_group import PodGroup
from wherry.client import clock
from wherry.sim.virtual_time import in_virtual_time

TOO_FEW = "waiting for minCount pods from a gang to appear in scheduling queue"


def a_gang(api, name, min_count):
    return api.put(an_object(PodGroup, name, scheduling_policy={"gang": {"minCount": min_count}}))


def a_member(api, name, group, **more):
    more.setdefault("requests", {"cpu": "1"})
    return api.put(a_pod(name, scheduling_group={"podGroupName": group}, **more))


def members(api, group, number, **more):
    return [a_member(api, f"{group}-{index}", group, **more) for index in range(number)]


def placed(api, group):
    """How many pods of the group have a node."""
    return sum(1 for name, node in placement(api).items() if node and name.startswith(f"{group}-"))


def condition(api, name):
    [told] = [pod.status.conditions for pod in api.all(Pod) if pod.metadata.name == name]
    return [(each.type, each.status, each.reason, each.message) for each in told]


def group_status(api):
    [group] = api.all(PodGroup)
    return [(each.type, each.status, each.reason) for each in group.status.conditions]


@in_virtual_time
async def test_pods_wait_for_the_others_of_their_gang_and_say_so():
    api = BindingApi()
    api.put(a_node("n"))
    async with scheduling(api):
        members(api, "train", 1)
        await asyncio.sleep(1)
        before = condition(api, "train-0")
        a_gang(api, "train", 3)
        members(api, "train", 2)
        await asyncio.sleep(3)
        [waiting] = condition(api, "train-1")
        assert placed(api, "train") == 0
        members(api, "train", 3)
        await asyncio.sleep(3)

    missing = 'waiting for pods\'s pod group "train" to appear in scheduling queue'
    assert before == [("PodScheduled", "False", "Unschedulable", missing)]
    assert waiting == ("PodScheduled", "False", "Unschedulable", TOO_FEW)
    assert placed(api, "train") == 3
    assert group_status(api) == [("PodGroupInitiallyScheduled", "True", "Scheduled")]
    assert ("train-1", "FailedScheduling", TOO_FEW) in events(api)


@in_virtual_time
async def test_a_gang_that_does_not_fit_takes_nothing():
    api = BindingApi()
    api.put(gpu_node("n", 3))
    a_gang(api, "train", 4)
    gpu = {"nvidia.com/gpu": "1"}
    async with scheduling(api):
        members(api, "train", 4, requests=gpu)
        await asyncio.sleep(3)
        [told] = condition(api, "train-3")
        api.put(a_pod("single", requests=gpu))
        await asyncio.sleep(3)
        before = placement(api)
        api.put(gpu_node("other", 2))
        await asyncio.sleep(15)

    assert told[3] == (
        "pod group is unschedulable, minCount (4) cannot be satisfied: 3 scheduled, 0 remaining. "
        "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    )
    assert before == {"single": "n", **{f"train-{index}": "" for index in range(4)}}
    assert placed(api, "train") == 4


@in_virtual_time
async def test_two_gangs_whose_pods_come_in_turns_never_hold_half_each():
    api = BindingApi()
    api.put(a_node("n", cpu="4"))
    a_gang(api, "a", 3), a_gang(api, "b", 3)
    async with scheduling(api):
        for index in range(3):
            a_member(api, f"a-{index}", "a")
            a_member(api, f"b-{index}", "b")
            await asyncio.sleep(0.01)
        await asyncio.sleep(3)

    assert sorted((placed(api, "a"), placed(api, "b"))) == [0, 3]
    records = {(each.about.name, each.reason): each.metadata.annotations.get(DECISION, "") for each in api.all(Event)}
    winner, loser = ("a", "b") if placed(api, "a") else ("b", "a")
    assert '"n":"' in records[f"{winner}-2", "Scheduled"]
    assert "Insufficient cpu (wants 1, free 0)" in records[f"{loser}-2", "FailedScheduling"]


@in_virtual_time
async def test_more_pods_than_the_gang_needs_go_if_there_is_room():
    api = BindingApi()
    api.put(a_node("n", cpu="3"))
    a_gang(api, "train", 2)
    async with scheduling(api):
        members(api, "train", 4)
        await asyncio.sleep(5)

    assert placed(api, "train") == 3


@in_virtual_time
async def test_a_member_that_is_replaced_later_goes_alone():
    api = BindingApi()
    api.put(a_node("n", cpu="3"))
    a_gang(api, "train", 3)
    first, second, _ = (a_member(api, f"train-{index}", "train", node="n", phase="Running") for index in range(3))
    async with scheduling(api):
        api.put(first, status={"phase": "Succeeded"})
        api.put(second, status={"phase": "Failed"})
        a_member(api, "train-again", "train")
        await asyncio.sleep(3)

    assert placement(api)["train-again"] == "n"


@in_virtual_time
async def test_the_rest_of_a_gang_comes_first_after_a_restart():
    api = BindingApi()
    api.put(a_node("n", cpu="3"))
    a_member(api, "a-gated", "b", scheduling_gates=[{"name": "wait"}])
    for group in ("a", "b"):
        a_gang(api, group, 2)
        members(api, group, 2)
    a_member(api, "b-0", "b", node="n", phase="Running")
    async with scheduling(api):
        await asyncio.sleep(3)

    assert (placed(api, "a"), placed(api, "b")) == (0, 2)


@in_virtual_time
async def test_without_the_plugin_pods_of_a_group_go_alone():
    api = BindingApi()
    api.put(a_node("n", cpu="1"))
    a_gang(api, "train", 3)
    async with scheduling(api, plugins=[each for each in all_plugins() if each.name != "GangScheduling"]):
        members(api, "train", 2)
        await asyncio.sleep(3)

    assert placed(api, "train") == 1


GPU = {"nvidia.com/gpu": "1"}
USE = {"name": "cards", "resourceClaimName": "mine"}


async def traffic(api, seconds):
    """A pod after the other that wants one card, each for a minute; there are always some that wait."""
    for number in range(seconds // 10):
        api.put(a_pod(f"small-{number}", requests=GPU, created=clock.now()))
        await asyncio.sleep(10)
        for pod in api.all(Pod):
            began = pod.metadata.created_at
            is_over = began and clock.now() - began > timedelta(minutes=1)
            if is_over and pod.spec.node_name and pod.metadata.name.startswith("small"):
                api.remove(pod)


@in_virtual_time
async def test_small_pods_do_not_keep_a_large_gang_waiting_for_ever():
    api = BindingApi()
    api.put(gpu_node("n", 4))
    async with scheduling(api):
        others = asyncio.create_task(traffic(api, 600))
        await asyncio.sleep(100)
        a_gang(api, "train", 4)
        members(api, "train", 4, requests=GPU, created=clock.now())
        await asyncio.sleep(30)
        assert placed(api, "train") == 0
        await asyncio.sleep(170)
        others.cancel()

    assert placed(api, "train") == 4


@in_virtual_time
async def test_a_gang_that_waits_takes_a_node_that_frees_before_the_one_it_was_promised():
    api, four = BindingApi(), {"nvidia.com/gpu": "4"}
    for name in ("n1", "n2", "n3", "n4"):
        api.put(gpu_node(name, 4))
    names = ("n1", "n2", "n3")
    running = {name: api.put(a_pod(f"on-{name}", node=name, phase="Running", requests=four)) for name in names}
    a_gang(api, "train", 3)
    async with scheduling(api):
        members(api, "train", 3, requests=four, created=clock.now())
        await asyncio.sleep(70)
        api.put(a_pod("later", requests=four))
        await asyncio.sleep(20)
        room = {pod.status.nominated_node_name for pod in api.all(Pod)} - {""}
        [elsewhere] = running.keys() - room
        api.remove(running.pop(elsewhere))
        await asyncio.sleep(10)
        assert elsewhere in {pod.status.nominated_node_name for pod in api.all(Pod)}
        api.remove(running.popitem()[1])
        await asyncio.sleep(10)

    assert (placed(api, "train"), placement(api)["later"]) == (3, "")


@in_virtual_time
async def test_who_is_gone_before_the_gang_can_start_may_use_its_room():
    api = BindingApi()
    api.put(gpu_node("n", 4))
    a_gang(api, "train", 4)
    long = {"active_deadline_seconds": 3600, "termination_grace_period_seconds": 0, "requests": GPU}
    api.put(a_pod("runs", node="n", phase="Running", status={"start_time": clock.now()}, **long))
    async with scheduling(api):
        members(api, "train", 4, requests=GPU, created=clock.now())
        await asyncio.sleep(90)
        room = {pod.status.nominated_node_name for pod in api.all(Pod) if pod.metadata.name.startswith("train")}
        api.put(a_pod("short", **{**long, "active_deadline_seconds": 600}))
        api.put(a_pod("endless", requests=GPU))
        api.put(a_pod("too-long", **long))
        await asyncio.sleep(10)

    assert room == {"n"}
    assert {name for name, node in placement(api).items() if node} == {"runs", "short"}


@in_virtual_time
async def test_room_is_kept_for_the_gang_that_waits_longest_and_given_up_when_it_goes():
    api = BindingApi()
    api.put(gpu_node("n", 2))
    api.put(a_pod("runs", node="n", phase="Running", requests=GPU))
    async with scheduling(api):
        for name in ("a", "b"):
            a_gang(api, name, 2)
            members(api, name, 2, requests=GPU, created=clock.now())
            await asyncio.sleep(5)
        await asyncio.sleep(90)
        nominated = {pod.metadata.name for pod in api.all(Pod) if pod.status.nominated_node_name}
        for pod in api.all(Pod):
            if pod.metadata.name.startswith("a-"):
                api.remove(pod)
        api.put(a_pod("small", requests=GPU))
        await asyncio.sleep(10)

    assert nominated == {"a-0", "a-1"}
    assert placement(api)["small"] == "n"


def runs(api, name, node="n", **more):
    return api.put(a_pod(name, node=node, phase="Running", requests={"cpu": "1"}, **more))


@in_virtual_time
async def test_an_important_gang_has_others_make_way_only_if_all_of_it_then_fits():
    api = BindingApi()
    api.put(a_node("n", cpu="3")), api.put(a_node("m", cpu="1"))
    runs(api, "a"), runs(api, "b"), runs(api, "vip", node="m", priority=200)
    a_gang(api, "large", 4), a_gang(api, "train", 3)
    async with scheduling(api):
        members(api, "large", 4, priority=100)
        await asyncio.sleep(5)
        spared = [pod.metadata.name for pod in api.all(Pod) if pod.metadata.deleted_at]
        members(api, "train", 3, priority=100)
        await asyncio.sleep(5)
        going = {pod.metadata.name for pod in api.all(Pod) if pod.metadata.deleted_at}
        room = {pod.status.nominated_node_name for pod in api.all(Pod) if pod.metadata.name.startswith("train")}
        assert placed(api, "train") == 0
        for pod in api.all(Pod):
            if pod.metadata.deleted_at:
                api.remove(pod)
        await asyncio.sleep(5)

    assert (spared, going, room) == ([], {"a", "b"}, {"n"})
    assert (placed(api, "train"), placed(api, "large")) == (3, 0)


@in_virtual_time
async def test_a_gang_that_may_be_disrupted_only_as_one_goes_as_one():
    api = BindingApi()
    for node in ("n", "m"):
        api.put(a_node(node, cpu="1"))
    api.put(an_object(PodGroup, "old", scheduling_policy={"gang": {"minCount": 2}}, disruption_mode={"all": {}}))
    for index, node in enumerate(("n", "m")):
        a_member(api, f"old-{index}", "old", node=node, phase="Running")
    async with scheduling(api):
        api.put(a_pod("urgent", priority=100, requests={"cpu": "1"}))
        await asyncio.sleep(3)
        going = {pod.metadata.name for pod in api.all(Pod) if pod.metadata.deleted_at}

    assert going == {"old-0", "old-1"}


@in_virtual_time
@pytest.mark.parametrize("how", ["part", "claim"])
async def test_room_is_kept_for_a_gang_that_waits_for_a_card_in_parts_or_of_a_claim(how):
    api, now = BindingApi(), clock.now()
    api.put(gpu_node("n", 4))
    api.put(ResourceSlice.read(slice_manifest("n", "n", fake_gpus("n", 4), 1)))
    if how == "part":
        container = a_container(requests={"wherry.dev/gpu-memory": "10Gi"})
        record = share_record("GPU-n-0", Share(10 << 30, 40 << 30))
        api.put(a_pod("holder", node="n", phase="Running", annotations=record, containers=[container]))
    else:
        holder = api.put(a_pod("holder", node="n", phase="Running", resource_claims=[USE]))
        results = {"results": [{"request": "cards", "driver": DRIVER, "pool": "n", "device": "gpu-0"}]}
        users = [{"resource": "pods", "name": "holder", "uid": holder.metadata.uid}]
        status = {"allocation": {"devices": results}, "reservedFor": users}
        api.put(an_object("ResourceClaim", "mine", api_version="resource.k8s.io/v1", status=status))
    a_gang(api, "train", 4)
    async with scheduling(api):
        members(api, "train", 4, requests=GPU, created=now)
        await asyncio.sleep(90)
        room = {pod.status.nominated_node_name for pod in api.all(Pod) if pod.metadata.name.startswith("train")}
        api.put(a_pod("small", requests=GPU))
        await asyncio.sleep(10)

    assert (room, placement(api)["small"]) == ({"n"}, "")
