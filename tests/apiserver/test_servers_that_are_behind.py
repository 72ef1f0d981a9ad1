"""A server that does not know yet what another one has written: what it answers holds all the same."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from apiserver.storage.memory import MemoryStore
from apiserver.storage.store import Change
from tests.apiserver.local_api import CORE, JSON_PATCH, MERGE, Api, running_api

MAPS = f"{CORE}/configmaps"


class Delayed(MemoryStore):
    """A store that two servers write to; those that begin to watch while it is `slow` hear of nothing."""

    is_shared = True
    slow = False

    async def watch(self, prefix: str, *, since: int) -> AsyncIterator[Change]:
        is_slow = self.slow
        async for change in super().watch(prefix, since=since):
            if is_slow:
                await asyncio.Event().wait()
            yield change


@pytest.fixture
async def servers() -> AsyncIterator[tuple[Api, Api]]:
    store = Delayed()
    async with running_api(store) as ahead:
        await ahead.made(MAPS, {"metadata": {"name": "m"}, "data": {"a": "1"}})
        store.slow = True
        async with running_api(store) as behind:
            yield ahead, behind


async def test_a_patch_back_to_what_a_server_still_sees_is_written(servers: tuple[Api, Api]):
    ahead, behind = servers
    await ahead.patch(f"{MAPS}/m", {"data": {"a": "2"}}, MERGE)

    answer = await behind.patch(f"{MAPS}/m", {"data": {"a": "1"}}, MERGE)

    assert (answer.status, (await ahead.get(f"{MAPS}/m")).json["data"]) == (200, {"a": "1"})


async def test_what_was_wrong_with_the_object_as_it_was_may_be_right_with_it_as_it_is(servers: tuple[Api, Api]):
    ahead, behind = servers
    await ahead.patch(f"{MAPS}/m", {"data": {"a": "2"}}, MERGE)
    steps = [{"op": "test", "path": "/data/a", "value": "2"}, {"op": "replace", "path": "/data/a", "value": "3"}]

    answer = await behind.patch(f"{MAPS}/m", steps, JSON_PATCH)
    wrong = await behind.patch(f"{MAPS}/m", steps, JSON_PATCH)

    assert (answer.status, wrong.status) == (200, 422)
    assert (await ahead.get(f"{MAPS}/m")).json["data"] == {"a": "3"}


async def test_whoever_knows_the_newest_version_may_write_and_whoever_does_not_may_not(servers: tuple[Api, Api]):
    ahead, behind = servers
    old = (await ahead.get(f"{MAPS}/m")).json
    new = (await ahead.patch(f"{MAPS}/m", {"data": {"a": "2"}}, MERGE)).json

    answers = [await behind.put(f"{MAPS}/m", {**whole, "data": {"a": "3"}}) for whole in (old, new, new)]
    await ahead.delete(f"{MAPS}/m")
    gone = await behind.put(f"{MAPS}/m", {**old, "data": {"a": "4"}})

    assert [answer.status for answer in answers] == [409, 200, 409]
    assert (gone.status, gone.json["reason"]) == (404, "NotFound")
