"""No device is ever granted twice: the scheduler crashes after its n-th write, or there are two of them."""

import asyncio
import json
from collections import defaultdict
from functools import cache

import pytest

from wherry.api.core.pod import Pod
from wherry.api.resource.gpu import DRIVER, GRANTED
from wherry.sim.cluster import SimulatedCluster, schedule
from wherry.sim.virtual_time import run

SEED = 11
NODES, CARDS = 2, 4
MOST_WRITES = 20


class Holders:
    """Follows a journal: who holds which card, at every write; `broken` tells of cards with two holders."""

    def __init__(self, journal):
        self.pods, self.claims, self.broken = {}, {}, []
        journal.subscribe(self._written)

    def _written(self, write):
        if write.resource == "pods":
            self._pod(write)
        elif write.resource == "resourceclaims":
            self._claim(write)
        else:
            return
        for card, holders in self.held().items():
            if len(holders) > 1:
                self.broken.append(f"{write.at:.3f} {write.key}: {card} is held by {sorted(holders)}")

    def _pod(self, write):
        pod = write.after
        record = pod["metadata"].get("annotations", {}).get(GRANTED, "") if pod else ""
        is_over = pod is None or pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
        self.pods[write.key] = set() if is_over else set(filter(None, record.split(",")))

    def _claim(self, write):
        allocation = ((write.after or {}).get("status") or {}).get("allocation") or {}
        results = allocation.get("devices", {}).get("results", [])
        self.claims[write.key] = {f"GPU-{each['pool']}-{each['device'].removeprefix('gpu-')}" for each in results}

    def held(self):
        found = defaultdict(set)
        for key, cards in (self.pods | self.claims).items():
            for card in cards:
                found[card].add(key)
        return found


def a_pod(name, cards=0, claim="", seconds_to_live=""):
    resources = {"limits": {"nvidia.com/gpu": str(cards)}} if cards else {}
    spec = {"containers": [{"name": "main", "image": "train", "resources": resources}]}
    if claim:
        spec["resourceClaims"] = [{"name": "card", "resourceClaimName": claim}]
        spec["containers"][0]["resources"]["claims"] = [{"name": "card"}]
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def a_claim(name, count=1):
    exactly = {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": count}
    spec = {"devices": {"requests": [{"name": "cards", "exactly": exactly}]}}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": metadata, "spec": spec}


A_CLASS = {
    "apiVersion": "resource.k8s.io/v1",
    "kind": "DeviceClass",
    "metadata": {"name": "gpu"},
    "spec": {"selectors": [{"cel": {"expression": f'device.driver == "{DRIVER}"'}}]},
}


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
    """Eight cards, wanted by pods that count them and by claims; some leave, and others follow."""
    for number, cards in enumerate((1, 2, 1)):
        await cluster.admin.create(a_pod(f"counts-{number}", cards))
    for number in range(3):
        await cluster.admin.create(a_claim(f"claim-{number}"))
        await cluster.admin.create(a_pod(f"claims-{number}", claim=f"claim-{number}"))
    await cluster.settle()
    await cluster.admin.delete(Pod, "counts-1", "default")
    for number, cards in enumerate((1, 1, 1, 2)):
        await cluster.admin.create(a_pod(f"later-{number}", cards))
    await cluster.settle()


async def story(crash_after, schedulers=1):
    async with SimulatedCluster(nodes=NODES, gpus=CARDS) as cluster:
        holders = Holders(cluster.journal)
        others = [cluster.part("system:kube-scheduler", schedule) for _ in range(schedulers - 1)]
        for other in others:
            other.start()
        await cluster.settle()
        await cluster.admin.create(A_CLASS)
        crash = CrashOfTheScheduler(cluster, crash_after)
        await fill(cluster)
        pods = (await cluster.admin.list(Pod)).items
        for other in others:
            other.kill()
        bound = sorted(pod.metadata.name for pod in pods if pod.spec.node_name)
        return json.dumps(holders.broken), bound, sum(map(len, holders.held().values())), crash.writes


@cache
def undisturbed():
    return run(story(0), seed=SEED)


def test_all_cards_are_given_out_each_to_one():
    broken, bound, held, writes = undisturbed()

    assert (broken, len(bound), held) == ("[]", 8, 8)
    assert writes <= MOST_WRITES


@pytest.mark.parametrize("number", range(1, MOST_WRITES + 1))
def test_a_crash_grants_nothing_twice_and_loses_nothing(number):
    broken, bound, held, _ = run(story(number), seed=SEED)

    assert (broken, len(bound), held) == ("[]", 8, 8)


@pytest.mark.parametrize("seed", range(4))
def test_two_schedulers_at_once_grant_no_counted_card_twice(seed):
    broken, _, _, _ = run(story(0, schedulers=2), seed=seed)

    assert [each for each in json.loads(broken) if each.count("/pods/") > 1] == []
