"""Many at once: on one counter, on one stream, and readers that do not read."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import orjson

from tests.faults.api_process import MAPS, ApiProcess, Follower, call, serving, until

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


@contextlib.asynccontextmanager
async def sleepers(server: ApiProcess, count: int) -> AsyncIterator[None]:
    """Clients that ask for a watch and never read what comes."""
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(count):
            context = server.keys.client_context()
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port, ssl=context, limit=1024)
            stack.callback(writer.close)
            stack.callback(writer.transport.abort)
            writer.write(f"GET {MAPS}?watch=true HTTP/1.1\r\nhost: a\r\n\r\n".encode())
            await reader.readline()
            writer.transport.pause_reading()
        yield


async def test_readers_that_do_not_read_cost_little_and_harm_nobody(tmp_path: Path):
    async with serving(tmp_path, f"sqlite:{tmp_path}/store.db") as (server, session):
        body = {"metadata": {"name": "large"}, "data": {"k": "v" * 50_000}}
        await call(session, "POST", server.url + MAPS, body)
        healthy = Follower(server, session)
        following = asyncio.ensure_future(healthy.run())
        await until(lambda: healthy.version)
        async with sleepers(server, 20):
            before = server.resident_bytes
            latest = await rewrite(server, session, 400)
            await until(lambda: healthy.version >= latest)
            grown = server.resident_bytes - before

            # Twenty megabytes went by twenty deaf clients.
            assert grown < 64 * 1024 * 1024
            assert len(healthy.events) == 400
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)


async def rewrite(server: ApiProcess, session: aiohttp.ClientSession, times: int) -> int:
    """Change the large object so often; its last version."""
    version = 0
    for count in range(times):
        url = f"{server.url}{MAPS}/large"
        status, answer = await call(session, "PATCH", url, {"data": {"n": str(count)}}, MERGE)
        assert status == 200, orjson.dumps(answer)[:200]
        version = int(answer["metadata"]["resourceVersion"])
    return version
