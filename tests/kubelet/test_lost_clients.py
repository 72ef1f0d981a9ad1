"""Clients that go away in the middle of an answer leave nothing behind."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp

from kubelet.runtime.base import LogRequest
from kubelet.runtime.fake import FakeRuntime
from kubelet.server import Server
from tests.kubelet.docker_engine import TEST_IMAGE
from tests.kubelet.nodes import a_manifest, a_node
from wherry.client import clock


class FollowedRuntime(FakeRuntime):
    """Knows how many readers of logs there are."""

    readers = 0

    async def logs(self, container_id: str, request: LogRequest) -> AsyncIterator[bytes]:
        self.readers += 1
        try:
            async for piece in super().logs(container_id, request):
                yield piece
        finally:
            self.readers -= 1


async def becomes(reader: FollowedRuntime, count: int) -> bool:
    for _ in range(200):
        if reader.readers == count:
            return True
        await asyncio.sleep(0.01)
    return False


async def test_who_stops_following_the_logs_of_a_silent_container_is_forgotten(tmp_path: Path):
    runtime = FollowedRuntime(clock.now, images=(TEST_IMAGE,))
    async with a_node(tmp_path, runtime) as node:
        await node.create(a_manifest("web"))
        pod = await node.until("web", lambda pod: pod.status.ready)
        runtime.print((await runtime.inventory(pod.metadata.uid)).containers[0].id, "hello")
        server = Server(node.kubelet)
        await server.start("127.0.0.1", 0, None)

        async with (
            aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as client,
            client.get("/containerLogs/default/web/app?follow=true") as answer,
        ):
            assert await answer.content.readline() == b"hello\n"
            followed = await becomes(runtime, 1)
        forgotten = await becomes(runtime, 0)
        await server.stop()

    assert (followed, forgotten) == (True, True)
