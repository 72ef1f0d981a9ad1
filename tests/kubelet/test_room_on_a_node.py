"""What is bound to a node that has no room for it, by hand or by a second scheduler, is rejected there."""

from pathlib import Path

import pytest
from make import a_pod

from kubelet.resources.room import shortage
from tests.kubelet.nodes import a_container, a_manifest, a_node
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.machinery.quantity import Quantity
from wherry.sim.virtual_time import in_virtual_time

ALLOCATABLE = {name: Quantity.parse(text) for name, text in {"cpu": "4", "memory": "1Gi", "pods": "3"}.items()}


def an_asker(**requests: str) -> Pod:
    return a_pod("web", containers=({"name": "c", "image": "i", "resources": {"requests": requests}},))


@pytest.mark.parametrize(
    ("wanted", "others", "why"),
    [
        ({"cpu": "1"}, [{"cpu": "3"}], ""),
        ({"cpu": "1001m"}, [{"cpu": "3"}], "cpu, requested: 1001, used: 3000, capacity: 4000"),
        ({"memory": "1Mi"}, [{"memory": "1Gi"}], "memory, requested: 1048576, used: 1073741824, capacity: 1073741824"),
        ({}, [{"cpu": "5"}], ""),
        ({}, [{}, {}, {}], "pods, requested: 1, used: 3, capacity: 3"),
        ({"nvidia.com/gpu": "8"}, [], ""),
    ],
)
def test_a_node_lacks_what_others_ask_for_already(wanted: dict[str, str], others: list[dict[str, str]], why: str):
    lack = shortage(an_asker(**wanted), [an_asker(**other) for other in others], ALLOCATABLE)

    assert str(lack or "") == (f"Node didn't have enough resource: {why}" if why else "")


@in_virtual_time
async def test_a_pod_for_which_there_is_no_room_is_rejected_and_the_first_one_stays(tmp_path: Path):
    async with a_node(tmp_path) as node:
        await node.create(a_manifest("first", a_container(resources={"requests": {"cpu": "1m"}})))
        await node.until("first", lambda pod: pod.status.ready)
        cpu = (await node.admin.get(Node, "n1")).status.allocatable["cpu"]
        await node.create(a_manifest("second", a_container(resources={"requests": {"cpu": str(cpu)}})))

        second = await node.until("second", lambda pod: pod.status.phase == "Failed")

        why = f"Node didn't have enough resource: cpu, requested: {cpu.millis}, used: 1, capacity: {cpu.millis}"
        assert (second.status.reason, second.status.message) == ("OutOfcpu", f"Pod was rejected: {why}")
        assert "OutOfcpu" in await node.reasons("second")
        assert (await node.pod("first")).status.ready
