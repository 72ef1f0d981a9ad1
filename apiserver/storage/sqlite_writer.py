"""The thread that alone writes to the SQLite store, and makes concurrent writers share one fsync.

While one commit waits for the disk, the next writes queue up; they become one transaction. Nobody is answered, not
even with a Conflict, before the transaction that was looked at is durable. When the disk refuses, all of the batch are
refused: a full disk heals by itself when there is space again; any other error, above all one from fsync, leaves the
state of the file unknown, so the thread stops writing for good and a restart recovers from the file.

In the first quiet moment it makes room in the log, so that later commits find it. What the log holds goes into the
table's file between bursts of writes, a little at a time: a commit that finds the log full must do all of it.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Protocol

from apiserver.storage.sqlite_log import Head, Log
from apiserver.storage.store import Change, Conflict, Entry, StoreError, StoreUnavailable

MAX_BATCH = 256
QUIET_SECONDS = 1.0
# Nobody writes for so long between two bursts: what one request leads to comes sooner.
BREATH_SECONDS = 0.01
_HEALING = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM}

Result = Change | Head
Outcomes = Sequence[tuple["Job", Result | Exception]]


class Job(Protocol):
    """Something to be done inside the next transaction. The waiting task may have given up on it."""

    flow: str  # whose it is: flows take turns

    def apply(self, log: Log) -> Result:
        """Runs on the writer's thread. Raises StoreError or ValueError for this job alone, before it has written."""

    def answer(self, result: Result | Exception) -> None:
        """Runs on the event loop once the transaction is durable, or has failed."""


@dataclass
class Write:
    """Put or, with `value` None, delete a key that is at revision `expected`."""

    key: str
    value: bytes | None
    expected: int
    future: asyncio.Future[Change]
    flow: str = ""

    def apply(self, log: Log) -> Change:
        revision, value = log.newest(self.key)
        found = None if value is None else Entry(self.key, value, revision)
        missing = found is None and self.value is None
        if missing or (found.revision if found else 0) != self.expected:
            raise Conflict(self.key, self.expected, found)
        return Change(self.key, self.value, log.append(self.key, self.value, revision), value)

    def answer(self, result: Result | Exception) -> None:
        _settle(self.future, result)


@dataclass
class Sweep:
    """One step of compacting to `revision`."""

    revision: int
    future: asyncio.Future[Head]
    flow: str = ""

    def apply(self, log: Log) -> Head:
        return log.sweep(self.revision)

    def answer(self, result: Result | Exception) -> None:
        _settle(self.future, result)


class Writer:
    """Owns the writing connection from construction to `stop`. `publish` runs on the event loop, once per batch."""

    def __init__(self, log: Log, publish: Callable[[Outcomes], None]) -> None:
        self._log = log
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._inbox: SimpleQueue[Job | None] = SimpleQueue()
        self._stopped_because = ""
        # A daemon: a process that dies without closing its store must not wait for us.
        self._thread = threading.Thread(target=self._run, name="sqlite-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        self._inbox.put(job)

    def stop(self) -> None:
        """Finish what was submitted and close the connection. Blocks."""
        self._inbox.put(None)
        self._thread.join()
        self._log.close()

    def _run(self) -> None:
        running = True
        while running:
            batch = self._collect()
            running = None not in batch
            outcomes = self._commit([job for job in batch if job])
            try:
                self._loop.call_soon_threadsafe(self._publish, outcomes)
            except RuntimeError:
                return  # the event loop is gone, and with it everybody who waited

    def _collect(self) -> list[Job | None]:
        batch = [self._first()]
        while len(batch) < MAX_BATCH:
            try:
                batch.append(self._inbox.get_nowait())
            except Empty:
                break
        return batch

    def _first(self) -> Job | None:
        if self._log.is_behind:
            try:
                return self._inbox.get(timeout=BREATH_SECONDS)
            except Empty:
                self._log.checkpoint()
        if not self._log.has_room:
            try:
                return self._inbox.get(timeout=QUIET_SECONDS)
            except Empty:
                self._log.make_room()
        return self._inbox.get()

    def _commit(self, batch: list[Job]) -> Outcomes:
        if self._stopped_because:
            return [(job, StoreUnavailable(self._stopped_because)) for job in batch]
        try:
            with self._log.transaction():
                return [(job, self._apply(job)) for job in batch]
        except (sqlite3.Error, MemoryError) as error:
            reason = f"{self._log.path}: {error}"
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_NOMEM) & 0xFF not in _HEALING:
                reason = self._stopped_because = f"writing stopped until a restart after an error: {reason}"
            return [(job, StoreUnavailable(reason)) for job in batch]
        except Exception as error:
            # A mistake of ours: better no writes, which everybody notices, than writers who wait for ever.
            self._stopped_because = f"writing stopped until a restart after an error of our own: {error!r}"
            return [(job, StoreUnavailable(self._stopped_because)) for job in batch]

    def _apply(self, job: Job) -> Result | Exception:
        try:
            return job.apply(self._log)
        except (StoreError, ValueError) as error:
            return error


def _settle(future: asyncio.Future[Change] | asyncio.Future[Head], result: Result | Exception) -> None:
    if future.done():
        return  # whoever waited has been cancelled; the write stands all the same
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)  # type: ignore[arg-type]
