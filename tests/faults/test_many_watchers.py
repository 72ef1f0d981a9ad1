"""Many at once: on one counter, on one stream, and readers that do not read."""

import asyncio
import contextlib
import re
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import orjson
import pytest

from tests.faults.api_process import MAPS, ApiProcess, Follower, call, serving, serving_on, until

MERGE = "application/merge-patch+json"


async def test_sixteen_clients_count_on_one_object_without_losing_one(tmp_path: Path):
    async with serving(tmp_path, f"sqlite:{tmp_path}/store.db") as (server, session):
        url = f"{server.url}{MAPS}/counter"
        await call(session, "POST", server.url + MAPS, {"metadata": {"name": "counter"}, "data": {"n": "0"}})
        conflicts = 0

        async def count() -> None:
            nonlocal conflicts
            done = 0
            while done < 10:
                _, current = await call(session, "GET", url)
                current["data"]["n"] = str(int(current["data"]["n"]) + 1)
                status, _ = await call(session, "PUT", url, current)
                assert status in (200, 409)
                done += status == 200
                conflicts += status == 409

        await asyncio.gather(*(count() for _ in range(16)))

        assert (await call(session, "GET", url))[1]["data"] == {"n": "160"}
        assert conflicts > 0


async def test_two_hundred_watchers_see_every_event_once_and_in_order(tmp_path: Path):
    async with serving(tmp_path, f"sqlite:{tmp_path}/store.db") as (server, session):
        followers = [Follower(server, session) for _ in range(200)]
        following = [asyncio.ensure_future(follower.run()) for follower in followers]
        await until(lambda: all(follower.lists and follower.version for follower in followers))

        async def write(number: int) -> list[tuple[str, int, str]]:
            path, done = f"{server.url}{MAPS}", []
            for step in range(10):
                name = f"m{number}-{step}"
                for type, method, url, body in (
                    ("ADDED", "POST", path, {"metadata": {"name": name}}),
                    ("MODIFIED", "PATCH", f"{path}/{name}", {"data": {"k": "v"}}),
                ):
                    status, answer = await call(session, method, url, body, MERGE if method == "PATCH" else "")
                    assert status in (200, 201)
                    done.append((type, int(answer["metadata"]["resourceVersion"]), name))
            return done

        written = [event for events in await asyncio.gather(*map(write, range(16))) for event in events]
        expected = sorted(written, key=lambda event: event[1])
        await until(lambda: all(len(follower.events) >= len(expected) for follower in followers), 40)

        assert all(follower.events == expected for follower in followers)
        for each in following:
            each.cancel()
        await asyncio.gather(*following, return_exceptions=True)


class Sleeper:
    """A client that asks for a watch and does not read what comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def on(cls, server: ApiProcess, version: int) -> "Sleeper":
        context = server.keys.client_context()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context, limit=1024)
        writer.write(f"GET {MAPS}?watch=true&resourceVersion={version} HTTP/1.1\r\nhost: a\r\n\r\n".encode())
        await reader.readline()
        writer.transport.pause_reading()
        return cls(reader, writer)

    async def wake(self) -> bytes:
        """Everything that reached this client, once the server has ended the connection."""
        self._writer.transport.resume_reading()
        received = b""
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            while piece := await asyncio.wait_for(self._reader.read(1 << 20), 10):
                received += piece
        return received

    def close(self) -> None:
        self._writer.transport.abort()


@contextlib.asynccontextmanager
async def sleepers(server: ApiProcess, count: int, version: int) -> AsyncIterator[list[Sleeper]]:
    """So many of them, watching from `version` on."""
    async with contextlib.AsyncExitStack() as stack:
        found = [await Sleeper.on(server, version) for _ in range(count)]
        for sleeper in found:
            stack.callback(sleeper.close)
        yield found


@pytest.mark.parametrize("store", ["sqlite", "etcd"])
async def test_readers_that_do_not_read_cost_little_and_are_cut_and_resume(tmp_path: Path, store: str):
    async with serving_on(store, tmp_path) as (server, session):
        body = {"metadata": {"name": "large"}, "data": {"k": "v" * 50_000}}
        await call(session, "POST", server.url + MAPS, body)
        healthy = Follower(server, session)
        following = asyncio.ensure_future(healthy.run())
        await until(lambda: healthy.version)
        async with sleepers(server, 50, healthy.version) as asleep:
            before = server.resident_bytes
            latest = await rewrite(server, session, 400)
            await until(lambda: healthy.version >= latest)
            grown = server.resident_bytes - before
            received = [await sleeper.wake() for sleeper in asleep]

        # Twenty megabytes went by fifty deaf clients.
        assert grown < 64 * 1024 * 1024
        assert len(healthy.events) == 400
        assert max(map(len, received)) < 10_000_000
        await check_resumes(server, session, received[0], healthy)
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def check_resumes(server: ApiProcess, session: aiohttp.ClientSession, received: bytes, healthy: Follower) -> None:
    """Who goes on from the last version they saw misses nothing."""
    seen = [int(version) for version in re.findall(rb'"resourceVersion":"(\d+)","name":"large"', received)]
    awake = Follower(server, session)
    awake.version = seen[-1]
    rest = asyncio.ensure_future(awake.watch())
    await until(lambda: awake.version == healthy.version)
    rest.cancel()
    await asyncio.gather(rest, return_exceptions=True)
    assert seen + [version for _, version, _ in awake.events] == [version for _, version, _ in healthy.events]


async def rewrite(server: ApiProcess, session: aiohttp.ClientSession, times: int) -> int:
    """Change the large object so often; its last version."""
    version = 0
    for count in range(times):
        url = f"{server.url}{MAPS}/large"
        status, answer = await call(session, "PATCH", url, {"data": {"n": str(count)}}, MERGE)
        assert status == 200, orjson.dumps(answer)[:200]
        version = int(answer["metadata"]["resourceVersion"])
    return version
