"""A burst of pods on nodes that become smaller and larger, with two schedulers of which one leads and is killed."""

import asyncio
from collections import defaultdict

import pytest

from scheduler.config import plugins_of
from scheduler.framework import load_plugins
from scheduler.runner import Scheduler
from scheduler.settings import SchedulerConfig
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.client.leader import Leader, LostLead
from wherry.machinery.quantity import Quantity
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.virtual_time import run

NODES, LARGE, SMALL, ASKED, PODS = 4, 10, 2, 0.5, 60
# How old what a scheduler knows of a node may be: the way there and back.
BLINK_SECONDS = 0.5


class Watchful:
    """Follows a journal: what was bound where, and what of it should not have been."""

    def __init__(self, cluster):
        self.where, self.wrong, self._cpus = {}, [], defaultdict(list)
        cluster.journal.subscribe(self._written)

    def _written(self, write):
        if write.resource == "minions" and write.after:
            cpu = Quantity.parse(str(write.after.get("status", {}).get("allocatable", {}).get("cpu", "0")))
            self._cpus[write.after["metadata"]["name"]].append((write.at, cpu.nanos / 1e9))
        node = write.after["spec"].get("nodeName") if write.resource == "pods" and write.after else None
        if node is None or self.where.get(write.key) == node:
            return
        if write.key in self.where:
            self.wrong.append(f"{write.key} was on {self.where[write.key]}, and is on {node}")
        self.where[write.key] = node
        held = ASKED * list(self.where.values()).count(node)
        if held > self._most_known(node, write.at):
            self.wrong.append(f"{write.at:.2f} {write.key}: {held} of {self._cpus[node][-1][1]} cpus of {node}")

    def _most_known(self, node, now):
        said = self._cpus[node]
        later = [cpu for at, cpu in said if at > now - BLINK_SECONDS]
        return max(later + [cpu for at, cpu in said if at <= now - BLINK_SECONDS][-1:])


def elected(name):
    async def schedule(client):
        known = load_plugins()
        profiles = {each.scheduler_name: plugins_of(each, known) for each in SchedulerConfig().profiles}
        while True:
            leader = Leader(client, "kube-scheduler", identity=name)
            try:
                await leader.lead(Scheduler(client, profiles, may_act=leader.holds).run)
            except LostLead:
                await asyncio.sleep(1)

    return schedule


def a_pod(number):
    resources = {"requests": {"cpu": str(ASKED)}}
    spec = {"containers": [{"name": "main", "image": "web", "resources": resources}]}
    metadata = {"name": f"pod-{number}", "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


async def resize(cluster, numbers, cpus):
    for number in numbers:
        sizes = {"status": {"allocatable": {"cpu": str(cpus)}, "capacity": {"cpu": str(cpus)}}}
        await cluster.admin.patch(Node, f"node-{number}", "", sizes, subresource="status")


async def burst(cluster):
    """All pods, while one node after the other shrinks; then the leader is killed, and the nodes grow again."""
    schedulers = [cluster.part("system:kube-scheduler", elected(name)) for name in ("one", "two")]
    cluster.scheduler.kill()
    schedulers[0].start()
    await cluster.settle()
    schedulers[1].start()
    for number in range(PODS):
        await cluster.admin.create(a_pod(number))
        if number % 12 == 6:
            await resize(cluster, [1 + number // 12 % NODES], SMALL)
        if number == PODS // 2:
            schedulers[0].kill()
    await asyncio.sleep(60)
    bound = [pod for pod in (await cluster.admin.list(Pod)).items if pod.spec.node_name]
    await resize(cluster, range(1, NODES + 1), LARGE)
    await asyncio.sleep(60)
    schedulers[1].kill()
    return len(bound)


async def story():
    async with SimulatedCluster(nodes=NODES, capacity={"cpu": str(LARGE)}) as cluster:
        watchful = Watchful(cluster)
        small = await burst(cluster)
        return tuple(watchful.wrong), small, len(watchful.where)


@pytest.mark.parametrize("seed", range(2))
def test_no_node_is_given_more_than_it_has_and_nobody_stays_behind(seed):
    wrong, bound_while_small, bound = run(story(), seed=seed)

    assert (wrong, bound) == ((), PODS)
    assert NODES * SMALL / ASKED <= bound_while_small < PODS
