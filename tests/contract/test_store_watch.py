"""The specification of `apiserver.storage.Store`, continued: watches and compaction, the same for every backend."""

import asyncio
from itertools import pairwise

import pytest

from apiserver.storage import Change, Compacted, FutureRevision, Store
from tests.storage.store_client import create, take

# Watches


async def test_a_watch_shows_values_before_and_after(store: Store, prefix: str) -> None:
    created = await store.put(prefix + "a", b"1", expected=0)
    updated = await store.put(prefix + "a", b"2", expected=created.revision)
    deleted = await store.delete(prefix + "a", expected=updated.revision)
    again = await store.put(prefix + "a", b"3", expected=0)

    assert await take(4, store.watch(prefix, since=created.revision - 1)) == [
        Change(prefix + "a", b"1", created.revision, None),
        Change(prefix + "a", b"2", updated.revision, b"1"),
        Change(prefix + "a", None, deleted.revision, b"2"),
        Change(prefix + "a", b"3", again.revision, None),
    ]


async def test_a_watch_sees_only_its_prefix(store: Store, prefix: str) -> None:
    before = await store.revision()
    await create(store, prefix + "x/", "a")
    wanted = (await create(store, prefix + "y/", "b"))[0]
    await create(store, prefix + "z/", "c")
    last = (await create(store, prefix + "y/", "d"))[0]

    seen = await take(2, store.watch(prefix + "y/", since=before))

    assert [change.revision for change in seen] == [wanted.revision, last.revision]


@pytest.mark.parametrize("step", range(4))
async def test_a_watch_starts_right_after_its_revision(store: Store, prefix: str, step: int) -> None:
    entries = await create(store, prefix, "abcd")

    first = (await take(1, store.watch(prefix, since=entries[0].revision - 1 + step)))[0]

    assert first.revision == entries[step].revision


async def test_watches_under_a_storm_of_writes_miss_and_repeat_nothing(store: Store, prefix: str) -> None:
    before = await store.revision()

    async def write(writer: int) -> None:
        revision = 0
        for step in range(25):
            key = f"{prefix}{writer:02}"
            revision = (await store.put(key, b"%d" % step, expected=revision)).revision
        await store.delete(key, expected=revision)

    async with asyncio.TaskGroup() as tasks:
        early = [tasks.create_task(take(416, store.watch(prefix, since=before))) for _ in range(4)]
        for writer in range(16):
            tasks.create_task(write(writer))
        late = tasks.create_task(take(416, store.watch(prefix, since=before)))

    assert [change.revision for change in late.result()] == list(range(before + 1, before + 417))
    assert all(task.result() == late.result() for task in early)


async def test_every_change_follows_from_the_one_before(store: Store, prefix: str) -> None:
    before = await store.revision()
    revision = 0
    for step in range(20):
        revision = (await store.put(prefix + "a", b"%d" % step, expected=revision)).revision

    changes = await take(20, store.watch(prefix, since=before))

    assert all(after.previous == change.value for change, after in pairwise(changes))


async def test_a_watch_since_the_future_waits_and_shows_nothing_old(store: Store, prefix: str) -> None:
    newest = (await create(store, prefix, "a"))[0].revision
    waiting = asyncio.create_task(take(1, store.watch(prefix, since=newest + 2)))
    await asyncio.sleep(0)

    entries = await create(store, prefix, "bcd")

    assert [change.revision for change in await waiting] == [entries[2].revision]


async def test_a_watch_goes_on_where_an_older_one_ended(store: Store, prefix: str) -> None:
    before = await store.revision()
    entries = await create(store, prefix, "abcdef")

    first = await take(2, store.watch(prefix, since=before))
    second = await take(4, store.watch(prefix, since=first[-1].revision))

    assert [change.revision for change in first + second] == [entry.revision for entry in entries]


# Compaction


async def test_the_compacted_past_is_gone_and_the_rest_is_whole(store: Store, prefix: str) -> None:
    a, b = await create(store, prefix, "ab")
    updated = await store.put(prefix + "a", b"2", expected=a.revision)
    newest = await store.put(prefix + "a", b"3", expected=updated.revision)

    await store.compact(updated.revision)

    assert await store.list(prefix, at=updated.revision) == ([updated, b], updated.revision, False)
    assert (await store.list(prefix)).entries == [newest, b]
    with pytest.raises(Compacted) as refused:
        await store.list(prefix, at=b.revision)
    assert refused.value.oldest == updated.revision


async def test_a_watch_from_the_compacted_past_is_refused(store: Store, prefix: str) -> None:
    a, b, c = await create(store, prefix, "abc")

    await store.compact(b.revision)

    with pytest.raises(Compacted) as refused:
        await take(1, store.watch(prefix, since=a.revision))
    assert refused.value.oldest == b.revision
    assert await take(1, store.watch(prefix, since=b.revision)) == [Change(c.key, b"c", c.revision, None)]


async def test_a_deletion_at_the_compacted_revision_is_never_silently_lost(store: Store, prefix: str) -> None:
    created = await store.put(prefix + "a", b"1", expected=0)
    deleted = await store.delete(prefix + "a", expected=created.revision)

    await store.compact(deleted.revision)

    with pytest.raises(Compacted):
        await take(1, store.watch(prefix, since=created.revision))
    assert (await store.list(prefix, at=deleted.revision)).entries == []


async def test_a_deletion_after_compaction_still_knows_the_last_value(store: Store, prefix: str) -> None:
    created = await store.put(prefix + "a", b"1", expected=0)
    await store.compact(created.revision)
    deleted = await store.delete(prefix + "a", expected=created.revision)

    assert await take(1, store.watch(prefix, since=created.revision)) == [
        Change(prefix + "a", None, deleted.revision, b"1")
    ]


async def test_compacting_twice_is_harmless_and_the_future_cannot_be_compacted(store: Store, prefix: str) -> None:
    a, b = await create(store, prefix, "ab")

    await store.compact(b.revision)
    await store.compact(a.revision)
    await store.compact(b.revision)

    with pytest.raises(FutureRevision):
        await store.compact(b.revision + 1)
    assert (await store.list(prefix, at=b.revision)).entries == [a, b]


async def test_revisions_go_on_rising_after_everything_was_deleted_and_compacted(store: Store, prefix: str) -> None:
    created = await store.put(prefix + "a", b"1", expected=0)
    deleted = await store.delete(prefix + "a", expected=created.revision)
    await store.compact(deleted.revision)

    again = await store.put(prefix + "a", b"2", expected=0)

    assert again.revision == deleted.revision + 1
