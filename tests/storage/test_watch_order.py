"""Within one process: whoever was told that a write is done finds every waiting watcher up to date."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from apiserver.storage import Compacted, Store, open_store
from apiserver.storage.feed import Feed
from apiserver.storage.store import Change
from tests.storage.store_client import create


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_store("memory" if request.param == "memory" else f"sqlite:{tmp_path / 'store.db'}")
    yield store
    await store.close()


async def test_a_watcher_has_seen_a_write_when_the_writer_is_answered(store: Store) -> None:
    seen: list[int] = []

    async def follow() -> None:
        async for change in store.watch("/registry/", since=0):
            seen.append(change.revision)

    async def write(number: int) -> None:
        revision = 0
        for _ in range(50):
            revision = (await store.put(f"/registry/{number}", b"x", expected=revision)).revision
            assert revision in seen

    watch = asyncio.create_task(follow())
    await asyncio.sleep(0)
    await asyncio.gather(*(write(number) for number in range(16)))
    watch.cancel()


async def test_a_watch_that_was_overtaken_by_compaction_says_so(store: Store) -> None:
    (a,) = await create(store, "/registry/", "a")
    watch = store.watch("/registry/", since=0)
    assert (await anext(watch)).revision == a.revision

    *_, c = await create(store, "/registry/", "bc")
    await store.compact(c.revision)

    with pytest.raises(Compacted):
        await anext(watch)


def test_a_feed_is_trimmed_by_count_and_by_size() -> None:
    by_count, by_size = Feed(10), Feed(10)
    changes = [Change("/a", b"x" * 100, 11 + n, b"y" * 100) for n in range(9)]

    by_count.append(changes)
    by_count.shrink(changes=8, size_bytes=10_000)
    by_size.append(changes)
    by_size.shrink(changes=100, size_bytes=1_000)

    assert (by_count.begins_after, list(by_count.since(15))) == (15, changes[5:])
    assert (by_size.begins_after, list(by_size.since(17))) == (17, changes[7:])
