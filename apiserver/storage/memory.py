"""A store in the memory of one process, for tests, the simulator and clusters that may be forgotten.

It keeps every promise of the protocol but one: nothing survives the process.
"""

import asyncio
from bisect import bisect_left, bisect_right, insort
from collections.abc import AsyncIterator
from itertools import islice

from apiserver.storage.feed import Feed, closed
from apiserver.storage.store import (
    Change,
    Compacted,
    Conflict,
    Entry,
    FutureRevision,
    Page,
    check_size,
)


class MemoryStore:
    """Per key its versions in order, and beside them the log of all changes since the last compaction.

    No method suspends between its look and its leap, so the event loop is the only lock.
    """

    is_shared = False

    def __init__(self) -> None:
        # A key's versions are (revision, value), oldest first; a value of None is a deletion.
        self._versions: dict[str, list[tuple[int, bytes | None]]] = {}
        self._keys: list[str] = []
        self._feed = Feed(0)
        self._compacted = 0

    async def get(self, key: str) -> Entry | None:
        self._check_open()
        return self._entry(key)

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, at: int = 0) -> Page:
        self._check_open()
        if at > self._feed.revision:
            raise FutureRevision(at, self._feed.revision)
        if at and at < self._compacted:
            raise Compacted(self._compacted)
        entries: list[Entry] = []
        start = max(bisect_left(self._keys, prefix), bisect_right(self._keys, after) if after else 0)
        for key in islice(self._keys, start, None):
            if not key.startswith(prefix):
                break
            entry = self._entry(key, at)
            if entry and limit and len(entries) == limit:
                return Page(entries, at or self._feed.revision, True)
            if entry:
                entries.append(entry)
        return Page(entries, at or self._feed.revision, False)

    async def put(self, key: str, value: bytes, *, expected: int) -> Entry:
        self._check_open()
        check_size(key, value)
        found = self._entry(key)
        if (found.revision if found else 0) != expected:
            raise Conflict(key, expected, found)
        revision = self._write(key, value, found)
        await _let_watchers_run()
        return Entry(key, value, revision)

    async def delete(self, key: str, *, expected: int) -> Entry:
        self._check_open()
        found = self._entry(key)
        if found is None or found.revision != expected:
            raise Conflict(key, expected, found)
        revision = self._write(key, None, found)
        await _let_watchers_run()
        return Entry(key, found.value, revision)

    async def watch(self, prefix: str, *, since: int) -> AsyncIterator[Change]:
        while True:
            self._check_open()
            if since < self._compacted:
                raise Compacted(self._compacted)
            for change in self._feed.since(since):
                if change.key.startswith(prefix):
                    yield change
                since = change.revision
            await self._feed.beyond(since)

    async def compact(self, revision: int) -> None:
        self._check_open()
        if revision > self._feed.revision:
            raise FutureRevision(revision, self._feed.revision)
        for change in self._feed.since(self._compacted):
            if change.revision > revision:
                break
            self._trim(change.key, revision)
        self._feed.forget(revision)
        self._compacted = max(self._compacted, revision)

    async def revision(self) -> int:
        self._check_open()
        return self._feed.revision

    async def size(self) -> int:
        return sum(len(value or b"") for versions in self._versions.values() for _, value in versions)

    async def close(self) -> None:
        self._feed.close()

    def _check_open(self) -> None:
        if self._feed.closed:
            raise closed()

    def _entry(self, key: str, at: int = 0) -> Entry | None:
        versions = self._versions.get(key)
        if not versions:
            return None
        index = bisect_right(versions, at, key=_revision_of) if at else len(versions)
        if index == 0:
            return None
        revision, value = versions[index - 1]
        return None if value is None else Entry(key, value, revision)

    def _write(self, key: str, value: bytes | None, found: Entry | None) -> int:
        revision = self._feed.revision + 1
        if key not in self._versions:
            insort(self._keys, key)
            self._versions[key] = []
        self._versions[key].append((revision, value))
        self._feed.append([Change(key, value, revision, found.value if found else None)])
        return revision

    def _trim(self, key: str, revision: int) -> None:
        """Keep of a key only what a reader at `revision` or later can see."""
        versions = self._versions.get(key, [])
        visible = bisect_right(versions, revision, key=_revision_of) - 1
        if visible < 0:
            return
        del versions[: visible if versions[visible][1] is not None else visible + 1]
        if not versions:
            del self._versions[key]
            del self._keys[bisect_left(self._keys, key)]


def _revision_of(version: tuple[int, bytes | None]) -> int:
    return version[0]


async def _let_watchers_run() -> None:
    # Watchers were woken by the write; one turn of the loop puts the writer behind them.
    await asyncio.sleep(0)
