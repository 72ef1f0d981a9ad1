"""The garbage collector crashes after each of its writes, or is down while owners go: what lives from the dead goes.

Kubernetes: owners are meant by uid, never by name, and only in the namespace of what they own.
"""

from functools import cache
from typing import Any, NamedTuple

import pytest
from chaos import a_deployment
from crashes import NEVER, CrashAfter
from invariants import name_of

from wherry.api.apps.deployment import Deployment
from wherry.api.core.config_map import ConfigMap
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.journal import Object, Write
from wherry.sim.virtual_time import in_virtual_time, run

SEED = 5
# The controllers write about this often while they collect; the test fails if it is more often.
MOST_WRITES = 24
COLLECTED = ("configmaps", "deployments", "pods", "replicasets")


def a_config_map(name: str, *owners: dict[str, Any], namespace: str = "default") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "ownerReferences": [reference_to(owner) for owner in owners]}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata}


def reference_to(owner: dict[str, Any]) -> dict[str, Any]:
    metadata = owner["metadata"]
    reference = {key: owner[key] for key in ("apiVersion", "kind")} | {key: metadata[key] for key in ("name", "uid")}
    return {**reference, "blockOwnerDeletion": True}


class Left:
    """Follows a journal: what there is, and who owns it."""

    def __init__(self, cluster: SimulatedCluster) -> None:
        self._objects: dict[str, Object | None] = {}
        cluster.journal.subscribe(self._written)

    def _written(self, write: Write) -> None:
        if write.resource in COLLECTED and "kube-root-ca.crt" not in write.key:
            self._objects[write.key] = write.after

    def owners(self) -> dict[str, list[str]]:
        """The names of what is left in namespace default, and of its owners."""
        there = {name_of(key): obj for key, obj in self._objects.items() if obj and "/default/" in key}
        return {
            name: [owner["name"] for owner in obj["metadata"].get("ownerReferences", ())] for name, obj in there.items()
        }


class Outcome(NamedTuple):
    """What is left, and after how many writes of the controllers."""

    left: dict[str, list[str]]
    writes: int


async def collect(crash_after: int) -> Outcome:
    """Delete a Deployment before and one after its pods, and one owner each of two; the controllers crash once."""
    async with SimulatedCluster(nodes=2) as cluster:
        left = Left(cluster)
        await cluster.settle()
        await cluster.admin.create(a_deployment("web", replicas=2))
        await cluster.admin.create(a_deployment("api", replicas=2))
        going, staying = [await cluster.admin.create(a_config_map(name)) for name in ("going", "staying")]
        only = await cluster.admin.create(a_config_map("of-one", going))
        await cluster.admin.create(a_config_map("of-two", going, staying))
        await cluster.admin.create(a_config_map("of-the-first", only))
        await cluster.settle()
        crash = CrashAfter(cluster, crash_after)
        await cluster.admin.delete(Deployment, "web", "default", propagation="Foreground")
        await cluster.admin.delete(Deployment, "api", "default", propagation="Background")
        await cluster.admin.delete(ConfigMap, "going", "default", propagation="Foreground")
        await cluster.settle()
        return Outcome(left.owners(), crash.writes)


@cache
def undisturbed() -> Outcome:
    return run(collect(NEVER), seed=SEED)


def test_collecting_takes_no_more_writes_than_are_tried():
    assert undisturbed().left == {"staying": [], "of-two": ["staying"]}
    assert 8 < undisturbed().writes <= MOST_WRITES


@pytest.mark.parametrize("number", range(1, MOST_WRITES + 1))
def test_a_crash_leaves_nothing_behind_and_takes_nothing_else(number: int):
    assert run(collect(number), seed=SEED).left == undisturbed().left


@in_virtual_time
async def test_who_was_replaced_while_the_collector_was_down_keeps_no_child_of_the_dead_one():
    async with SimulatedCluster(nodes=2) as cluster:
        await cluster.admin.create(a_deployment("web", replicas=2, image="v1"))
        await cluster.settle()
        left = Left(cluster)
        cluster.controllers.kill()
        await cluster.admin.delete(Deployment, "web", "default")
        second = await cluster.admin.create(a_deployment("web", replicas=1, image="v2"))
        await cluster.admin.create(a_config_map("settings", second))
        cluster.controllers.start()
        await cluster.settle()

        kinds = sorted(owners[0] if owners else "" for owners in left.owners().values())
        [replica_set] = [name for name, owners in left.owners().items() if owners == ["web"] and name != "settings"]
        assert kinds == ["", "web", "web", replica_set]


@in_virtual_time
async def test_an_owner_in_another_namespace_keeps_nobody_alive_and_its_own_children_stay():
    async with SimulatedCluster(nodes=0) as cluster:
        left = Left(cluster)
        await cluster.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}})
        owner = await cluster.admin.create(a_config_map("owner", namespace="shop"))
        cluster.controllers.kill()
        await cluster.admin.create(a_config_map("stranger", owner))
        await cluster.admin.create(a_config_map("child", owner, namespace="shop"))
        cluster.controllers.start()
        await cluster.settle()

        there = {found.metadata.name for found in (await cluster.admin.list(ConfigMap, "shop")).items}
        assert (left.owners(), there & {"owner", "child"}) == ({}, {"owner", "child"})
