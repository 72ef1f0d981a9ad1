"""What the SQLite store does when its disk is full or broken, its file strange, or its watchers slow."""

import asyncio
import contextlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from apiserver.storage import Compacted, Store, StoreUnavailable, open_store
from apiserver.storage.sqlite import FEED_BYTES, FEED_CHANGES, JUMP
from apiserver.storage.sqlite_log import SWEEP_REVISIONS, Log
from tests.storage.failing_disk import BROKEN, FULL, disk_refuses
from tests.storage.store_client import create, take
from tests.storage.write_storm import REPOSITORY


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[Store]:
    store = await open_store(f"sqlite:{path}")
    yield store
    await store.close()


async def test_a_full_disk_fails_writes_and_heals(store: Store) -> None:
    (a,) = await create(store, "/registry/", "a")

    with disk_refuses(FULL):
        with pytest.raises(StoreUnavailable, match="database or disk is full"):
            await store.put("/registry/b", b"lost", expected=0)
        assert await store.get("/registry/a") == a
        assert (await store.list("/registry/")).entries == [a]

    c = await store.put("/registry/c", b"after", expected=0)
    assert c.revision == a.revision + 1
    assert (await store.list("/registry/")).entries == [a, c]


def test_a_full_disk_on_which_the_file_cannot_take_over_what_the_log_holds_costs_nothing(path: Path) -> None:
    log = Log.writing(path)
    with log.transaction():
        log.append("/registry/a", b"1" * 100_000, 0)

    with disk_refuses(FULL):
        log.checkpoint()
    with log.transaction():
        revision = log.append("/registry/b", b"2", 0)
    log.close()

    assert (revision, Log.writing(path).newest("/registry/a")) == (2, (1, b"1" * 100_000))


async def test_all_writers_of_a_failed_batch_are_told(store: Store) -> None:
    with disk_refuses(FULL):
        puts = [store.put(f"/registry/{n}", b"lost", expected=0) for n in range(64)]
        results = await asyncio.gather(*puts, store.delete("/registry/none", expected=1), return_exceptions=True)

    assert {type(result) for result in results[:64]} == {StoreUnavailable}
    assert await store.list("") == ([], 0, False)


async def test_a_failed_write_reaches_no_watcher(store: Store) -> None:
    with disk_refuses(FULL), pytest.raises(StoreUnavailable):
        await store.put("/registry/a", b"lost", expected=0)
    (b,) = await create(store, "/registry/", "b")

    assert [change.key for change in await take(1, store.watch("", since=0))] == [b.key]


async def test_a_broken_disk_stops_writes_until_a_restart(store: Store, path: Path) -> None:
    (a,) = await create(store, "/registry/", "a")

    with disk_refuses(BROKEN), pytest.raises(StoreUnavailable, match="disk I/O error"):
        await store.put("/registry/b", b"lost", expected=0)
    with pytest.raises(StoreUnavailable, match="until a restart"):
        await store.put("/registry/b", b"refused", expected=0)
    assert await store.get("/registry/a") == a

    await store.close()
    again = await open_store(f"sqlite:{path}")
    assert (await again.list("")).entries == [a]
    assert (await again.put("/registry/b", b"1", expected=0)).revision == a.revision + 1
    await again.close()


async def test_one_failed_fsync_stops_writes_and_a_restart_is_clean(path: Path) -> None:
    strace = shutil.which("strace") or pytest.skip("no strace on this machine to make fsync fail")
    command = [strace, "-f", "-qq", "-o", "/dev/null", "-e", "inject=fdatasync:error=EIO:when=30"]
    command += [sys.executable, "-m", "tests.storage.steady_writer", f"sqlite:{path}"]

    done = await asyncio.to_thread(subprocess.run, command, cwd=REPOSITORY, capture_output=True, text=True)

    *writes, reads = done.stdout.splitlines()
    acknowledged = writes.count("acknowledged")
    assert 0 < acknowledged < 30
    assert writes[:acknowledged] == ["acknowledged"] * acknowledged
    assert reads == f"reads {acknowledged}"
    store = await open_store(f"sqlite:{path}")
    assert len((await store.list("")).entries) >= acknowledged
    await create(store, "/registry/", "a")
    await store.close()


async def test_the_files_are_for_their_owner_alone(store: Store, path: Path) -> None:
    await create(store, "/registry/", "a")

    modes = {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()}

    assert modes == dict.fromkeys(["store.db", "store.db-shm", "store.db-wal", "store.db.lock"], 0o600)


async def test_a_second_process_is_kept_out_until_the_first_has_closed(store: Store, path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"store\.db: another process has this store open"):
        await open_store(f"sqlite:{path}")

    await store.close()
    await (await open_store(f"sqlite:{path}")).close()


async def test_after_an_older_copy_came_back_versions_jump_and_nobody_goes_on_from_before(store: Store, path: Path):
    a, b = await create(store, "/registry/", "ab")
    await store.delete("/registry/b", expected=b.revision)
    with contextlib.closing(sqlite3.connect(path)) as now, contextlib.closing(sqlite3.connect(f"{path}.copy")) as copy:
        now.backup(copy)
    seen = [entry.revision for entry in await create(store, "/registry/", "bcd")]
    await store.close()

    path.with_name(path.name + ".copy").replace(path)
    again = await open_store(f"sqlite:{path}")
    page = await again.list("/registry/")
    (c,) = await create(again, "/registry/", "c")

    assert (page.entries, page.revision) == ([a], seen[-1] + JUMP)
    assert c.revision == page.revision + 1
    for revision in (1, *seen):
        with pytest.raises(Compacted):
            await take(1, again.watch("/registry/", since=revision))
    assert [change.key for change in await take(1, again.watch("/registry/", since=page.revision))] == [c.key]
    await again.compact(c.revision)
    await again.close()


def test_a_file_that_is_no_database_is_left_alone(path: Path) -> None:
    path.write_bytes(b"precious notes" * 1000)

    with pytest.raises(StoreUnavailable, match=r"store\.db: file is not a database"):
        asyncio.run(open_store(f"sqlite:{path}"))

    assert path.read_bytes() == b"precious notes" * 1000


async def test_a_database_of_a_newer_program_is_refused(path: Path) -> None:
    database = sqlite3.connect(path)
    database.execute("PRAGMA user_version = 7")
    database.close()

    with pytest.raises(StoreUnavailable, match="schema version 7, this program knows 1"):
        await open_store(f"sqlite:{path}")


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match=r"/none/store\.db.*: .*No such file or directory"):
        await open_store(f"sqlite:{tmp_path}/none/store.db")


async def test_anybody_may_look_into_the_file_meanwhile(store: Store, path: Path) -> None:
    await create(store, "/registry/", "ab")

    reader = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    rows = reader.execute("SELECT revision, key, value FROM log").fetchall()
    reader.close()

    assert rows == [(1, "/registry/a", b"a"), (2, "/registry/b", b"b")]


@pytest.mark.parametrize(("writes", "size_bytes"), [(3 * FEED_CHANGES, 1), (12, FEED_BYTES // 6)])
async def test_a_watch_that_fell_behind_reads_on_from_the_file(store: Store, writes: int, size_bytes: int) -> None:
    watch = store.watch("/registry/b", since=0)
    await create(store, "/registry/", "ba")
    seen = [await anext(watch)]

    for start in range(0, writes, 256):
        keys = [f"/registry/{'ab'[n % 2]}{n}" for n in range(start, min(writes, start + 256))]
        await asyncio.gather(*(store.put(key, b"x" * size_bytes, expected=0) for key in keys))
    seen += await take(writes // 2, watch)

    assert [change.revision for change in seen[1:]] == list(range(4, writes + 3, 2))


async def test_a_long_history_is_compacted_in_steps_and_the_file_holds_what_is_left(store: Store, path: Path) -> None:
    revisions = dict.fromkeys((f"/registry/{n:02}" for n in range(50)), 0)
    for step in range(2 * SWEEP_REVISIONS // 50 + 5):
        puts = [store.put(key, b"%d" % step, expected=revision) for key, revision in revisions.items()]
        revisions = {entry.key: entry.revision for entry in await asyncio.gather(*puts)}
    await store.delete("/registry/00", expected=revisions.pop("/registry/00"))

    await store.compact(await store.revision())

    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as reader:
        rows = reader.execute("SELECT key, revision FROM log").fetchall()
    reader.close()
    assert dict(rows) == revisions
    assert len(rows) == 49


async def test_a_compaction_that_was_cancelled_is_finished_by_the_next(store: Store) -> None:
    revision = 0
    for step in range(2 * SWEEP_REVISIONS):
        revision = (await store.put("/registry/a", b"%d" % step, expected=revision)).revision

    async with asyncio.timeout(10):
        compaction = asyncio.create_task(store.compact(revision))
        await asyncio.sleep(0)
        compaction.cancel()
        await asyncio.gather(compaction, return_exceptions=True)
        await store.compact(revision)

    page = await store.list("", at=revision)
    assert [(entry.value, entry.revision) for entry in page.entries] == [(b"%d" % (revision - 1), revision)]


async def test_a_mistake_of_our_own_stops_writes_and_leaves_nobody_waiting(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a mistake")

    monkeypatch.setattr("apiserver.storage.sqlite_log.Log.transaction", broken)

    with pytest.raises(StoreUnavailable, match="an error of our own: KeyError"):
        await asyncio.wait_for(store.put("/registry/a", b"{}", expected=0), 10)


async def test_what_compaction_has_deleted_is_not_in_the_files_any_more(store: Store, path: Path) -> None:
    secret = b"a-password-that-was-deleted" * 300
    made = await store.put("/registry/secrets/a", secret, expected=0)
    gone = await store.delete("/registry/secrets/a", expected=made.revision)

    await store.compact(gone.revision)
    await store.close()

    assert all(b"a-password" not in file.read_bytes() for file in path.parent.iterdir())
