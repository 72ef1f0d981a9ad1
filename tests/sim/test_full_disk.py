"""The store's disk is full for two minutes: nothing can be written, and nothing is concluded from that silence."""

import asyncio
import contextlib
from collections.abc import Iterator

import pytest

from apiserver.storage import StoreUnavailable
from wherry.api.core.config_map import ConfigMap
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.meta import find_condition
from wherry.machinery.errors import Unavailable
from wherry.sim.cluster import SimulatedCluster
from wherry.sim.journal import Journal, Write
from wherry.sim.virtual_time import in_virtual_time, run

FULL_SECONDS = 120.0


@contextlib.contextmanager
def disk_full(journal: Journal) -> Iterator[None]:
    """No write of the store succeeds."""

    async def refuse(*_: object, **__: object) -> None:
        raise StoreUnavailable("database or disk is full")

    journal.put = journal.delete = refuse  # type: ignore[assignment,method-assign]
    try:
        yield
    finally:
        del journal.put, journal.delete


def a_map(name: str) -> dict[str, object]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "default"}}


def a_pod(name: str) -> dict[str, object]:
    spec = {"containers": [{"name": "app", "image": "web"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def unready(write: Write) -> bool:
    """Whether a node or a pod was said not to be ready any more."""
    if write.resource not in ("minions", "pods") or write.before is None:
        return False
    states = [_ready(shown) for shown in (write.before, write.after)]
    return states[0] == "True" and states[1] != "True"


def _ready(shown: dict | None) -> str:
    conditions = (shown or {}).get("status", {}).get("conditions", [])
    return next((each["status"] for each in conditions if each["type"] == "Ready"), "")


@pytest.mark.parametrize("nodes", [1, 3])
@pytest.mark.parametrize("seed", range(5))
def test_no_node_is_called_dead_because_nobody_could_write(nodes: int, seed: int):
    async def story() -> list[Write]:
        writes: list[Write] = []
        async with SimulatedCluster(nodes=nodes) as cluster:
            await cluster.settle()
            await cluster.admin.create(a_pod("web"))
            await cluster.settle()
            cluster.journal.subscribe(writes.append)
            with disk_full(cluster.journal):
                await asyncio.sleep(FULL_SECONDS)
                with pytest.raises(Unavailable, match="database or disk is full"):
                    await cluster.admin.create(a_map("refused"))
                assert (await cluster.admin.get(Pod, "web", "default")).status.phase == "Running"
                assert writes == []
            await asyncio.sleep(FULL_SECONDS)
            await cluster.admin.create(a_map("accepted"))
            assert (await cluster.admin.get(ConfigMap, "accepted", "default")).metadata.name == "accepted"
            for number in range(1, nodes + 1):
                node = await cluster.admin.get(Node, f"node-{number}")
                ready = find_condition(node.status.conditions, "Ready")
                assert ready is not None
                assert ready.is_true
        return writes

    assert [write for write in run(story(), seed=seed) if unready(write)] == []


@in_virtual_time
async def test_a_lone_node_that_falls_silent_while_others_can_write_is_called_dead():
    async with SimulatedCluster(nodes=1) as cluster:
        await cluster.settle()
        cluster.nodes["node-1"].kill()
        await asyncio.sleep(70)
        ready = find_condition((await cluster.admin.get(Node, "node-1")).status.conditions, "Ready")

        assert ready is not None
        assert ready.status == "Unknown"
