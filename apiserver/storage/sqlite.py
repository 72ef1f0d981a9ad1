"""The embedded store: one SQLite file, durable on every acknowledged write, safe to kill at any moment.

Writes go through one thread (`sqlite_writer.py`), reads of one key happen right here (microseconds, less than a hop
to another thread costs, unless the page must come from a cold disk), lists and old history on a reading thread. One
process at a time may hold the file; others may look into it with any SQLite tool that only reads.

Who puts an older copy of the file in its place need say nothing: versions jump past all that were ever given out, and
what clients saw before is Compacted, so that nobody takes what is new for what they know.
"""

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from apiserver.fairness.flows import FLOW
from apiserver.fairness.turnstile import turnstile_here
from apiserver.storage.feed import Feed, closed
from apiserver.storage.sqlite_log import Head, Log
from apiserver.storage.sqlite_writer import Outcomes, Sweep, Write, Writer
from apiserver.storage.store import Change, Compacted, Entry, Page, StoreUnavailable, check_size
from apiserver.tracing.trace import part

# What watchers that keep up need in memory; those that do not read from the file. The API server has one watcher, its
# cache, which takes changes in as they come.
FEED_CHANGES = 1024
FEED_BYTES = 4 * 1024 * 1024

# How far versions jump past the newest known to have been given out. After a loss of power a few more may have been.
JUMP = 1_000_000

T = TypeVar("T")

log = structlog.get_logger()


class FileLock:
    """Keeps a second process from writing the same database. The kernel releases it when the process dies.

    A file of its own, as closing any descriptor of the database would drop SQLite's own locks on it. It holds the
    newest revision that was given out, never more, and after a loss of power perhaps less.
    """

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path.with_name(path.name + ".lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._descriptor)
            raise StoreUnavailable(f"{path}: another process has this store open") from error

    def newest(self) -> int:
        """The newest revision that was given out; 0 if nobody knows."""
        text = os.pread(self._descriptor, 20, 0)
        return int(text) if text.isdigit() else 0

    def remember(self, revision: int) -> None:
        """Note a revision before it is given out: a write to memory, which outlives the process."""
        with suppress(OSError):  # a full disk: the next one is noted
            os.pwrite(self._descriptor, b"%020d" % revision, 0)

    def release(self) -> None:
        os.close(self._descriptor)


class SqliteStore:
    """A `Store` in one file. Made by `open`; belongs to the event loop that opened it."""

    is_shared = False

    def __init__(self, path: Path, lock: FileLock, table: Log) -> None:
        head = _caught_up(path, lock, table)
        self._lock = lock
        self._feed = Feed(head.newest)
        self._acknowledged = head.newest
        self._compacted = head.promised
        self._near = Log.reading(path)
        self._far = Log.reading(path)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="sqlite-reader")
        self._turnstile = turnstile_here()
        self._writer = Writer(table, self._publish)

    @classmethod
    async def open(cls, path: Path) -> "SqliteStore":
        """Open the file, creating it if need be. Raises StoreUnavailable, naming the file."""
        try:
            lock = FileLock(path)
        except OSError as error:
            raise StoreUnavailable(f"{path}: {error}") from error
        try:
            return cls(path, lock, Log.writing(path))
        except (OSError, sqlite3.Error) as error:
            lock.release()
            raise StoreUnavailable(f"{path}: {error}") from error
        except StoreUnavailable:
            lock.release()
            raise

    async def get(self, key: str) -> Entry | None:
        self._check_open()
        try:
            revision, value = self._near.newest(key)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{self._near.path}: {error}") from error
        return None if value is None else Entry(key, value, revision)

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, at: int = 0) -> Page:
        return await self._read(partial(Log.page, prefix=prefix, after=after, limit=limit, at=at))

    async def put(self, key: str, value: bytes, *, expected: int) -> Entry:
        check_size(key, value)
        change = await self._write(key, value, expected)
        return Entry(key, value, change.revision)

    async def delete(self, key: str, *, expected: int) -> Entry:
        change = await self._write(key, None, expected)
        return Entry(key, change.previous or b"", change.revision)

    async def watch(self, prefix: str, *, since: int) -> AsyncIterator[Change]:
        while True:
            self._check_open()
            if since < self._compacted:
                raise Compacted(self._compacted)
            if since < self._feed.begins_after:
                changes, since = await self._read(partial(Log.changes, prefix=prefix, since=since))
                for change in changes:
                    yield change
                continue
            for change in self._feed.since(since):
                if change.key.startswith(prefix):
                    yield change
                since = change.revision
            await self._feed.beyond(since)

    async def compact(self, revision: int) -> None:
        while True:
            self._check_open()
            future: asyncio.Future[Head] = asyncio.get_running_loop().create_future()
            self._writer.submit(Sweep(revision, future))
            head = await future
            self._compacted = head.promised
            if head.swept >= revision:
                return

    async def revision(self) -> int:
        self._check_open()
        return self._acknowledged

    async def size(self) -> int:
        files = (Path(f"{self._near.path}{suffix}") for suffix in ("", "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    async def close(self) -> None:
        if self._feed.closed:
            return
        self._feed.close()
        # Readers first: the last connection to close checkpoints, and that must be the writer's.
        await asyncio.to_thread(self._reader.shutdown)
        self._near.close()
        self._far.close()
        await asyncio.to_thread(self._writer.stop)
        self._lock.release()

    def _check_open(self) -> None:
        if self._feed.closed:
            raise closed()

    async def _write(self, key: str, value: bytes | None, expected: int) -> Change:
        self._check_open()
        future: asyncio.Future[Change] = asyncio.get_running_loop().create_future()
        self._writer.submit(Write(key, value, expected, future, FLOW.get()))
        with part("store write"):
            return await future

    async def _read(self, query: Callable[[Log], T]) -> T:
        self._check_open()
        try:
            with part("store read"):
                return await asyncio.get_running_loop().run_in_executor(self._reader, query, self._far)
        except sqlite3.Error as error:
            raise StoreUnavailable(f"{self._far.path}: {error}") from error

    def _publish(self, outcomes: Outcomes) -> None:
        """Watchers first, then the writers: one who was answered finds every watcher in this process woken.

        Writers are answered a turn later, so that who watches is written to before they go on with what they do, and
        when it is their flow's turn, so that nobody waits for all of them.
        """
        changes = [result for _, result in outcomes if isinstance(result, Change)]
        if changes:
            self._lock.remember(changes[-1].revision)
            self._feed.append(changes)
            self._feed.shrink(changes=FEED_CHANGES, size_bytes=FEED_BYTES)
        asyncio.get_running_loop().call_soon(self._acknowledge, outcomes, self._feed.revision)

    def _acknowledge(self, outcomes: Outcomes, revision: int) -> None:
        self._acknowledged = max(self._acknowledged, revision)
        for job, result in outcomes:
            self._turnstile.go_on(job.flow, partial(job.answer, result))


def _caught_up(path: Path, lock: FileLock, table: Log) -> Head:
    """Where the table stands; if that is before what was given out, the file is an older copy, and jumps."""
    head, given_out = table.head(), lock.newest()
    if head.newest >= given_out:
        return head
    log.warning("an older copy of the store: versions jump", path=str(path), newest=head.newest, given_out=given_out)
    return table.jump(given_out + JUMP)
