"""No card is granted for more memory than it has, whatever crashes when: whole cards and parts of them, mixed."""

import asyncio
import json
from collections import defaultdict
from functools import cache

import pytest

from wherry.api.core.pod import Pod
from wherry.api.resource.gpu import GRANTED, MEMORY, read_share
from wherry.sim.cluster import SimulatedCluster, schedule
from wherry.sim.virtual_time import run

SEED = 5
MOST_WRITES = 22


class Holders:
    """Follows a journal: which parts of which card pods have at every write; `broken` tells of too much."""

    def __init__(self, journal):
        self.pods, self.broken = {}, []
        journal.subscribe(self._written)

    def _written(self, write):
        if write.resource != "pods":
            return
        pod = write.after
        annotations = pod["metadata"].get("annotations", {}) if pod else {}
        is_over = pod is None or pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        share = read_share(annotations)
        cards = [] if is_over else list(filter(None, annotations.get(GRANTED, "").split(",")))
        self.pods[write.key] = dict.fromkeys(cards, share.fraction if share else 1.0)
        for card, parts in self.held().items():
            if sum(parts.values()) > 1.0 + 1e-9:
                self.broken.append(f"{write.at:.3f} {write.key}: {card} is held by {parts}")

    def held(self):
        found = defaultdict(dict)
        for key, cards in self.pods.items():
            for card, part in cards.items():
                found[card][key] = part
        return found


def a_pod(name, resource, amount):
    container = {"name": "main", "image": "train", "resources": {"limits": {resource: str(amount)}}}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {"containers": [container]}}


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


async def fill(cluster):
    """Two cards of 40 GiB: parts and a whole one; a part leaves, others follow, and one must wait."""
    for number, size in enumerate(("10Gi", "20Gi")):
        await cluster.admin.create(a_pod(f"part-{number}", MEMORY, size))
    await cluster.admin.create(a_pod("whole", "nvidia.com/gpu", 1))
    await cluster.settle()
    await cluster.admin.delete(Pod, "part-1", "default")
    for number, size in enumerate(("15Gi", "15Gi", "5Gi")):
        await cluster.admin.create(a_pod(f"later-{number}", MEMORY, size))
    await cluster.settle()


async def story(crash_after, schedulers=1):
    async with SimulatedCluster(nodes=1, gpus=2) as cluster:
        holders = Holders(cluster.journal)
        others = [cluster.part("system:kube-scheduler", schedule) for _ in range(schedulers - 1)]
        for other in others:
            other.start()
        await cluster.settle()
        crash = CrashOfTheScheduler(cluster, crash_after)
        await fill(cluster)
        pods = (await cluster.admin.list(Pod)).items
        for other in others:
            other.kill()
        bound = sorted(pod.metadata.name for pod in pods if pod.spec.node_name)
        full = sorted(round(sum(parts.values()), 3) for parts in holders.held().values() if parts)
        return json.dumps(holders.broken), len(bound), full, crash.writes


@cache
def undisturbed():
    return run(story(0), seed=SEED)


def test_parts_fill_one_card_and_the_other_stays_whole():
    broken, bound, full, writes = undisturbed()

    assert (broken, bound) == ("[]", 4)
    assert full in ([1.0, 1.0], [0.75, 1.0], [0.625, 1.0])
    assert writes <= MOST_WRITES


@pytest.mark.parametrize("number", range(1, MOST_WRITES + 1))
def test_a_crash_grants_no_part_twice(number):
    broken, bound, _, _ = run(story(number), seed=SEED)

    assert (broken, bound) == ("[]", 4)


@pytest.mark.parametrize("seed", range(4))
def test_two_schedulers_at_once_grant_no_more_than_there_is(seed):
    assert run(story(0, schedulers=2), seed=seed)[0] == "[]"
