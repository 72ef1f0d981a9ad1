"""The disk under the store is full: writes are refused with a reason, all else goes on, and space heals it."""

import asyncio
import json
import shutil
import sqlite3
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.faults.api_process import MAPS, ApiProcess, Follower, call, serving, until
from tests.faults.small_disk import SIZE_BYTES, a_small_disk
from tests.storage.etcd_server import EtcdServer, start_etcd


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


def make_room(etcd: EtcdServer) -> None:
    """What an operator does when etcd has used its quota up."""
    command = [shutil.which("etcdctl") or pytest.skip("no etcdctl: apt-get install etcd-client")]
    command += ["--endpoints", etcd.url]
    status = subprocess.run([*command, "endpoint", "status", "-w", "json"], check=True, capture_output=True, text=True)
    revision = json.loads(status.stdout)[0]["Status"]["header"]["revision"]
    for step in (("compact", str(revision)), ("defrag",), ("alarm", "disarm")):
        subprocess.run([*command, *step], check=True, capture_output=True)


async def test_an_etcd_without_space_refuses_writes_and_nothing_else_and_heals(tmp_path: Path):
    with start_etcd(tmp_path, "--quota-backend-bytes", str(SIZE_BYTES)) as etcd:
        async with serving(tmp_path, f"etcd:{etcd.url}") as (server, session), following(server, session) as follower:
            caller = Caller(server, session)
            statuses = {await caller.create(f"full-{number}", 500_000) for number in range(40)}
            read = await caller.names()
            for name in sorted(caller.acknowledged)[1:]:
                assert (await call(session, "DELETE", f"{server.url}{MAPS}/{name}"))[0] == 200
                caller.acknowledged.remove(name)
            await asyncio.to_thread(make_room, etcd)
            healed = {await caller.create(f"after-{number}") for number in range(20)}
            # A write that was answered with an error may have happened all the same.
            there = set(await caller.names())
            await until(lambda: set(follower.known) == there, seconds=60)

            assert (statuses, healed) == ({201, 503}, {201})
            assert caller.acknowledged <= there
            assert len(read) >= 40 - len(caller.refusals)
            assert all("database space exceeded" in refusal["message"] for refusal in caller.refusals)
            assert (follower.lists, follower.expired) == (1, 0)
