"""No two gangs ever hold half of a cluster each: the scheduler crashes after its n-th write, for every n."""

import asyncio
from functools import cache

import pytest
from test_devices_granted_once import A_CLASS, Holders, a_claim

from wherry.api.core.pod import Pod
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.virtual_time import run

SEED = 3
SIZE = 3
MOST_WRITES = 20
CLAIM = "claims"
# How members ask for a card, or most of one.
WAYS = {"cards": {"nvidia.com/gpu": "1"}, "parts": {"wherry.dev/gpu-memory": "30Gi"}, CLAIM: {}}


def a_member(gang, index, way="cards"):
    spec = {"containers": [{"name": "main", "image": "train", "resources": {"limits": WAYS[way]}}]}
    if way == CLAIM:
        spec["resourceClaims"] = [{"name": "card", "resourceClaimName": f"{gang}-{index}"}]
        spec["containers"][0]["resources"]["claims"] = [{"name": "card"}]
    spec["schedulingGroup"] = {"podGroupName": gang}
    metadata = {"name": f"{gang}-{index}", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def a_gang(name):
    spec = {"schedulingPolicy": {"gang": {"minCount": SIZE}}}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "scheduling.k8s.io/v1beta1", "kind": "PodGroup", "metadata": metadata, "spec": spec}


class CrashOfTheScheduler:
    """Kills it after its n-th write; it is back a second later."""

    def __init__(self, cluster, number):
        self._cluster, self._number, self.writes = cluster, number, 0
        cluster.journal.subscribe(self._written)

    def _written(self, write):
        if "kube-scheduler" not in write.actor or write.resource in ("events", "leases"):
            return
        self.writes += 1
        if self.writes == self._number:
            self._cluster.scheduler.kill()
            asyncio.get_running_loop().call_later(1.0, self._cluster.scheduler.start)


async def holding(cluster):
    """How many pods of each gang have a card."""
    pods = (await cluster.admin.list(Pod)).items
    bound = [pod.metadata.name[0] for pod in pods if pod.spec.node_name]
    return {gang: bound.count(gang) for gang in ("a", "b")}


async def come(cluster, way):
    """The pods of both gangs, in turns, and what they claim."""
    if way == CLAIM:
        await cluster.admin.create(A_CLASS)
    for gang in ("a", "b"):
        await cluster.admin.create(a_gang(gang))
    for name in (f"{gang}-{index}" for index in range(SIZE) for gang in ("a", "b")):
        if way == CLAIM:
            await cluster.admin.create(a_claim(name))
        await cluster.admin.create(a_member(name[0], name[2:], way))


async def story(crash_after, way="cards"):
    """Two gangs of three want four cards; whoever got them ends, and the other follows."""
    async with SimulatedCluster(nodes=2, gpus=2) as cluster:
        holders = Holders(cluster.journal)
        await cluster.settle()
        crash = CrashOfTheScheduler(cluster, crash_after)
        await come(cluster, way)
        await cluster.settle()
        first = await holding(cluster)
        winner = max(first, key=first.get)
        for index in range(SIZE):
            await cluster.admin.delete(Pod, f"{winner}-{index}", "default")
        # Who was refused several times pauses for up to ten seconds.
        await cluster.settle(quiet_seconds=12)
        then = sorted((await holding(cluster)).values())
        return sorted(first.values()), then, [broken for broken in holders.broken if way != "parts"], crash.writes


@cache
def undisturbed(way):
    return run(story(0, way), seed=SEED)


@pytest.mark.parametrize("way", WAYS)
def test_one_gang_goes_after_the_other(way):
    first, then, broken, writes = undisturbed(way)

    assert (first, then, broken) == ([0, SIZE], [0, SIZE], [])
    assert 8 < writes <= MOST_WRITES * (2 if way == CLAIM else 1)


@pytest.mark.parametrize("number", range(1, MOST_WRITES + 1))
def test_a_crash_leaves_no_gang_with_half(number):
    first, then, broken, _ = run(story(number), seed=SEED)

    assert (first, then, broken) == ([0, SIZE], [0, SIZE], [])


@pytest.mark.parametrize("number", range(1, 2 * MOST_WRITES, 2))
def test_a_crash_leaves_no_gang_with_half_of_its_claims(number):
    first, then, broken, _ = run(story(number, CLAIM), seed=SEED)

    assert (first, then, broken) == ([0, SIZE], [0, SIZE], [])


@pytest.mark.parametrize("number", range(1, MOST_WRITES, 3))
def test_a_crash_leaves_no_gang_with_half_of_its_parts(number):
    first, then, _, _ = run(story(number, "parts"), seed=SEED)

    assert (first, then) == ([0, SIZE], [0, SIZE])


async def preempting(crash_after):
    """Four pods have the four cards, and a more important gang of three comes."""
    async with SimulatedCluster(nodes=2, gpus=2) as cluster:
        await cluster.settle()
        metadata = {"name": "high"}
        api = "scheduling.k8s.io/v1"
        await cluster.admin.create({"apiVersion": api, "kind": "PriorityClass", "metadata": metadata, "value": 100})
        for index in range(4):
            low = a_member("low", index)
            del low["spec"]["schedulingGroup"]
            await cluster.admin.create(low)
        await cluster.settle()
        CrashOfTheScheduler(cluster, crash_after)
        await cluster.admin.create(a_gang("a"))
        for index in range(SIZE):
            member = a_member("a", index)
            member["spec"]["priorityClassName"] = "high"
            await cluster.admin.create(member)
        await cluster.settle()
        pods = (await cluster.admin.list(Pod)).items
        return [sum(1 for pod in pods if pod.metadata.name.startswith(name)) for name in ("a", "low")], await holding(
            cluster
        )


@pytest.mark.parametrize("number", [0, *range(1, MOST_WRITES, 3)])
def test_a_crash_while_others_make_way_sends_nobody_away_in_vain(number):
    assert run(preempting(number), seed=SEED) == ([SIZE, 1], {"a": SIZE, "b": 0})
