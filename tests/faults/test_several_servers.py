"""Three API servers on one etcd, of which any may die at any moment, are one: for writers, followers and addresses."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.faults.api_process import MAPS, ApiProcess, Follower, Writer, call, serving, until
from tests.storage.etcd_server import start_etcd

SERVICES = "/api/v1/namespaces/default/services"
SERVERS = 3


class AnyDoor:
    """A server to whoever asks for its URL: the next one in turn, as behind a load balancer that knows nothing."""

    def __init__(self, servers: list[ApiProcess]) -> None:
        self._turn = itertools.cycle(servers)

    @property
    def url(self) -> str:
        return next(self._turn).url


@contextlib.asynccontextmanager
async def several(folder: Path) -> AsyncIterator[tuple[list[ApiProcess], aiohttp.ClientSession]]:
    """Servers that are ready, on one etcd."""
    with start_etcd(folder) as etcd:
        async with serving(folder, f"etcd:{etcd.url}") as (first, session):
            servers = [first, *(ApiProcess(first.keys, f"etcd:{etcd.url}") for _ in range(SERVERS - 1))]
            try:
                for server in servers[1:]:
                    server.start()
                for server in servers:
                    await server.ready(session)
                yield servers, session
            finally:
                for server in servers[1:]:
                    server.kill()


async def create_services(door: AnyDoor, session: aiohttp.ClientSession, number: int, stop: asyncio.Event) -> int:
    """Services with node ports, until told to stop; every fourth one asks for a port that everybody wants."""
    made = 0
    while not stop.is_set():
        made += 1
        port: dict[str, Any] = {"port": 80} | ({"nodePort": 30000 + made % 50} if made % 4 == 0 else {})
        body = {"metadata": {"name": f"s{number}-{made}"}, "spec": {"type": "NodePort", "ports": [port]}}
        await call(session, "POST", door.url + SERVICES, body)
        if made % 3 == 0:
            await call(session, "DELETE", f"{door.url}{SERVICES}/s{number}-{made}")
    return made


@pytest.mark.timeout(120)
async def test_any_of_three_servers_may_die_and_no_promise_is_broken(tmp_path: Path):
    async with several(tmp_path) as (servers, session):
        await check_that_nobody_is_behind(servers, session)
        door, stop = AnyDoor(servers), asyncio.Event()
        writers = [Writer(door, session, number) for number in range(4)]  # type: ignore[arg-type]  # all it asks is a URL
        follower = Follower(door, session)  # type: ignore[arg-type]
        working = [asyncio.ensure_future(writer.run()) for writer in writers]
        working += [asyncio.ensure_future(create_services(door, session, number, stop)) for number in range(3)]
        following = asyncio.ensure_future(follower.run())
        for server in servers:
            wanted = sum(len(writer.versions) for writer in writers) + 60
            await until(lambda wanted=wanted: sum(len(writer.versions) for writer in writers) >= wanted, 40)
            await asyncio.to_thread(server.restart)
        stop.set()
        for writer in writers:
            writer.is_told_to_stop = True
        await asyncio.gather(*working)
        for server in servers:
            await server.ready(session)

        listed = [await everything(server, session) for server in servers]
        assert listed[0] == listed[1] == listed[2]
        maps = listed[0][MAPS]
        assert [writer.present - set(maps) for writer in writers] == [set()] * 4
        assert [writer.absent & set(maps) for writer in writers] == [set()] * 4
        await until(lambda: follower.known == maps)
        assert (follower.lists, follower.expired) == (1, 0)
        assert all(before[1] < after[1] for before, after in pairwise(follower.events))
        assert await given_twice(servers[0], session) == set()
        following.cancel()


async def everything(server: ApiProcess, session: aiohttp.ClientSession) -> dict[str, dict[str, str]]:
    """Names and versions of all that was written."""
    found = {}
    for path in (MAPS, SERVICES):
        _, listed = await call(session, "GET", server.url + path)
        metadata = [item["metadata"] for item in listed["items"]]
        found[path] = {each["name"]: each["resourceVersion"] for each in metadata}
    return found


async def given_twice(server: ApiProcess, session: aiohttp.ClientSession) -> set[Any]:
    """Addresses and node ports that two services have."""
    _, listed = await call(session, "GET", server.url + SERVICES)
    specs = [item["spec"] for item in listed["items"]]
    counted = Counter(spec["clusterIP"] for spec in specs)
    counted += Counter(port["nodePort"] for spec in specs for port in spec["ports"] if "nodePort" in port)
    assert len(specs) > 30
    return {item for item, count in counted.items() if count > 1}


async def check_that_nobody_is_behind(servers: list[ApiProcess], session: aiohttp.ClientSession) -> None:
    """What one server has answered, the next one knows: read fresh, and from its cache by version."""
    for number in range(30):
        writer, reader = servers[number % 3], servers[(number + 1) % 3]
        _, made = await call(session, "POST", writer.url + MAPS, {"metadata": {"name": f"m{number}"}, "data": {}})
        version = made["metadata"]["resourceVersion"]

        one = await call(session, "GET", f"{reader.url}{MAPS}/m{number}")
        _, cached = await call(session, "GET", f"{reader.url}{MAPS}?resourceVersion={version}")

        assert one == (200, made)
        assert int(cached["metadata"]["resourceVersion"]) >= int(version)
        assert f"m{number}" in {item["metadata"]["name"] for item in cached["items"]}
