"""A port of the node is one pod's; another one that is bound there all the same is rejected."""

from pathlib import Path

import pytest
from make import a_pod

from kubelet.resources.host_ports import are_taken
from tests.kubelet.nodes import a_container, a_manifest, a_node
from wherry.api.core.pod import Pod
from wherry.sim.virtual_time import in_virtual_time

WEB = {"containerPort": 80, "hostPort": 8080}
WHY = "Predicate NodePorts failed: node(s) didn't have free ports for the requested pod ports"


def a_taker(**port: object) -> Pod:
    return a_pod("web", containers=({"name": "c", "image": "i", "ports": ({"containerPort": 80, **port},)},))


@pytest.mark.parametrize(
    ("other", "is_taken"),
    [
        ({"hostPort": 8080}, True),
        ({"hostPort": 8080, "hostIP": "127.0.0.1"}, True),
        ({"hostPort": 8080, "protocol": "UDP"}, False),
        ({"hostPort": 8081}, False),
        ({}, False),
    ],
)
def test_ports_collide_by_protocol_number_and_address(other: dict[str, object], is_taken: bool):
    assert are_taken(a_taker(hostPort=8080), [a_taker(**other)]) is is_taken


def test_two_addresses_share_a_port():
    one, two = (a_taker(hostPort=8080, hostIP=address) for address in ("127.0.0.1", "127.0.0.2"))

    assert not are_taken(one, [two])


@in_virtual_time
async def test_a_pod_whose_host_port_is_taken_is_rejected_and_the_first_one_stays(tmp_path: Path):
    async with a_node(tmp_path) as node:
        await node.create(a_manifest("first", a_container(ports=[WEB])))
        await node.until("first", lambda pod: pod.status.ready)
        await node.create(a_manifest("second", a_container(ports=[WEB])))

        second = await node.until("second", lambda pod: pod.status.phase == "Failed")

        assert (second.status.reason, second.status.message) == ("NodePorts", f"Pod was rejected: {WHY}")
        assert "NodePorts" in await node.reasons("second")
        assert (await node.pod("first")).status.ready


@in_virtual_time
async def test_after_a_restart_the_pod_that_ran_keeps_its_port(tmp_path: Path):
    async with a_node(tmp_path) as node:
        await node.create(a_manifest("z-first", a_container(ports=[WEB])))
        await node.until("z-first", lambda pod: pod.status.ready)
        await node.crash()
        await node.create(a_manifest("a-second", a_container(ports=[WEB])))
        await node.start()

        await node.until("a-second", lambda pod: pod.status.phase == "Failed")

        assert (await node.pod("z-first")).status.ready


@in_virtual_time
async def test_a_port_is_free_again_when_its_pod_is_gone(tmp_path: Path):
    async with a_node(tmp_path) as node:
        await node.create(a_manifest("first", a_container(ports=[WEB])))
        await node.until("first", lambda pod: pod.status.ready)
        await node.admin.delete(Pod, "first", "default")
        await node.until_gone("first")

        await node.create(a_manifest("second", a_container(ports=[WEB])))

        await node.until("second", lambda pod: pod.status.ready)
