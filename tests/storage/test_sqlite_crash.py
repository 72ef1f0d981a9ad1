"""SIGKILL in the middle of a write storm, and a log cut at any byte: what was acknowledged is there, whole."""

import asyncio
import random
import resource
import shutil
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import pytest

from apiserver.storage import Change, Compacted, Store, open_store
from apiserver.storage.sqlite_log import CHECKPOINT_COMMITS, CHECKPOINT_PAGES, Log
from tests.storage.store_client import take
from tests.storage.write_storm import REPOSITORY, is_whole

CRASHES = 25
CUTS = 60


class Acknowledged(NamedTuple):
    """A line of the storm: the first 8 bytes of the value, or `-` for a deletion."""

    key: str
    revision: int
    value: str


def storm(where: str, lines: int) -> list[Acknowledged]:
    """Let it rage until `lines` were acknowledged, then SIGKILL; everything that was said before it died."""
    command = [sys.executable, "-m", "tests.storage.write_storm", where]
    with subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE) as process:
        assert process.stdout
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.stdout.read().splitlines(keepends=True)
    whole = [line.decode().split() for line in said if line.endswith(b"\n")]
    return [Acknowledged(key, int(revision), value) for key, revision, value in whole]


async def history(store: Store) -> list[Change]:
    """Every change that is not compacted."""
    newest, since = await store.revision(), 0
    try:
        await take(1, store.watch("", since=0))
    except Compacted as compacted:
        since = compacted.oldest
    return await take(newest - since, store.watch("", since=since))


def summary(value: bytes | None) -> str:
    return "-" if value is None else value[:8].decode()


async def check(store: Store, acknowledged: list[Acknowledged]) -> None:
    """Nothing acknowledged is missing, nothing is torn, and lists and history tell one story."""
    changes = await history(store)
    oldest = changes[0].revision
    kept = {Acknowledged(change.key, change.revision, summary(change.value)) for change in changes}
    current = {entry.key: entry for entry in (await store.list("")).entries}

    assert {ack for ack in acknowledged if ack.revision >= oldest} <= kept
    assert all(before.revision + 1 == after.revision for before, after in pairwise(changes))
    assert all(is_whole(change.value) for change in changes if change.value is not None)
    assert all(is_whole(entry.value) for entry in current.values())
    for key, last in {change.key: change for change in changes}.items():
        assert (current[key].value if key in current else None) == last.value
    untouched = {ack.key: ack for ack in acknowledged if ack.revision < oldest}
    for key in untouched.keys() - {change.key for change in changes}:
        assert summary(current[key].value if key in current else None) == untouched[key].value


async def test_no_acknowledged_write_is_lost_however_often_the_process_is_killed(tmp_path: Path) -> None:
    where = f"sqlite:{tmp_path / 'store.db'}"
    chance = random.Random(7)
    acknowledged: list[Acknowledged] = []

    for _ in range(CRASHES):
        newest = max((ack.revision for ack in acknowledged), default=0)
        said = await asyncio.to_thread(storm, where, chance.randrange(1, 900))
        assert min(ack.revision for ack in said) > newest
        acknowledged += said
        store = await open_store(where)
        await check(store, acknowledged)
        await store.close()


async def test_a_log_cut_anywhere_behind_the_last_acknowledged_write_has_lost_nothing(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:{tmp_path / 'store.db'}")
    wal = tmp_path / "store.db-wal"
    synced = [(0, 0)]
    for step in range(40):
        entry = await store.put(f"/registry/{step}", b"x" * 997 * step, expected=0)
        synced.append((wal.stat().st_size, entry.revision))
    shutil.copy(tmp_path / "store.db", tmp_path / "saved.db")
    shutil.copy(wal, tmp_path / "saved.wal")
    await store.close()

    chance = random.Random(7)
    for _ in range(CUTS):
        step = chance.randrange(1, 40)
        length = chance.randrange(synced[step][0], synced[step + 1][0])
        revision = await reopened(tmp_path, length, chance.randbytes(chance.randrange(5000)))
        assert revision == synced[step][1]


async def test_a_log_that_was_given_room_keeps_its_size_and_loses_nothing(tmp_path: Path) -> None:
    log, wal = Log.writing(tmp_path / "store.db"), tmp_path / "store.db-wal"
    sizes = set()
    for step in range(40):
        if step == 10:
            log.make_room()
        with log.transaction():
            log.append(f"/registry/{step}", b"x" * 997 * step, 0)
        sizes |= {wal.stat().st_size} if step >= 10 else set()
    shutil.copy(tmp_path / "store.db", tmp_path / "saved.db")
    shutil.copy(wal, tmp_path / "saved.wal")
    log.close()

    assert sizes == {32 + CHECKPOINT_PAGES * 4120}
    assert await reopened(tmp_path, max(sizes), b"") == 40


async def test_between_bursts_of_writes_the_file_takes_over_what_the_log_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, done, checkpoint = asyncio.get_running_loop(), asyncio.Event(), Log.checkpoint
    told = lambda log: (checkpoint(log), loop.call_soon_threadsafe(done.set))  # noqa: E731
    monkeypatch.setattr(Log, "checkpoint", told)
    store = await open_store(f"sqlite:{tmp_path / 'store.db'}")
    for step in range(CHECKPOINT_COMMITS):
        await store.put(f"/registry/{step}", b"x", expected=0)

    await done.wait()

    shutil.copy(tmp_path / "store.db", tmp_path / "alone.db")
    await store.close()
    assert Log.reading(tmp_path / "alone.db").head().newest == CHECKPOINT_COMMITS


def test_a_log_whose_content_was_taken_over_begins_anew(tmp_path: Path) -> None:
    log, wal = Log.writing(tmp_path / "store.db"), tmp_path / "store.db-wal"
    sizes = []
    for step in range(4 * CHECKPOINT_COMMITS):
        if log.is_behind:
            log.checkpoint()
            sizes.append(wal.stat().st_size)
        with log.transaction():
            log.append(f"/registry/{step:4}", b"x" * 100, 0)
    log.close()

    assert len(sizes) == 3
    assert max(sizes) < 1.5 * sizes[0]


@pytest.mark.parametrize(("resource_name", "limit"), [("RLIMIT_FSIZE", 50_000), ("RLIMIT_NOFILE", 3)])
def test_without_room_for_the_log_or_files_to_open_it_stays_as_it_is(
    tmp_path: Path, resource_name: str, limit: int
) -> None:
    log, wal = Log.writing(tmp_path / "store.db"), tmp_path / "store.db-wal"
    limited = getattr(resource, resource_name)
    before, limits = wal.stat().st_size, resource.getrlimit(limited)

    resource.setrlimit(limited, (limit, limits[1]))
    try:
        log.make_room()
    finally:
        resource.setrlimit(limited, limits)

    assert (log.has_room, wal.stat().st_size) == (True, before)
    log.close()


async def reopened(folder: Path, length: int, garbage: bytes) -> int:
    """The revision of a store whose WAL has lost what follows `length`, with `garbage` in its place."""
    shutil.copy(folder / "saved.db", folder / "cut.db")
    (folder / "cut.db-wal").write_bytes((folder / "saved.wal").read_bytes()[:length] + garbage)
    store = await open_store(f"sqlite:{folder / 'cut.db'}")
    revision = await store.revision()
    page = await store.list("")
    await store.close()
    assert [len(entry.value) for entry in sorted(page.entries, key=lambda entry: entry.revision)] == [
        997 * step for step in range(revision)
    ]
    return revision
