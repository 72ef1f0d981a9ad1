"""Writers of one object: one after the other, and no two on the same version."""

import asyncio

import pytest

from apiserver.reading.watch_cache import WatchCache
from apiserver.storage.memory import MemoryStore
from apiserver.writing.turns import Turns
from tests.apiserver.local_api import Api
from tests.apiserver.test_objects import MAPS, a_map


async def test_nobody_writes_a_key_while_another_one_does_and_other_keys_are_free():
    turns, order = Turns(WatchCache(MemoryStore(), ())), []

    async def write(key: str, name: str) -> None:
        await turns.come(key)
        with turns.writing(key):
            order.append(name)
            await asyncio.sleep(0)
            order.append(name)

    await asyncio.gather(write("a", "1"), write("a", "2"), write("b", "3"), write("a", "4"))

    assert [name for name in order if name != "3"] == ["1", "1", "2", "2", "4", "4"]
    assert order.index("3") < order.index("2")


async def test_the_next_writer_starts_when_the_cache_knows_what_the_one_before_wrote():
    cache = WatchCache(MemoryStore(), ())
    turns = Turns(cache)
    with turns.writing("a") as turn:
        turn.revision = 1

    next_one = asyncio.ensure_future(turns.come("a"))
    await asyncio.sleep(0)
    waits = not next_one.done()
    cache._advance(1)
    await asyncio.wait_for(next_one, 1)

    assert waits


async def test_a_cache_that_hears_nothing_keeps_no_writer_for_long(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("apiserver.writing.turns.PATIENCE_SECONDS", 0.01)
    turns = Turns(WatchCache(MemoryStore(), ()))
    with turns.writing("a") as turn:
        turn.revision = 1

    await asyncio.wait_for(turns.come("a"), 1)


async def test_many_patches_of_one_object_all_count(api: Api):
    await api.made(MAPS, a_map())
    before = await api.server.store.revision()

    answers = await asyncio.gather(*(api.patch(f"{MAPS}/a", {"data": {f"k{n}": "v"}}) for n in range(20)))

    assert {answer.status for answer in answers} == {200}
    assert len((await api.get(f"{MAPS}/a")).json["data"]) == 21
    assert await api.server.store.revision() == before + 20
