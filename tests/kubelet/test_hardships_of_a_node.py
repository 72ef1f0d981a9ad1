"""What others do to a node's pods and files, and pods that ask for what cannot be: nobody else suffers."""

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from kubelet.images import credentials_for
from kubelet.runtime.base import ContainerSpec, PodKey, SandboxSpec
from kubelet.runtime.fake import FakeRuntime, Start
from tests.kubelet.docker_engine import TEST_IMAGE
from tests.kubelet.nodes import NodeUnderTest, a_container, a_manifest, a_node, status, waits_for
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.core.secret import Secret
from wherry.api.meta import find_condition
from wherry.client import clock
from wherry.sim.virtual_time import in_virtual_time

GHOST = PodKey("default", "ghost", "00000000-0000-0000-0000-000000000000")


def recording(specs: list[ContainerSpec]) -> FakeRuntime:
    """A runtime that notes what it is asked for."""

    def script(spec: ContainerSpec) -> Start:
        specs.append(spec)
        return Start()

    return FakeRuntime(clock.now, images=(TEST_IMAGE,), script=script)


@in_virtual_time
async def test_files_that_the_node_writes_are_for_reading_only(tmp_path: Path):
    specs: list[ContainerSpec] = []
    volumes = [{"name": "settings", "configMap": {"name": "s", "optional": True}}, {"name": "scratch", "emptyDir": {}}]
    mounts = [{"name": "settings", "mountPath": "/settings"}, {"name": "scratch", "mountPath": "/scratch"}]
    async with a_node(tmp_path, recording(specs)) as node:
        await node.create(a_manifest("web", a_container(volumeMounts=mounts), volumes=volumes))
        await node.until("web", lambda pod: pod.status.ready)

    assert {m.target: m.is_read_only for m in specs[0].mounts if m.target in ("/settings", "/scratch")} == {
        "/settings": True,
        "/scratch": False,
    }


async def start_ghost(runtime: FakeRuntime) -> None:
    """A container of a pod that the API server does not know."""
    sandbox = await runtime.create_sandbox(SandboxSpec(GHOST, 0, TEST_IMAGE, ()))
    await runtime.start(await runtime.create_container(ContainerSpec(GHOST, "app", 0, sandbox, TEST_IMAGE)))


@in_virtual_time
async def test_a_pod_that_comes_while_orphans_are_swept_keeps_its_folder(tmp_path: Path):
    runtime = FakeRuntime(clock.now, images=(TEST_IMAGE,))
    async with a_node(tmp_path, runtime) as node:
        await asyncio.sleep(59)
        await start_ghost(runtime)
        await asyncio.sleep(1.5)
        await node.create(a_manifest("web", volumes=[{"name": "scratch", "emptyDir": {}}]))
        pod = await node.until("web", lambda pod: pod.status.ready)
        await asyncio.sleep(10)

        assert {record.pod.name for record in (await runtime.inventory()).containers} == {"web"}
        assert (tmp_path / "pods" / pod.metadata.uid / "volumes/scratch").is_dir()


async def say_of_node(node: NodeUnderTest, status: str) -> None:
    """What the controllers say of a node that has been silent."""
    condition = {"type": "Ready", "status": status, "reason": "NodeStatusUnknown"}
    patch = {"status": {"conditions": [condition]}}
    await node.admin.patch(Node, "n1", "", patch, subresource="status", type="strategic")


@in_virtual_time
async def test_a_node_that_was_believed_dead_says_soon_that_it_lives(tmp_path: Path):
    async with a_node(tmp_path) as node:
        await asyncio.sleep(15)
        await say_of_node(node, "Unknown")
        at = clock.now()
        await asyncio.sleep(15)

        ready = find_condition((await node.admin.get(Node, "n1")).status.conditions, "Ready")

    assert (ready.status, ready.reason) == ("True", "KubeletReady")
    assert ready.last_transition_time >= at.replace(microsecond=0)


@in_virtual_time
async def test_a_pod_that_others_called_unready_is_called_ready_again(tmp_path: Path):
    async with a_node(tmp_path) as node:
        await node.create(a_manifest("web"))
        await node.until("web", lambda pod: pod.status.ready)
        await asyncio.sleep(5)
        at = clock.now()
        unready = {"status": {"conditions": [{"type": "Ready", "status": "False"}]}}
        await node.admin.patch(Pod, "web", "default", unready, subresource="status", type="strategic")

        pod = await node.until("web", lambda pod: pod.status.ready)

    # A younger time than that of the node's own trouble is what tells the controllers to leave the pod alone.
    assert find_condition(pod.status.conditions, "Ready").last_transition_time >= at.replace(microsecond=0)


NUL_IN_SUB_PATH = {"volumeMounts": [{"name": "scratch", "mountPath": "/s", "subPath": "a\0b"}]}
SCRATCH = [{"name": "scratch", "emptyDir": {}}]


@pytest.mark.parametrize(
    ("container", "volumes", "reason", "event"),
    [
        (NUL_IN_SUB_PATH, SCRATCH, "CreateContainerConfigError", "Failed"),
        ({}, [{"name": "host", "hostPath": {"path": "/a\0b"}}], "ContainerCreating", "FailedMount"),
        ({"image": "../../containers"}, [], "InvalidImageName", "Failed"),
        ({"image": "Upper:1"}, [], "InvalidImageName", "Failed"),
    ],
)
@in_virtual_time
async def test_a_pod_that_asks_for_what_cannot_be_waits_and_says_why(
    tmp_path: Path, container: dict[str, Any], volumes: list[Any], reason: str, event: str
):
    async with a_node(tmp_path) as node:
        await node.create(a_manifest("odd", a_container(**container), volumes=volumes))
        await node.create(a_manifest("web"))
        await node.until("web", lambda pod: pod.status.ready)
        await asyncio.sleep(5)

        assert waits_for(await node.pod("odd")) == reason
        assert event in await node.reasons("odd")


@pytest.mark.parametrize("grace_seconds", [2**63 - 1, -5])
@in_virtual_time
async def test_a_grace_beyond_all_time_still_begins_with_a_signal(tmp_path: Path, grace_seconds: int):
    async with a_node(tmp_path) as node:
        await node.create(a_manifest("web", terminationGracePeriodSeconds=grace_seconds))
        await node.until("web", lambda pod: pod.status.ready)

        await node.admin.delete(Pod, "web", "default")

        await node.until_gone("web", seconds=10)


@pytest.mark.parametrize("auth", ['{"auth": 5}', '{"auth": "/w=="}', "5", "[" * 100_000])
def test_a_pull_secret_that_nobody_can_read_is_no_login(auth: str):
    content = base64.b64encode(f'{{"auths": {{"registry.test": {auth}}}}}'.encode()).decode()

    assert credentials_for("registry.test/web:1", [Secret(data={".dockerconfigjson": content})]) is None


@in_virtual_time
async def test_nobody_asks_a_container_that_was_removed_behind_our_back(tmp_path: Path):
    runtime = FakeRuntime(clock.now, images=(TEST_IMAGE,))
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    async with a_node(tmp_path, runtime) as node:
        await node.create(a_manifest("web", a_container(livenessProbe=probe)))
        pod = await node.until("web", lambda pod: pod.status.ready)
        first = (await runtime.inventory(pod.metadata.uid)).containers[0].id
        await runtime.remove(first)
        await node.until("web", lambda pod: status(pod).restart_count == 1 and pod.status.ready)

        second = (await runtime.inventory(pod.metadata.uid)).containers[0].id
        assert set(node.kubelet.charge("default", "web").health) == {second}
