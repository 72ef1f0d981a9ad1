"""Controllers that wake up in the past, and controllers that miss what came and went: nobody dies of either.

Kubernetes has been found wanting here (Sieve, OSDI 2022: stale states and unobserved states).
"""

import asyncio

import pytest
from wishes import KINDS, Present, a_workload, controller_of, lacks

from wherry.api.core.pod import Pod
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.journal import Write
from wherry.sim.network import Faults
from wherry.sim.virtual_time import run

MANAGER = "system:kube-controller-manager"
NODES = {"node-1", "node-2", "node-3"}
REPLICAS = {"web": 3, "db": 3, "agent": None}


def wish_for(name: str, image: str) -> dict[str, object]:
    """A workload of a kind, in a version."""
    replicas = REPLICAS[name]
    return a_workload(name, image=image, **({} if replicas is None else {"replicas": replicas}))


class Judge:
    """Follows a journal: who is made for an owner that is gone, and who is deleted of those that were there.

    Somebody made twice while the view of pods lags most, and deleted again, is no harm: Kubernetes does the same.
    """

    def __init__(self, cluster: SimulatedCluster, present: Present) -> None:
        self.broken: list[str] = []
        self._present = present
        self._there = {obj["metadata"]["uid"] for kind in ("pods", "replicasets") for obj in present.all(kind)}
        cluster.journal.subscribe(self._written)

    def _written(self, write: Write) -> None:
        if write.actor != MANAGER or write.resource not in ("pods", "replicasets"):
            return
        what = f"at {write.at:.3f} {write.key}"
        if write.before is None and write.after and controller_of(write.after) not in self._owners():
            self.broken.append(f"{what} was made for an owner that is gone")
        dies = write.after is None or "deletionTimestamp" in write.after["metadata"]
        if dies and write.before and write.before["metadata"]["uid"] in self._there:
            self.broken.append(f"{what} was deleted")

    def _owners(self) -> set[str]:
        resources = ("deployments", "replicasets", "statefulsets", "daemonsets")
        return {obj["metadata"]["uid"] for resource in resources for obj in self._present.all(resource)}


async def wake_up_in_the_past(name: str, back: float) -> tuple[list[str], list[str]]:
    """The workload is replaced by another one of its name; controllers restart and see the world as it was before."""
    async with SimulatedCluster(nodes=3) as cluster:
        present = Present(cluster.journal)
        await cluster.admin.create(wish_for(name, "v1"))
        await asyncio.sleep(back)
        past = await cluster.journal.revision()
        await cluster.settle()
        await cluster.admin.delete(KINDS[name], name, "default", propagation="Background")
        await cluster.settle()
        second = wish_for(name, "v1")
        await cluster.admin.create(second)
        await cluster.settle()

        judge = Judge(cluster, present)
        cluster.controllers.kill()
        cluster.network.faults = Faults(lists_as_of=past, watch_lag_seconds=0.5)
        cluster.controllers.start()
        await asyncio.sleep(5)
        cluster.network.faults = Faults()
        await cluster.settle(quiet_seconds=60.0)
        return judge.broken, [*lacks(present, second, NODES), *present.orphans()]


@pytest.mark.parametrize("back", [0.05, 0.5, 8.0])
@pytest.mark.parametrize("name", sorted(REPLICAS))
def test_who_wakes_up_in_the_past_touches_nobody_of_the_present(name: str, back: float):
    assert run(wake_up_in_the_past(name, back), seed=3) == ([], [])


async def miss(name: str, what: str) -> list[str]:
    """While the controllers stand still something comes and goes, and no watch can tell of it any more."""
    async with SimulatedCluster(nodes=3) as cluster:
        present, wish = Present(cluster.journal), wish_for(name, "v1")
        await cluster.admin.create(wish)
        await cluster.settle()
        cluster.controllers.pause()
        if what == "a stranger came and went":
            labels = {"app": name, "pod-template-hash": "none"}
            spec = {"containers": [{"name": "app", "image": "v1"}]}
            stranger = {"metadata": {"name": "stranger", "namespace": "default", "labels": labels}, "spec": spec}
            await cluster.admin.create({"apiVersion": "v1", "kind": "Pod", **stranger})
            await cluster.admin.delete(Pod, "stranger", "default", grace_seconds=0)
        elif what == "a pod went":
            pods = (await cluster.admin.list(Pod, "default")).items
            await cluster.admin.delete(Pod, pods[-1].metadata.name, "default", grace_seconds=0)
        elif what == "the workload was replaced":
            await cluster.admin.delete(KINDS[name], name, "default", propagation="Background")
            await cluster.admin.create(wish)
        cluster.api_server.kill()
        await cluster.journal.compact(await cluster.journal.revision())
        cluster.api_server.start()
        await cluster.api_server.ready()
        cluster.controllers.resume()
        await asyncio.sleep(30)
        await cluster.settle(quiet_seconds=20.0)
        return [*lacks(present, wish, NODES), *present.orphans()]


@pytest.mark.parametrize("what", ["a stranger came and went", "a pod went", "the workload was replaced"])
@pytest.mark.parametrize("name", sorted(REPLICAS))
def test_what_nobody_saw_leaves_nothing_behind(name: str, what: str):
    assert run(miss(name, what), seed=3) == []
