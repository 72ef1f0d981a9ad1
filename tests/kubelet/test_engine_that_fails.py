"""Docker itself restarts, hangs, and forgets to answer: the node says so, doubles nothing, leaks nothing, recovers."""

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import docker
import pytest

import kubelet.node
from kubelet.cleanup import remove_everything
from kubelet.runtime.base import RuntimeUnavailable, State
from kubelet.runtime.docker import Docker
from tests.kubelet.nodes import NodeUnderTest, a_manifest, a_node, status
from tests.kubelet.private_engine import PrivateEngine, a_private_engine
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.meta import find_condition

pytestmark = [
    pytest.mark.xdist_group("private engine"),
    # The SDK leaves the sockets of calls that failed to the garbage collector.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
PODS = ("a", "b", "c")


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateEngine]:
    with a_private_engine(tmp_path_factory.mktemp("engine")) as engine:
        yield engine


@pytest.fixture(autouse=True)
def hasty(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A node that looks at its engine often, and loses patience after two seconds instead of thirty."""
    monkeypatch.setattr(kubelet.node, "CHECK_SECONDS", 0.5)
    monkeypatch.setattr(kubelet.node, "RUNTIME_GRACE_SECONDS", 2.0)
    yield
    gc.collect()


class Forgetful(Docker):
    """An engine of whose calls some fail: before anything happened, or after all of it did."""

    chance, rate = Random(7), 0.0

    def _ask(self, ask: Callable[[docker.APIClient], Any]) -> Any:
        fails, early = self.chance.random() < self.rate, self.chance.random() < 0.5
        if fails and early:
            raise RuntimeUnavailable("the call was lost")
        answer = super()._ask(ask)
        if fails:
            raise RuntimeUnavailable("the answer was lost")
        return answer


@asynccontextmanager
async def a_node_on(
    engine: PrivateEngine, folder: Path, runtime: type[Docker] = Docker
) -> AsyncIterator[NodeUnderTest]:
    cluster = f"test-{uuid4().hex[:8]}"
    docker = runtime(cluster, "n1", engine=engine.url, call_seconds=3)
    async with a_node(folder, docker) as node:
        yield node
    await docker.close()
    direct = Docker(cluster, "n1", engine=engine.url)
    await remove_everything(direct, folder)
    await direct.close()


async def run_pods(node: NodeUnderTest, *names: str) -> None:
    for name in names:
        await node.create(a_manifest(name, hostNetwork=True))
    for name in names:
        await node.until(name, lambda pod: pod.status.ready)


async def until_node(node: NodeUnderTest, status: str) -> str:
    """The message of the Ready condition once it has this status."""
    async with asyncio.timeout(30):
        while True:
            ready = find_condition((await node.admin.get(Node, "n1")).status.conditions, "Ready")
            if ready is not None and ready.status == status:
                return ready.message
            await asyncio.sleep(0.05)


async def running(node: NodeUnderTest) -> list[tuple[str, str]]:
    """What runs on the engine: pod and container; the container of a sandbox has no name."""
    found = await node.runtime.inventory()
    names = {each.id: each.name for each in found.containers}
    return sorted((each.pod.name, names.get(each.id, "")) for each in found.all if each.state is State.RUNNING)


def each_once(*names: str) -> list[tuple[str, str]]:
    return sorted((name, container) for name in names for container in ("", "app"))


async def test_a_node_whose_engine_hangs_says_so_and_goes_on_where_it_was(engine: PrivateEngine, tmp_path: Path):
    async with a_node_on(engine, tmp_path) as node:
        await run_pods(node, *PODS)
        before = [status(await node.pod(name)).container_id for name in PODS]

        engine.send(signal.SIGSTOP)
        message = await until_node(node, "False")
        await node.create(a_manifest("late", hostNetwork=True))
        await asyncio.sleep(4)  # longer than a call may take, so that some were given up in the middle
        engine.send(signal.SIGCONT)
        await until_node(node, "True")
        await node.until("late", lambda pod: pod.status.ready)

        after = [status(await node.pod(name)) for name in PODS]
        assert "container runtime is down" in message
        assert [(each.container_id, each.restart_count) for each in after] == [(id, 0) for id in before]
        assert await running(node) == each_once(*PODS, "late")


async def test_pods_return_once_after_their_engine_was_restarted(engine: PrivateEngine, tmp_path: Path):
    async with a_node_on(engine, tmp_path) as node:
        await run_pods(node, *PODS)
        before = {name: status(await node.pod(name)).container_id for name in PODS}

        await asyncio.to_thread(engine.stop)
        await until_node(node, "False")
        await asyncio.to_thread(engine.start)
        await until_node(node, "True")
        for name in PODS:
            await node.until(name, lambda pod, name=name: pod.status.ready and _is_new(pod, before[name]))

        assert await running(node) == each_once(*PODS)
        for name in PODS:
            await node.admin.delete(Pod, name, "default")
            await node.until_gone(name)
        assert (await node.runtime.inventory()).all == ()


def _is_new(pod: Pod, before: str) -> bool:
    return status(pod).container_id not in ("", before)


async def test_calls_that_fail_now_and_then_double_nothing_and_leak_nothing(
    engine: PrivateEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    names = [f"p{number}" for number in range(6)]
    async with a_node_on(engine, tmp_path, Forgetful) as node:
        monkeypatch.setattr(Forgetful, "rate", 0.05)
        await run_pods(node, *names)
        restarts = {name: status(await node.pod(name)).restart_count for name in names}
        alive = await _without_faults(running, node)
        for name in names:
            await node.admin.delete(Pod, name, "default")
        for name in names:
            await node.until_gone(name)
        left = await _without_faults(lambda node: node.runtime.inventory(), node)

    assert restarts == dict.fromkeys(names, 0)
    assert alive == each_once(*names)
    assert left.all == ()


async def _without_faults(look: Callable[[NodeUnderTest], Any], node: NodeUnderTest) -> Any:
    """What there is, asked until there is an answer."""
    while True:
        try:
            return await look(node)
        except RuntimeUnavailable:
            continue
