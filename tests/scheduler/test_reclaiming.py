"""The scheduler while there are queues: who borrows waits, gives back, and is tried again when something is free."""

import asyncio
from contextlib import asynccontextmanager
from datetime import timedelta

from binding_api import BindingApi
from make import NOW, a_container, a_namespace, a_node, a_pod, an_object
from scheduling import all_plugins

from scheduler.runner import Scheduler
from wherry.api.core.pod import Pod
from wherry.api.sharing.queue import Queue
from wherry.sim.virtual_time import in_virtual_time

GPU = "nvidia.com/gpu"


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


def a_queue(name, own, **more):
    version = "scheduling.wherry.dev/v1alpha1"
    return an_object(Queue, name, api_version=version, spec={"nominal": {GPU: str(own)}, **more})


def in_queue(name, queue="", cards=1, **more):
    labels = {"wherry.dev/queue": queue} if queue else {}
    spec = {"containers": [a_container(requests={GPU: str(cards)})], "terminationGracePeriodSeconds": 0}
    return a_pod(name, labels=labels, spec=spec, **more)


def a_lab(**owns):
    api = BindingApi()
    for name, own in owns.items():
        api.put(a_queue(name, own))
    api.put(a_node("n", allocatable={GPU: str(sum(owns.values())), "cpu": "64", "memory": "64Gi", "pods": "110"}))
    return api


def placed(api):
    return {pod.metadata.name for pod in api.all(Pod) if pod.spec.node_name}


def condition(api, name):
    [pod] = [pod for pod in api.all(Pod) if pod.metadata.name == name]
    return next(each.message for each in pod.status.conditions if each.type == "PodScheduled")


@in_virtual_time
async def test_a_queue_borrows_what_is_idle_and_gives_it_back_when_the_owner_comes():
    api = a_lab(nlp=2, vision=2)
    async with scheduling(api):
        for number in range(5):
            api.put(in_queue(f"nlp-{number}", "nlp", status={"startTime": NOW + timedelta(number)}))
            await asyncio.sleep(1)
        waits = condition(api, "nlp-4")
        api.put(in_queue("mine", "vision", cards=2))
        await asyncio.sleep(10)
        going = [pod for pod in api.all(Pod) if pod.metadata.deleted_at]
        for pod in going:
            api.remove(pod)
        await asyncio.sleep(20)

    said = waits.partition(" preemption")[0]
    assert said == f"0/1 nodes are available: queue nlp: 1 {GPU} wanted; of its 2 it uses 4, and it may borrow 0 more."
    assert placed(api) == {"nlp-0", "nlp-1", "mine"}
    assert {pod.metadata.name for pod in api.all(Pod)} == {"nlp-0", "nlp-1", "nlp-4", "mine"}


@in_virtual_time
async def test_who_waits_for_quota_goes_when_it_is_raised_or_somebody_leaves():
    api = a_lab(nlp=1, vision=1)
    api.put(in_queue("own", "vision"))
    async with scheduling(api):
        await asyncio.sleep(1)
        for name in ("first", "second", "third"):
            api.put(in_queue(name, "nlp"))
            await asyncio.sleep(1)
        before = placed(api)
        api.put(a_node("more", allocatable={GPU: "8", "cpu": "64", "memory": "64Gi", "pods": "110"}))
        await asyncio.sleep(20)
        still = placed(api)
        api.put(a_queue("nlp", 2))
        await asyncio.sleep(20)

    assert (before, still, placed(api)) == ({"own", "first"}, {"own", "first"}, {"own", "first", "second"})


@in_virtual_time
async def test_a_namespace_may_name_the_queue_of_its_pods_and_a_restart_counts_the_same():
    api = a_lab(nlp=1, vision=1)
    api.put(a_namespace("text", labels={"wherry.dev/queue": "nlp"}))
    for number in range(3):
        api.put(in_queue(f"t-{number}", namespace="text"))
    for _ in range(2):
        async with scheduling(api):
            await asyncio.sleep(30)
            message = next(condition(api, pod.metadata.name) for pod in api.all(Pod) if not pod.spec.node_name)

    assert len(placed(api)) == 2
    assert (
        message.partition(" preemption")[0]
        == f"0/1 nodes are available: queue nlp: 1 {GPU} wanted; of its 1 it uses 2, and it may borrow 0 more."
    )
