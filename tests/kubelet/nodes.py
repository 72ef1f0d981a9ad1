"""A node under test: the whole kubelet against the real API server, in memory, on whichever runtime and clock.

async with a_node(tmp_path) as node:
    await node.create(a_manifest("web"))
    pod = await node.until("web", lambda pod: pod.status.ready)
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp

import wherry.api.kinds  # noqa: F401  # registers every kind
from kubelet.cleanup import remove_everything
from kubelet.host import Settings
from kubelet.resources.gpus import Gpus
from kubelet.runner import Kubelet
from kubelet.runtime.base import Runtime
from kubelet.runtime.docker import Docker
from kubelet.runtime.fake import FakeRuntime
from kubelet.server import Server
from tests.apiserver.local_api import running_api
from tests.kubelet.docker_engine import TEST_IMAGE, require_docker
from tests.kubelet.local_transport import LocalTransport
from wherry.api.core.pod import ContainerStatus, Pod
from wherry.api.events.event import Event
from wherry.api.resource.gpu import Gpu
from wherry.client import clock
from wherry.client.http import Client
from wherry.client.kubeconfig import Connection
from wherry.machinery.errors import NotFound

Json = dict[str, Any]


def a_manifest(name: str, *containers: Json, **spec: Any) -> Json:
    """A pod on the node under test; without containers it has one that runs for ever."""
    spec = {"nodeName": "n1", "automountServiceAccountToken": False, "terminationGracePeriodSeconds": 2, **spec}
    spec["containers"] = list(containers) or [a_container()]
    metadata = {"name": name, "namespace": "default"}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def a_container(name: str = "app", script: str = "", **fields: Any) -> Json:
    """A container that runs a shell script."""
    script = script or "trap 'exit 0' TERM; while :; do sleep 60 & wait; done"
    return {"name": name, "image": TEST_IMAGE, "command": ["sh", "-c", script], **fields}


class NodeUnderTest:
    """The node, and an administrator's view of it."""

    def __init__(self, admin: Client, way: LocalTransport, folder: Path, runtime: Runtime, gpus: Gpus) -> None:
        self.admin, self.runtime, self.folder = admin, runtime, folder
        # The kubelet's way to the API server, which tests may cut.
        self.way = way
        self._gpus = gpus
        self._running: asyncio.Task[None] | None = None
        self.kubelet: Kubelet | None = None

    async def start(self) -> None:
        """Start the kubelet; returns when the node is Ready."""
        settings = Settings("n1", self.folder, network="bridge", sandbox_image=TEST_IMAGE, cluster_dns="10.96.0.10")
        self.kubelet = Kubelet(settings, _client(self.way), self.runtime, gpus=self._gpus)
        self._running = asyncio.create_task(self.kubelet.live())

    async def crash(self) -> None:
        """The kubelet is gone from one moment to the next."""
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)

    async def create(self, manifest: Json) -> None:
        await self.admin.create(manifest)

    async def pod(self, name: str) -> Pod:
        return await self.admin.get(Pod, name, "default")

    async def until(self, name: str, holds: Callable[[Pod], Any], seconds: float = 30) -> Pod:
        """The pod as soon as that is true of it."""
        for _ in range(int(seconds / 0.02)):
            pod = await self.pod(name)
            if holds(pod):
                return pod
            await asyncio.sleep(0.02)
        raise TimeoutError(f"{name} came no further than {pod.status.to_wire()}")

    async def until_gone(self, name: str, seconds: float = 30) -> None:
        for _ in range(int(seconds / 0.02)):
            try:
                await self.pod(name)
            except NotFound:
                return
            await asyncio.sleep(0.02)
        raise TimeoutError(f"{name} is still there")

    async def reasons(self, name: str) -> list[str]:
        """The reasons of the events about a pod, in order of their first time."""
        events = (await self.admin.list(Event, "default")).items
        return [event.reason for event in events if event.about.name == name]


@asynccontextmanager
async def a_node(
    folder: Path, runtime: Runtime | None = None, *, gpus: tuple[Gpu, ...] = ()
) -> AsyncIterator[NodeUnderTest]:
    """Started, unless `start` is called later for a second life."""
    runtime = runtime or FakeRuntime(clock.now, images=(TEST_IMAGE,))
    async with running_api(now=clock.now) as api:
        admin = _client(LocalTransport(api, "admin", ("system:masters",)))
        way = LocalTransport(api, "system:node:n1", ("system:nodes",))
        node = NodeUnderTest(admin, way, folder, runtime, Gpus(gpus))
        await node.start()
        try:
            yield node
        finally:
            await node.crash()


def _client(transport: LocalTransport) -> Client:
    return Client(Connection("https://api"), user_agent="test", transport=transport)


def status(pod: Pod, name: str = "app") -> ContainerStatus:
    """The status of a container; an empty one until it is reported."""
    statuses = (*pod.status.container_statuses, *pod.status.init_container_statuses)
    return next((status for status in statuses if status.name == name), ContainerStatus(restart_count=-1))


def waits_for(pod: Pod, name: str = "app") -> str:
    """Why a container waits; empty if it does not."""
    waiting = status(pod, name).state.waiting
    return waiting.reason if waiting else ""


@asynccontextmanager
async def a_node_on_docker(folder: Path, container: Json) -> AsyncIterator[NodeUnderTest]:
    """A node on real Docker with one pod `web` that is ready; nothing of it is left afterwards."""
    require_docker()
    docker = Docker(f"test-{uuid4().hex[:8]}", "n1")
    async with a_node(folder, docker) as node:
        await node.create(a_manifest("web", container))
        await node.until("web", lambda pod: pod.status.ready)
        yield node
    await remove_everything(docker, folder)
    await docker.close()


@asynccontextmanager
async def served(node: NodeUnderTest) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of the kubelet's port, without TLS."""
    assert node.kubelet is not None
    server = Server(node.kubelet)
    await server.start("127.0.0.1", 0, None)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
        yield session
    await server.stop()
