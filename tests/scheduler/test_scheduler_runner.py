"""The scheduler against an API server that is slow, forgetful or somebody else's, in virtual time."""

import asyncio
from collections import Counter
from contextlib import asynccontextmanager

import pytest
from binding_api import BindingApi
from fake_api import lost
from make import a_node, a_pod
from scheduling import all_plugins

from scheduler.framework import Plugin
from scheduler.metrics import families
from scheduler.runner import Scheduler
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.events.event import Event
from wherry.client import clock
from wherry.client.serving.counting import exposition
from wherry.machinery import errors
from wherry.sim.virtual_time import in_virtual_time


@asynccontextmanager
async def scheduling(api, name="default-scheduler", plugins=None):
    scheduler = Scheduler(api.client(), {name: plugins or all_plugins()})
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(0.5)
    try:
        yield scheduler
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.wait([task])


def placement(api):
    return {pod.metadata.name: pod.spec.node_name for pod in api.all(Pod)}


def events(api):
    return sorted((event.about.name, event.reason, event.message) for event in api.all(Event))


@in_virtual_time
async def test_prometheus_hears_how_pods_fared():
    api = BindingApi()
    api.put(a_node("n", allocatable={"cpu": "1", "memory": "1Gi", "pods": "10"}))
    async with scheduling(api) as scheduler:
        api.put(a_pod("web"))
        api.put(a_pod("big", requests={"cpu": "64"}))
        api.put(a_pod("gated", scheduling_gates=[{"name": "example.com/later"}]))
        await asyncio.sleep(1)
        told = exposition(families(scheduler.queue, scheduler.counts))

    assert 'scheduler_pending_pods{queue="unschedulable"} 1.0' in told
    assert 'scheduler_pending_pods{queue="gated"} 1.0' in told
    assert 'scheduler_schedule_attempts_total{profile="default-scheduler",result="scheduled"} 1.0' in told
    assert 'scheduler_schedule_attempts_total{profile="default-scheduler",result="unschedulable"} 1.0' in told
    assert 'scheduler_pod_scheduling_sli_duration_seconds_count{attempts="1"} 1.0' in told


@in_virtual_time
async def test_a_pod_is_bound_and_people_are_told():
    api = BindingApi()
    api.put(a_node("n"))
    async with scheduling(api):
        api.put(a_pod("web"))
        await asyncio.sleep(1)

    assert placement(api) == {"web": "n"}
    assert events(api) == [("web", "Scheduled", "Successfully assigned default/web to n")]


@in_virtual_time
@pytest.mark.parametrize("refusal", [errors.NotFound("no such path"), errors.Forbidden("no rights to a foreign kind")])
async def test_a_server_without_the_newest_groups_has_its_pods_bound(refusal, capsys):
    async def older(method, path, perform):
        if not path.startswith(("/apis/scheduling.", "/apis/resource.")):
            return await perform()
        raise refusal if path.count("/") > 3 else errors.NotFound("no such group")

    api = BindingApi(disturb=older)
    api.put(a_node("n"))
    api.put(a_pod("web"))
    async with scheduling(api):
        await asyncio.sleep(150)

    assert placement(api) == {"web": "n"}
    assert api.requests.count("GET /apis/scheduling.wherry.dev/v1alpha1/queues") == 3
    assert capsys.readouterr().out.count("the server has no such kind") == 6


@in_virtual_time
@pytest.mark.parametrize("takes_batches", [True, False])
async def test_many_pods_go_together_where_the_server_takes_that_and_get_there_anyway(takes_batches):
    api = BindingApi()
    api.takes_batches = takes_batches
    api.put(a_node("n"))
    for number in range(60):
        api.put(a_pod(f"web-{number}"))
    async with scheduling(api):
        await asyncio.sleep(5)

    sent = Counter(line.rpartition("/")[2] for line in api.requests if line.startswith("POST"))
    assert (set(placement(api).values()), len(events(api))) == ({"n"}, 60)
    assert sent["binding"] == (0 if takes_batches else 60)
    assert sent["bindings"] <= 4


@in_virtual_time
async def test_a_pod_that_fits_nowhere_says_so_and_is_bound_when_it_fits():
    api = BindingApi()
    api.put(a_node("n", cpu="1"))
    api.put(a_pod("big", requests={"cpu": "2"}, conditions=[{"type": "Other", "status": "True"}]))
    vain = (
        "no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."
    )
    message = f"0/1 nodes are available: 1 Insufficient cpu. {vain}"
    async with scheduling(api):
        await asyncio.sleep(1)
        told = [(c.type, c.status, c.reason, c.message) for c in api.all(Pod)[0].status.conditions]
        api.put(a_node("n2", cpu="2"))
        await asyncio.sleep(5)

    assert told == [("Other", "True", "", ""), ("PodScheduled", "False", "Unschedulable", message)]
    assert placement(api) == {"big": "n2"}
    assert events(api)[0] == ("big", "FailedScheduling", message)


@in_virtual_time
async def test_of_a_pod_that_no_node_could_hold_as_it_is_nothing_is_said_of_claims():
    api = BindingApi()
    api.put(a_node("n"))
    api.put(a_pod("web", volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "gone"}}]))
    async with scheduling(api):
        await asyncio.sleep(1)

    ((_, _, message),) = events(api)
    assert message.startswith('0/1 nodes are available: persistentvolumeclaim "gone" not found.')
    assert "claims to deallocate" not in message


@in_virtual_time
async def test_of_a_pod_whose_claim_is_still_to_be_made_nothing_is_said_until_it_is():
    api = BindingApi()
    api.put(a_node("n"))
    uses = [{"name": "cards", "resourceClaimTemplateName": "large"}]
    api.put(a_pod("early", uid="early", resource_claims=uses))
    async with scheduling(api):
        await asyncio.sleep(1)
        told = events(api), api.all(Pod)[0].status.conditions
        api.put(
            a_pod("early", uid="early", resource_claims=uses, status={"resourceClaimStatuses": [{"name": "cards"}]})
        )
        await asyncio.sleep(1)

    assert told == ([], ())
    assert placement(api) == {"early": "n"}


@in_virtual_time
async def test_a_pending_pod_costs_nothing_while_nothing_changes():
    api = BindingApi()
    api.put(a_node("n", cpu="1"))
    api.put(a_pod("big", requests={"cpu": "2"}))
    async with scheduling(api):
        await asyncio.sleep(5)
        before = len(api.writes())
        for beat in range(20):
            api.put(a_node("n", cpu="1", conditions=[{"type": "Beat", "status": str(beat)}]))
            await asyncio.sleep(10)

    assert len(api.writes()) == before


@in_virtual_time
async def test_what_a_finished_pod_gives_back_is_given_to_the_next():
    api = BindingApi()
    api.put(a_node("n", cpu="1"))
    running = api.put(a_pod("first", node="n", requests={"cpu": "1"}, phase="Running"))
    api.put(a_pod("second", requests={"cpu": "1"}))
    async with scheduling(api):
        await asyncio.sleep(3)
        assert placement(api)["second"] == ""
        api.put(running, status={"phase": "Succeeded"})
        await asyncio.sleep(3)

    assert placement(api)["second"] == "n"


@in_virtual_time
async def test_pods_of_another_scheduler_and_gated_pods_are_left_alone():
    api = BindingApi()
    api.put(a_node("n"))
    api.put(a_pod("other", scheduler_name="mine"))
    api.put(a_pod("gated", scheduling_gates=[{"name": "wait"}]))
    async with scheduling(api):
        await asyncio.sleep(5)

    assert (placement(api), api.writes()) == ({"other": "", "gated": ""}, [])


async def flaky(method, path, perform):
    """One request in three fails before or after it took effect, and all take their time."""
    if method == "WATCH":
        return await perform()
    await asyncio.sleep(clock.randomness().random())
    fate = clock.randomness().randrange(6)
    if fate == 0:
        raise errors.Unavailable("try again")
    answer = await perform()
    if fate == 1:
        raise lost()
    return answer


@pytest.mark.parametrize("lag_seconds", [0.0, 3.0])
@in_virtual_time
async def test_lost_answers_and_late_news_never_overcommit(lag_seconds):
    api = BindingApi(disturb=flaky, lag_seconds=lag_seconds)
    for index in range(5):
        api.put(a_node(f"n{index}", cpu="3"))
    for index in range(20):
        api.put(a_pod(f"p{index}", requests={"cpu": "1"}))
    async with scheduling(api):
        await asyncio.sleep(200)

    assert Counter(placement(api).values()) == {"": 5} | {f"n{index}": 3 for index in range(5)}


@pytest.mark.parametrize("killed_after", [0.51, 0.53, 0.6, 1.0, 2.0])
@in_virtual_time
async def test_a_restart_at_any_time_loses_no_pod_and_overcommits_nothing(killed_after):
    api = BindingApi(disturb=flaky)
    for index in range(4):
        api.put(a_node(f"n{index}", cpu="5"))
    for index in range(20):
        api.put(a_pod(f"p{index}", requests={"cpu": "1"}))
    async with scheduling(api):
        await asyncio.sleep(killed_after)
    async with scheduling(api):
        await asyncio.sleep(200)

    assert Counter(placement(api).values()) == {f"n{index}": 5 for index in range(4)}


@in_virtual_time
async def test_a_refused_binding_gives_the_room_back_and_the_pod_is_tried_again():
    refusals = iter([errors.Forbidden("not yet"), errors.Forbidden("not yet")])

    async def refusing(method, path, perform):
        if path.endswith("/binding") and (refusal := next(refusals, None)):
            raise refusal
        return await perform()

    api = BindingApi(disturb=refusing)
    api.put(a_node("n", cpu="1"))
    api.put(a_pod("p", requests={"cpu": "1"}))
    async with scheduling(api):
        await asyncio.sleep(10)

    assert placement(api) == {"p": "n"}
    assert ("p", "FailedScheduling", "binding rejected: not yet") in events(api)


@in_virtual_time
async def test_a_pod_recreated_under_its_name_while_it_is_bound_is_bound_too():
    async def slow(method, path, perform):
        if path.endswith("/binding"):
            await asyncio.sleep(1)
        return await perform()

    api = BindingApi(disturb=slow)
    api.put(a_node("n", cpu="1"))
    pod = api.put(a_pod("p", uid="first", requests={"cpu": "1"}))
    async with scheduling(api):
        api.remove(pod)
        api.put(a_pod("p", uid="second", requests={"cpu": "1"}))
        await asyncio.sleep(10)

    assert placement(api) == {"p": "n"}


@in_virtual_time
async def test_two_schedulers_bind_no_pod_twice():
    api = BindingApi(disturb=flaky)
    for index in range(4):
        api.put(a_node(f"n{index}", cpu="50"))
    for index in range(20):
        api.put(a_pod(f"p{index}", requests={"cpu": "1"}))
    async with scheduling(api), scheduling(api) as second:
        await asyncio.sleep(100)
        known = {pod.key: second.snapshot.node_of(pod.metadata.uid) for pod in api.all(Pod)}

    assert known == {pod.key: pod.spec.node_name for pod in api.all(Pod)}
    assert "" not in placement(api).values()


@in_virtual_time
async def test_nodes_that_go_and_shrink_are_followed():
    api = BindingApi()
    gone, shrinking = api.put(a_node("gone", cpu="9")), api.put(a_node("shrinking", cpu="9"))
    async with scheduling(api):
        api.remove(gone)
        api.put(a_node("shrinking", cpu="2", uid=shrinking.metadata.uid))
        await asyncio.sleep(1)
        for index in range(4):
            api.put(a_pod(f"p{index}", requests={"cpu": "1"}))
        await asyncio.sleep(5)

    assert Counter(placement(api).values()) == {"shrinking": 2, "": 2}
    assert [node.metadata.name for node in api.all(Node)] == ["shrinking"]


@in_virtual_time
async def test_who_may_not_act_writes_nothing():
    api = BindingApi()
    api.put(a_node("n"))
    api.put(a_pod("p"))
    scheduler = Scheduler(api.client(), {"default-scheduler": all_plugins()}, may_act=lambda: False)
    task = asyncio.create_task(scheduler.run())
    await asyncio.sleep(10)
    task.cancel()
    await asyncio.wait([task])

    assert api.writes() == []


class BreaksOverOne(Plugin):
    """As a user's plugin might."""

    def filter(self, pod, nodes):
        if pod.metadata.name == "odd":
            raise LookupError("no such thing")
        return iter(())


@in_virtual_time
async def test_a_plugin_that_breaks_over_one_pod_keeps_no_other_from_its_node():
    api = BindingApi()
    api.put(a_node("n"))
    async with scheduling(api, plugins=(*all_plugins(), BreaksOverOne())):
        api.put(a_pod("odd"))
        api.put(a_pod("web"))
        await asyncio.sleep(5)

    assert placement(api) == {"odd": "", "web": "n"}
    assert ("odd", "FailedScheduling") in {event[:2] for event in events(api)}


@in_virtual_time
async def test_events_come_from_the_profile_that_schedules_the_pod():
    api = BindingApi()
    api.put(a_node("n"))
    scheduler = Scheduler(api.client(), {"default-scheduler": all_plugins(), "packing": all_plugins()})
    task = asyncio.create_task(scheduler.run())
    api.put(a_pod("plain"))
    api.put(a_pod("packed", scheduler_name="packing"))
    await asyncio.sleep(2)
    task.cancel()
    await asyncio.wait([task])

    reporters = {event.about.name: event.to_wire()["source"]["component"] for event in api.all(Event)}
    assert reporters == {"plain": "default-scheduler", "packed": "packing"}


@in_virtual_time
async def test_conditions_are_written_one_at_a_time_while_pods_are_being_bound():
    bound, under_way, together = asyncio.Event(), Counter(), Counter()

    async def slow(method, path, perform):
        if path.endswith("/binding"):
            await bound.wait()
        if method == "PATCH":
            under_way["now"] += 1
            together[bound.is_set()] = max(together[bound.is_set()], under_way["now"])
            await asyncio.sleep(0.5)
            under_way["now"] -= 1
        return await perform()

    api = BindingApi(disturb=slow)
    api.put(a_node("n", allocatable={"cpu": "1", "memory": "1Gi", "pods": "10"}))
    async with scheduling(api):
        for number in range(30):
            api.put(a_pod(f"big-{number}", requests={"cpu": "64"}))
        api.put(a_pod("web"))
        await asyncio.sleep(2)
        bound.set()
        await asyncio.sleep(10)

    assert together == {False: 1, True: 8}
    assert all(pod.status.conditions for pod in api.all(Pod) if pod.metadata.name != "web")
