"""StatefulSets and DaemonSets while controllers crash and the network loses what it likes, judged at every write.

Each seed is another life; `seeds.py` tells how to live others, or one again. Every tenth is lived
among all kinds there are.
"""

import asyncio
import random
from collections import Counter
from functools import cache
from typing import Any, NamedTuple

import pytest
from chaos import FAULTS, Silence
from crashes import NEVER, CrashAfter
from invariants import is_active, is_ready
from seeds import deeds, replay, seeds
from worlds import SETS

from wherry.api.apps.daemonset import DaemonSet
from wherry.api.apps.statefulset import StatefulSet
from wherry.api.core.pod import Pod
from wherry.machinery.errors import ApiError
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.journal import Object, Write
from wherry.sim.network import Faults
from wherry.sim.virtual_time import run

SEEDS = 16
MOST_WRITES = 34
KINDS = {"db": StatefulSet, "agent": DaemonSet}


def a_set(name: str, image: str = "v1", **spec: Any) -> Object:
    labels = {"app": name}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "app", "image": image}]}}
    spec = {"selector": {"matchLabels": labels}, "template": template, **spec}
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "apps/v1", "kind": KINDS[name].kind.name, "metadata": metadata, "spec": spec}


# The longest that a plan may not know yet of a pod's end: its watch lags, and a lost request is made again.
UNHEARD_SECONDS = FAULTS.watch_lag_seconds + 0.5


class Promises:
    """Follows a journal: pods of `db` come in order, and no node has two active pods of `agent`."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self.pods: dict[str, Object] = {}
        self.ended_at: dict[str, float] = {}
        self.broken: list[str] = []
        cluster.journal.subscribe(self._written)

    def _written(self, write: Write) -> None:
        if write.resource != "pods":
            return
        if write.after is None:
            self.pods.pop(write.key, None)
            self.ended_at[write.key] = write.at
            return
        self.pods[write.key] = write.after
        if write.before is None:
            name = write.after["metadata"]["name"]
            self._came_in_order(write, name) if name.startswith("db-") else self._is_alone(write)

    def _came_in_order(self, write: Write, name: str) -> None:
        before = {number: f"{write.key[:-1]}{number}" for number in range(int(name[3:]))}
        heard_of = write.at - UNHEARD_SECONDS
        known = {*self.pods, *(key for key, at in self.ended_at.items() if at > heard_of)}
        if missing := [number for number, key in before.items() if key not in known]:
            self.broken.append(f"{name} came at {write.at:.3f} before {missing}")

    def _is_alone(self, write: Write) -> None:
        nodes = Counter(node_of(pod) for pod in self.of("agent") if is_active(pod))
        crowded = [node for node, count in nodes.items() if count > 1]
        if crowded:
            self.broken.append(f"{write.key} came at {write.at:.3f} as the second on {crowded}")

    def of(self, name: str) -> list[Object]:
        return [pod for pod in self.pods.values() if pod["metadata"]["labels"]["app"] == name]

    def state(self) -> dict[str, list[str]]:
        """Who is there in the end: names and versions of `db`, nodes and versions of `agent`."""
        db = [f"{pod['metadata']['name']} {image_of(pod)} {is_ready(pod)}" for pod in self.of("db")]
        agent = [f"{node_of(pod)} {image_of(pod)} {is_ready(pod)}" for pod in self.of("agent")]
        return {"db": sorted(db), "agent": sorted(agent)}


def node_of(pod: Object) -> str:
    required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    return str(required["nodeSelectorTerms"][0]["matchFields"][0]["values"][0])


def image_of(pod: Object) -> str:
    return str(pod["spec"]["containers"][0]["image"])


# -- a crash after each write ------------------------------------------------------------------------------------------


class Outcome(NamedTuple):
    """How it ended, and after how many writes of the controllers."""

    state: dict[str, list[str]]
    broken: list[str]
    writes: int


async def grow_and_update(crash_after: int) -> Outcome:
    """From one pod of v1 to three of v2, and from v1 to v2 on each node; the controllers crash once."""
    async with SimulatedCluster(nodes=3).of(*SETS) as cluster:
        promises = Promises(cluster)
        await cluster.settle()
        await cluster.admin.create(a_set("db", replicas=1))
        await cluster.admin.create(a_set("agent"))
        await cluster.settle()
        crash = CrashAfter(cluster, crash_after)
        for name, spec in (("db", {"replicas": 3}), ("agent", {})):
            template = a_set(name, "v2")["spec"]["template"]
            await cluster.admin.patch(KINDS[name], name, "default", {"spec": {"template": template, **spec}})
        await cluster.settle()
        return Outcome(promises.state(), promises.broken, crash.writes)


@cache
def undisturbed() -> Outcome:
    return run(grow_and_update(NEVER), seed=5)


def test_it_takes_no_more_writes_than_are_tried():
    assert 20 < undisturbed().writes <= MOST_WRITES
    assert undisturbed().state == {
        "db": [f"db-{number} v2 True" for number in range(3)],
        "agent": [f"node-{number} v2 True" for number in range(1, 4)],
    }


@pytest.mark.parametrize("number", range(1, MOST_WRITES + 1))
def test_a_crash_changes_nothing_in_the_end(number: int):
    outcome = run(grow_and_update(number), seed=5)

    assert (outcome.state, outcome.broken) == (undisturbed().state, [])


# -- chaos -------------------------------------------------------------------------------------------------------------


class Chaos:
    """Sizes and versions change, pods are deleted, controllers and nodes die; all by seed."""

    def __init__(self, cluster: SimulatedCluster, chance: random.Random) -> None:
        self._cluster, self._chance = cluster, chance
        self._sets = {"db": a_set("db", replicas=2), "agent": a_set("agent")}

    async def rage(self, deeds: int) -> None:
        """Create both, and do so many things to them."""
        for manifest in self._sets.values():
            await self._cluster.admin.create(manifest)
        for _ in range(deeds):
            await self._chance.choice((self._change, self._change, self._delete_a_pod, self._restart, self._lose))()
            await asyncio.sleep(self._chance.choice((0.0, 0.2, 1.0, 5.0, 20.0)))

    async def _change(self) -> None:
        name, version = self._chance.choice(sorted(self._sets)), f"v{self._chance.randint(1, 3)}"
        size = {"replicas": self._chance.randint(0, 4)} if name == "db" else {}
        self._sets[name] = a_set(name, version, **size)
        await self._insist(KINDS[name], name, self._sets[name]["spec"])

    async def _insist(self, kind: Any, name: str, spec: Any) -> None:
        while True:
            try:
                await self._cluster.admin.patch(kind, name, "default", {"spec": spec})
                return
            except ApiError:
                await asyncio.sleep(0.1)

    async def _delete_a_pod(self) -> None:
        try:
            pods = (await self._cluster.admin.list(Pod, "default")).items
            if pods:
                await self._cluster.admin.delete(Pod, self._chance.choice(pods).metadata.name, "default")
        except ApiError:
            return  # lost on the way, or gone already: that is chaos as well

    async def _restart(self) -> None:
        self._cluster.controllers.kill()
        await asyncio.sleep(self._chance.choice((0.0, 0.5, 3.0)))
        self._cluster.controllers.start()

    async def _lose(self) -> None:
        node = self._cluster.nodes[self._chance.choice(sorted(self._cluster.nodes))]
        node.kill()
        await asyncio.sleep(self._chance.choice((0.0, 5.0)))
        node.start()

    def wanted(self) -> dict[str, list[str]]:
        """Who should be there."""
        db, agent = self._sets["db"]["spec"], self._sets["agent"]["spec"]
        versions = [spec["template"]["spec"]["containers"][0]["image"] for spec in (db, agent)]
        return {
            "db": [f"db-{number} {versions[0]} True" for number in range(db["replicas"])],
            "agent": [f"node-{number} {versions[1]} True" for number in range(1, 4)],
        }


async def live_through(seed: int) -> list[str]:
    """A life of a cluster; gives the promises that it broke."""
    world = SimulatedCluster(nodes=3)
    async with world.of(*SETS) if seed % 10 else world as cluster:
        promises, chaos = Promises(cluster), Chaos(cluster, random.Random(seed))
        await cluster.settle()
        cluster.network.faults = FAULTS
        await chaos.rage(deeds(seed, long=15, short=4))
        cluster.network.faults = Faults()
        await cluster.settle()
        silence = Silence(cluster)
        await asyncio.sleep(60)
        state, wanted = promises.state(), chaos.wanted()
        broken = [*promises.broken, *silence.broken]
        if state != wanted:
            broken.append(f"ended as {state}, wanted was {wanted}")
        return [*broken, replay(seed, __file__)] if broken else []


@pytest.mark.parametrize("seed", seeds(SEEDS))
def test_they_keep_their_promises_and_end_up_as_wanted(seed: int):
    assert run(live_through(seed), seed=seed) == []
