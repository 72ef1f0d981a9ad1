"""Roll-outs while answers are lost and the controllers are killed: never too many pods, and the same end as ever.

Each seed is another run: `SEEDS` may be raised to look longer.
"""

import asyncio

import pytest
from make import a_deployment
from test_in_a_cluster import manifest

from wherry.api.apps.deployment import Deployment
from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.core.pod import Pod
from wherry.sim import virtual_time
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.network import Faults

SEEDS = 4
REPLICAS, SURGE, UNAVAILABLE = 4, 1, 1
WEB = manifest(a_deployment("web", replicas=REPLICAS, image="web:1"))


def another_image(image):
    return {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image}]}}}}


async def pods_of(cluster):
    return (await cluster.admin.list(Pod, "default")).items


async def watch_over(cluster):
    """Look at the pods after every change: their number and how many serve."""
    listed = await cluster.admin.list(Pod, "default")
    pods, since = {pod.metadata.uid: pod for pod in listed.items}, listed.revision
    while True:
        async for event in cluster.admin.watch(Pod, "default", since=since):
            since = event.revision
            if event.object is not None:
                pods[event.object.metadata.uid] = event.object
            if event.type == "DELETED":
                del pods[event.object.metadata.uid]
            active = [pod for pod in pods.values() if pod.is_active]
            assert len(active) <= REPLICAS + SURGE
            assert sum(pod.status.ready for pod in active) >= REPLICAS - UNAVAILABLE


async def end_of(cluster):
    """What the cluster looks like when it has come to rest."""
    await cluster.settle()
    deployment = await cluster.admin.get(Deployment, "web", "default")
    sizes = sorted(rs.spec.replicas for rs in (await cluster.admin.list(ReplicaSet, "default")).items)
    images = [pod.spec.containers[0].image for pod in await pods_of(cluster)]
    return sizes, images, deployment.status.available_replicas, deployment.status.conditions[-1].is_true


REACHED = ([0, REPLICAS], ["web:2"] * REPLICAS, REPLICAS, True)


async def rolled_out(cluster, disturb=None):
    await cluster.admin.create(WEB)
    await cluster.settle()
    watching = asyncio.create_task(watch_over(cluster))
    await cluster.admin.patch(Deployment, "web", "default", another_image("web:2"))
    if disturb is not None:
        await disturb(cluster)
    end = await end_of(cluster)
    assert not watching.done(), watching.result()
    watching.cancel()
    return end


@pytest.mark.parametrize("seed", range(SEEDS))
def test_lost_answers_make_no_pod_too_many(seed):
    async def story():
        async with SimulatedCluster(nodes=2, faults=Faults(lose_answers=0.1, lose_requests=0.05)) as cluster:
            return await rolled_out(cluster)

    assert virtual_time.run(story(), seed=seed) == REACHED


@pytest.mark.parametrize("step_seconds", [0.003, 0.007, 0.02, 0.3])
def test_controllers_that_are_killed_again_and_again_come_to_the_same_end(step_seconds):
    async def kill_often(cluster):
        for number in range(1, 25):
            await asyncio.sleep(number * step_seconds)
            cluster.controllers.kill()
            cluster.controllers.start()

    async def story():
        async with SimulatedCluster(nodes=2) as cluster:
            return await rolled_out(cluster, kill_often)

    assert virtual_time.run(story(), seed=1) == REACHED


@pytest.mark.parametrize("seed", range(SEEDS))
def test_watches_that_break_all_the_time_delay_but_do_not_mislead(seed):
    async def story():
        async with SimulatedCluster(nodes=2, faults=Faults(cut_watches_after_seconds=0.5)) as cluster:
            return await rolled_out(cluster)

    assert virtual_time.run(story(), seed=seed) == REACHED
