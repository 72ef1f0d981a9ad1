"""The specification of `apiserver.storage.Store`: every backend passes it unchanged. Watches: test_store_watch.py."""

import asyncio

import pytest

from apiserver.storage import (
    Change,
    Conflict,
    Entry,
    EtcdOptions,
    FutureRevision,
    Store,
    StoreUnavailable,
    TooLarge,
    open_store,
)
from tests.storage.store_client import create, take

MIB = 1024 * 1024


# Compare and swap


async def test_what_was_put_is_got(store: Store, prefix: str) -> None:
    entry = await store.put(prefix + "a", b"\x00 any bytes \xff", expected=0)

    assert entry == Entry(prefix + "a", b"\x00 any bytes \xff", entry.revision)
    assert await store.get(prefix + "a") == entry
    assert await store.get(prefix + "b") is None


async def test_a_store_says_how_large_it_is(store: Store, prefix: str) -> None:
    await store.put(f"{prefix}a", b"x" * 1000, expected=0)

    assert await store.size() >= 1000


async def test_every_write_gets_the_next_revision(store: Store, prefix: str) -> None:
    before = await store.revision()

    created = await store.put(prefix + "a", b"1", expected=0)
    updated = await store.put(prefix + "a", b"2", expected=created.revision)
    deleted = await store.delete(prefix + "a", expected=updated.revision)

    assert [created.revision, updated.revision, deleted.revision] == [before + 1, before + 2, before + 3]
    assert await store.revision() == before + 3


async def test_a_deletion_returns_the_last_value(store: Store, prefix: str) -> None:
    entry = await store.put(prefix + "a", b"last words", expected=0)

    deleted = await store.delete(prefix + "a", expected=entry.revision)

    assert deleted == Entry(prefix + "a", b"last words", entry.revision + 1)
    assert await store.get(prefix + "a") is None


async def test_a_key_is_created_only_once(store: Store, prefix: str) -> None:
    entry = await store.put(prefix + "a", b"first", expected=0)

    with pytest.raises(Conflict) as refused:
        await store.put(prefix + "a", b"second", expected=0)

    assert (refused.value.key, refused.value.expected, refused.value.found) == (prefix + "a", 0, entry)
    assert await store.get(prefix + "a") == entry


async def test_a_stale_writer_is_refused_and_told_what_is_there(store: Store, prefix: str) -> None:
    old = await store.put(prefix + "a", b"1", expected=0)
    new = await store.put(prefix + "a", b"2", expected=old.revision)

    with pytest.raises(Conflict) as put:
        await store.put(prefix + "a", b"3", expected=old.revision)
    with pytest.raises(Conflict) as delete:
        await store.delete(prefix + "a", expected=old.revision)

    assert (put.value.found, delete.value.found) == (new, new)
    assert await store.revision() == new.revision


@pytest.mark.parametrize("expected", [0, 1])
async def test_what_does_not_exist_is_neither_updated_nor_deleted(store: Store, prefix: str, expected: int) -> None:
    with pytest.raises(Conflict) as delete:
        await store.delete(prefix + "a", expected=expected)
    with pytest.raises(Conflict) as put:
        await store.put(prefix + "a", b"1", expected=1)

    assert (delete.value.found, put.value.found) == (None, None)


async def test_a_deleted_key_can_be_created_again(store: Store, prefix: str) -> None:
    first = await store.put(prefix + "a", b"1", expected=0)
    await store.delete(prefix + "a", expected=first.revision)

    with pytest.raises(Conflict):
        await store.put(prefix + "a", b"2", expected=first.revision)
    second = await store.put(prefix + "a", b"2", expected=0)

    assert second.revision == first.revision + 2
    assert await store.get(prefix + "a") == second


async def test_three_mebibytes_are_stored_and_not_a_byte_more(store: Store, prefix: str) -> None:
    largest = await store.put(prefix + "a", b"x" * 3 * MIB, expected=0)

    with pytest.raises(TooLarge) as refused:
        await store.put(prefix + "b", b"x" * (3 * MIB + 1), expected=0)

    assert (refused.value.size, refused.value.limit) == (3 * MIB + 1, 3 * MIB)
    assert await store.get(prefix + "a") == largest
    assert await store.get(prefix + "b") is None


async def test_an_empty_value_is_a_value(store: Store, prefix: str) -> None:
    entry = await store.put(prefix + "a", b"", expected=0)

    assert await store.get(prefix + "a") == entry
    assert await take(1, store.watch(prefix, since=entry.revision - 1)) == [
        Change(prefix + "a", b"", entry.revision, None)
    ]


async def test_64_writers_share_one_counter_and_lose_nothing(store: Store, prefix: str) -> None:
    await store.put(prefix + "counter", b"0", expected=0)

    async def increment() -> None:
        seen = await store.get(prefix + "counter")
        while seen:
            try:
                await store.put(seen.key, b"%d" % (int(seen.value) + 1), expected=seen.revision)
                return
            except Conflict as conflict:
                seen = conflict.found

    await asyncio.gather(*(increment() for _ in range(64)))

    last = await store.get(prefix + "counter")
    assert last
    assert last.value == b"64"


async def test_64_writers_get_64_revisions(store: Store, prefix: str) -> None:
    before = await store.revision()

    entries = await asyncio.gather(*(store.put(f"{prefix}{n:02}", b"%d" % n, expected=0) for n in range(64)))

    assert sorted(entry.revision for entry in entries) == list(range(before + 1, before + 65))
    assert (await store.list(prefix)).entries == list(entries)


# Lists and history


async def test_a_list_is_the_prefix_in_key_order(store: Store, prefix: str) -> None:
    entries = await create(store, prefix, "cabé一😀")
    await store.put(prefix[:-1] + "0", b"the key after the prefix", expected=0)
    await store.put(prefix[:-1], b"the key before it", expected=0)

    page = await store.list(prefix)

    assert page.entries == sorted(entries)
    assert (page.revision, page.more) == (await store.revision(), False)
    assert await store.list(prefix + "none/") == ([], page.revision, False)


async def test_pages_continue_where_the_last_one_ended(store: Store, prefix: str) -> None:
    entries = await create(store, prefix, "abcde")
    newest = entries[-1].revision

    assert await store.list(prefix, limit=2) == (entries[:2], newest, True)
    assert await store.list(prefix, limit=2, after=prefix + "b") == (entries[2:4], newest, True)
    assert await store.list(prefix, limit=2, after=prefix + "d") == (entries[4:], newest, False)
    assert await store.list(prefix, limit=5) == (entries, newest, False)
    assert await store.list(prefix, after=prefix + "bb") == (entries[2:], newest, False)


async def test_the_pages_of_one_revision_are_one_snapshot(store: Store, prefix: str) -> None:
    entries = await create(store, prefix, "abcd")
    first = await store.list(prefix, limit=2)

    await store.put(prefix + "c", b"changed", expected=entries[2].revision)
    await store.delete(prefix + "d", expected=entries[3].revision)
    await store.put(prefix + "e", b"new", expected=0)
    second = await store.list(prefix, limit=2, after=prefix + "b", at=first.revision)

    assert first.entries + second.entries == entries
    assert (second.revision, second.more) == (first.revision, False)
    assert [entry.key[-1] for entry in (await store.list(prefix)).entries] == ["a", "b", "c", "e"]


async def test_every_revision_of_the_past_can_be_listed(store: Store, prefix: str) -> None:
    created = await store.put(prefix + "a", b"1", expected=0)
    updated = await store.put(prefix + "a", b"2", expected=created.revision)
    deleted = await store.delete(prefix + "a", expected=updated.revision)
    again = await store.put(prefix + "a", b"3", expected=0)

    history = [(await store.list(prefix, at=created.revision + step)).entries for step in range(4)]

    assert history == [[created], [updated], [], [again]]
    assert deleted.revision == created.revision + 2


async def test_a_long_list_is_whole(store: Store, prefix: str) -> None:
    await asyncio.gather(*(store.put(f"{prefix}{n:04}", b"%d" % n, expected=0) for n in range(1200)))

    page = await store.list(prefix)
    most = await store.list(prefix, limit=1199)

    assert [entry.value for entry in page.entries] == [b"%d" % n for n in range(1200)]
    assert (page.more, len(most.entries), most.more) == (False, 1199, True)


async def test_the_future_cannot_be_listed(store: Store, prefix: str) -> None:
    newest = (await create(store, prefix, "a"))[0].revision

    with pytest.raises(FutureRevision) as refused:
        await store.list(prefix, at=newest + 1)

    assert (refused.value.requested, refused.value.newest) == (newest + 1, newest)


# Cancellation and the end


async def test_a_cancelled_put_happens_whole_or_not_at_all(store: Store, prefix: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        puts = [tasks.create_task(store.put(f"{prefix}{n}", b"whole", expected=0)) for n in range(50)]
        await asyncio.sleep(0)
        for put in puts[::2]:
            put.cancel()

    page = await store.list(prefix)
    acknowledged = {put.result().key for put in puts if not put.cancelled()}
    assert acknowledged <= {entry.key for entry in page.entries}
    assert {entry.value for entry in page.entries} == {b"whole"}
    await store.put(prefix + "after", b"usable", expected=0)


async def test_a_cancelled_watch_leaves_the_store_usable(store: Store, prefix: str) -> None:
    before = await store.revision()
    watches = [asyncio.create_task(take(9, store.watch(prefix, since=before))) for _ in range(20)]
    entry = (await create(store, prefix, "a"))[0]

    for watch in watches:
        watch.cancel()
    await asyncio.gather(*watches, return_exceptions=True)

    assert await take(1, store.watch(prefix, since=before)) == [Change(entry.key, b"a", entry.revision, None)]


async def test_closing_ends_watches_and_refuses_requests(where: str | EtcdOptions, prefix: str) -> None:
    store = await open_store(where)
    watch = asyncio.create_task(take(1, store.watch(prefix, since=await store.revision())))
    await asyncio.sleep(0)

    await store.close()

    with pytest.raises(StoreUnavailable):
        await watch
    with pytest.raises(StoreUnavailable):
        await store.put(prefix + "a", b"1", expected=0)
    with pytest.raises(StoreUnavailable):
        await store.get(prefix + "a")


async def test_a_store_opened_again_has_kept_everything(where: str | EtcdOptions, prefix: str) -> None:
    if where == "memory":
        pytest.skip("a memory store lives as long as its process")
    store = await open_store(where)
    a, b = await create(store, prefix, "ab")
    deleted = await store.delete(prefix + "b", expected=b.revision)
    await store.close()

    store = await open_store(where)

    assert await store.revision() == deleted.revision
    assert (await store.list(prefix)).entries == [a]
    assert [change.revision for change in await take(2, store.watch(prefix, since=a.revision))] == [
        b.revision,
        deleted.revision,
    ]
    assert (await store.put(prefix + "c", b"3", expected=0)).revision == deleted.revision + 1
    await store.close()
