"""The disk under the store is full: writes are refused with a reason, all else goes on, and space heals it."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from tests.faults.api_process import MAPS, ApiProcess, Follower, call, serving, until
from tests.faults.small_disk import a_small_disk


class Caller:
    """Creates config maps, one after the other."""

    def __init__(self, server: ApiProcess, session: aiohttp.ClientSession) -> None:
        self.server, self.session = server, session
        self.acknowledged: set[str] = set()
        self.refusals: list[dict[str, Any]] = []

    async def create(self, name: str, size_bytes: int = 2000) -> int:
        body = {"metadata": {"name": name}, "data": {"k": "v" * size_bytes}}
        status, answer = await call(self.session, "POST", self.server.url + MAPS, body)
        if status == 201:
            self.acknowledged.add(name)
        else:
            self.refusals.append(answer)
        return status

    async def names(self) -> set[str]:
        status, listed = await call(self.session, "GET", self.server.url + MAPS)
        assert status == 200
        return {item["metadata"]["name"] for item in listed["items"]} - {"kube-root-ca.crt"}


@asynccontextmanager
async def following(server: ApiProcess, session: aiohttp.ClientSession) -> AsyncIterator[Follower]:
    follower = Follower(server, session)
    task = asyncio.ensure_future(follower.run())
    await until(lambda: follower.version)
    yield follower
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_full_disk_refuses_writes_and_nothing_else_and_heals(tmp_path: Path):
    with a_small_disk(tmp_path / "disk") as disk:
        store = disk.folder / "store.db"
        async with serving(tmp_path, f"sqlite:{store}") as (server, session), following(server, session) as follower:
            caller = Caller(server, session)
            statuses = [await caller.create(f"before-{number}") for number in range(20)]

            await asyncio.to_thread(disk.fill)
            full = [await caller.create(f"full-{number}", 100_000) for number in range(40)]
            read = await caller.names()
            livez = await session.get(server.url + "/livez")
            await asyncio.to_thread(disk.free)
            healed = [await caller.create(f"after-{number}") for number in range(20)]
            await until(lambda: set(follower.known) == caller.acknowledged)

            assert (set(statuses), set(full[5:]), set(healed), livez.status) == ({201}, {503}, {201}, 200)
            assert read == {name for name in caller.acknowledged if not name.startswith("after")}
            assert {refusal["reason"] for refusal in caller.refusals} == {"ServiceUnavailable"}
            assert all("database or disk is full" in refusal["message"] for refusal in caller.refusals)
            assert (follower.lists, follower.expired) == (1, 0)
            await asyncio.to_thread(server.restart)
            await server.ready(session)
            assert await caller.names() == caller.acknowledged
        with sqlite3.connect(store) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        database.close()
