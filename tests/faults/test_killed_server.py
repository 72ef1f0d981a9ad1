"""SIGKILL under load: nothing promised is lost, nothing deleted returns, and who watches goes on where they were."""

import asyncio
from itertools import pairwise
from pathlib import Path

import aiohttp

from tests.faults.api_process import MAPS, ApiProcess, Follower, Writer, call, serving, until
from tests.storage.etcd_server import EtcdServer, start_etcd, wait_until_healthy

WRITERS = 8


class Scene:
    """Writers and a follower at work on one server."""

    def __init__(self, server: ApiProcess, session: aiohttp.ClientSession) -> None:
        self.server, self.session = server, session
        self.writers = [Writer(server, session, number) for number in range(WRITERS)]
        self.follower = Follower(server, session)

    async def acknowledged(self, more: int) -> None:
        """Wait until so many more creates were acknowledged."""
        wanted = self._count() + more
        await until(lambda: self._count() >= wanted, 30)

    def _count(self) -> int:
        return sum(len(writer.versions) for writer in self.writers)

    async def check(self) -> None:
        """All promises hold against what a LIST shows."""
        for writer in self.writers:
            writer.is_told_to_stop = True
        status, listed = await call(self.session, "GET", self.server.url + MAPS)
        assert status == 200
        names = {item["metadata"]["name"] for item in listed["items"]}
        for writer in self.writers:
            assert writer.present - names == set()
            assert writer.absent & names == set()
            assert all(before < after for before, after in pairwise(writer.versions))
        versions = [version for writer in self.writers for version in writer.versions]
        assert len(versions) == len(set(versions))

    async def check_follower(self) -> None:
        """The follower knows what a LIST shows, and had to list only once."""
        _, listed = await call(self.session, "GET", self.server.url + MAPS)
        expected = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in listed["items"]}
        await until(lambda: self.follower.known == expected)
        assert (self.follower.lists, self.follower.expired) == (1, 0)
        versions = [version for _, version, _ in self.follower.events]
        assert all(before < after for before, after in pairwise(versions))


async def storm(scene: Scene, crash: list) -> None:
    """Writers write and the follower follows while one crash after the other happens."""
    following = asyncio.ensure_future(scene.follower.run())
    writing = [asyncio.ensure_future(writer.run()) for writer in scene.writers]
    try:
        for happens in crash:
            await scene.acknowledged(150)
            await asyncio.to_thread(happens)
        await scene.acknowledged(150)
        for writer in scene.writers:
            writer.is_told_to_stop = True
        await asyncio.gather(*writing)
        await scene.check()
        await scene.check_follower()
    finally:
        following.cancel()
        for each in writing:
            each.cancel()
        await asyncio.gather(following, *writing, return_exceptions=True)


async def test_a_killed_server_on_sqlite_keeps_every_promise(tmp_path: Path):
    async with serving(tmp_path, f"sqlite:{tmp_path}/store.db") as (server, session):
        await storm(Scene(server, session), [server.restart] * 3)


async def test_a_killed_server_and_a_killed_etcd_keep_every_promise(tmp_path: Path):
    with start_etcd(tmp_path) as etcd:
        async with serving(tmp_path, f"etcd:{etcd.url}") as (server, session):
            await storm(Scene(server, session), [server.restart, lambda: restart(etcd), server.restart])


def restart(etcd: EtcdServer) -> None:
    etcd.kill()
    etcd.start()
    wait_until_healthy([etcd])


async def test_informers_go_on_after_a_restart_without_listing_again(tmp_path: Path):
    async with serving(tmp_path, f"sqlite:{tmp_path}/store.db") as (server, session):
        followers = [Follower(server, session) for _ in range(30)]
        writer = Writer(server, session, 0)
        following = [asyncio.ensure_future(follower.run()) for follower in followers]
        writing = asyncio.ensure_future(writer.run())
        for _ in range(2):
            wanted = len(writer.versions) + 50
            await until(lambda wanted=wanted: len(writer.versions) > wanted, 30)
            await asyncio.to_thread(server.restart)
        await server.ready(session)
        writer.is_told_to_stop = True
        await writing

        _, listed = await call(session, "GET", server.url + MAPS)
        expected = {item["metadata"]["name"]: item["metadata"]["resourceVersion"] for item in listed["items"]}
        await until(lambda: all(follower.known == expected for follower in followers))
        assert {(follower.lists, follower.expired) for follower in followers} == {(1, 0)}
        for each in following:
            each.cancel()
        await asyncio.gather(*following, return_exceptions=True)
