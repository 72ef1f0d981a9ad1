"""The one table of the SQLite store, and every statement that touches it.

Each write is a row and no row is ever changed. The row id is the revision; `previous` names the row that this one
supersedes, so the unique index on (key, previous) is the compare-and-swap, finds a key's newest row, and tells for any
revision which rows nothing had superseded yet. Compaction alone deletes rows.

    sqlite3 store.db "SELECT revision, key, value FROM log ORDER BY revision DESC LIMIT 5"
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from apiserver.storage.store import Change, Compacted, Entry, FutureRevision, Page, StoreUnavailable, end_of, start_of

SCHEMA_VERSION = 1
# How many revisions one step of a compaction covers: a few milliseconds, for which other writers wait.
SWEEP_REVISIONS = 1000
# How many changes a lagging watch reads at once.
HISTORY_ROWS = 500
# Checkpoint once the WAL has 16 MiB: larger than SQLite's 4 MiB, because each checkpoint holds up the writers.
CHECKPOINT_PAGES = 4000
# In a quiet moment that is done after so many commits, which are some 600 pages: milliseconds, not tens of them.
CHECKPOINT_COMMITS = 128
# SQLite's format: the header of a WAL, and what stands in it with every page.
WAL_HEADER_BYTES, FRAME_HEADER_BYTES = 32, 24
ZEROS_AT_A_TIME = 1024 * 1024

_SCHEMA = """
    BEGIN IMMEDIATE;
    CREATE TABLE log (
        revision INTEGER PRIMARY KEY AUTOINCREMENT,
        key TEXT NOT NULL,
        previous INTEGER NOT NULL,  -- the revision this row supersedes; 0: none
        value BLOB                  -- NULL: the key was deleted
    );
    CREATE UNIQUE INDEX log_succession ON log (key, previous);
    CREATE TABLE compaction (
        promised INTEGER NOT NULL,  -- nobody may ask for the state before this revision
        swept INTEGER NOT NULL      -- up to here the superseded rows are gone
    );
    INSERT INTO compaction VALUES (0, 0);
    PRAGMA user_version = 1;
    COMMIT;
"""

_HEAD = """
    SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'log'), 0), promised, swept FROM compaction
"""

_PAGE = """
    SELECT key, value, revision FROM log AS entry
    WHERE key >= :start AND key < :end AND revision <= :at AND value IS NOT NULL AND NOT EXISTS (
        SELECT 1 FROM log AS successor
        WHERE successor.key = entry.key AND successor.previous = entry.revision AND successor.revision <= :at
    )
    ORDER BY key LIMIT :limit
"""

_CHANGES = """
    SELECT change.key, change.value, change.revision, before.value
    FROM log AS change NOT INDEXED LEFT JOIN log AS before ON before.revision = change.previous
    WHERE change.revision > :since AND change.key >= :prefix AND change.key < :end
    ORDER BY change.revision LIMIT :limit
"""


class Head(NamedTuple):
    """Where the log stands: the newest revision, and how far it is compacted."""

    newest: int
    promised: int
    swept: int


class Log:
    """One connection to the table, used by one thread at a time. Errors are sqlite3's, or the store's own."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.has_room = False
        self._connection = connection
        self._commits = 0  # since the last checkpoint that was asked for

    @classmethod
    def writing(cls, path: Path) -> "Log":
        """The only connection of the machine that writes and checkpoints, on a file that it creates if need be.

        Two such connections can corrupt a WAL database (SQLite 3.7.0 to 3.51.2); see `FileLock` in sqlite.py.
        """
        _create_private(path)
        log = cls(path, _connect(path))
        try:
            log._prepare()
        except BaseException:
            log.close()
            raise
        return log

    @classmethod
    def reading(cls, path: Path) -> "Log":
        """A connection that cannot write. It is opened after the writing one, and closed before it."""
        log = cls(path, _connect(path))
        log._connection.execute("PRAGMA query_only = 1")
        log._connection.execute("PRAGMA wal_autocheckpoint = 0")
        return log

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is durable when this ends, or has not happened."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
            self._commits += 1
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def head(self) -> Head:
        return Head(*self._connection.execute(_HEAD).fetchone())

    def newest(self, key: str) -> tuple[int, bytes | None]:
        """Revision and value of a key's newest row, a deletion included; (0, None) if there is none."""
        row = self._connection.execute(
            "SELECT revision, value FROM log WHERE key = ? ORDER BY previous DESC LIMIT 1", (key,)
        ).fetchone()
        return row or (0, None)

    def append(self, key: str, value: bytes | None, previous: int) -> int:
        """Write a row that supersedes row `previous` of the key. Returns its revision."""
        cursor = self._connection.execute(
            "INSERT INTO log (key, previous, value) VALUES (?, ?, ?)", (key, previous, value)
        )
        return cursor.lastrowid or 0

    def page(self, prefix: str, after: str, limit: int, at: int) -> Page:
        """As `Store.list`."""
        with self._snapshot() as head:
            if at > head.newest:
                raise FutureRevision(at, head.newest)
            if at and at < head.promised:
                raise Compacted(head.promised)
            at = at or head.newest
            bounds = {"start": start_of(prefix, after), "end": _end_of(prefix), "at": at}
            rows = self._connection.execute(_PAGE, {**bounds, "limit": limit + 1 if limit else -1})
            entries = [Entry(*row) for row in rows]
        more = bool(limit) and len(entries) > limit
        return Page(entries[:limit] if more else entries, at, more)

    def changes(self, prefix: str, since: int) -> tuple[list[Change], int]:
        """Some changes after `since`, and the revision up to which they are all that there were."""
        with self._snapshot() as head:
            if since < head.promised:
                raise Compacted(head.promised)
            bounds = {"prefix": prefix, "end": _end_of(prefix), "since": since}
            rows = self._connection.execute(_CHANGES, {**bounds, "limit": HISTORY_ROWS})
            changes = [Change(*row) for row in rows]
        return changes, changes[-1].revision if len(changes) == HISTORY_ROWS else max(head.newest, since)

    def sweep(self, revision: int) -> Head:
        """One bounded step of compacting to `revision`; done when the head's `swept` has reached it.

        The promise is written with the first step, so a reader never meets a history with holes.
        """
        head = self.head()
        if revision > head.newest:
            raise FutureRevision(revision, head.newest)
        if revision <= head.swept:
            return head
        window = (head.swept, min(revision, head.swept + SWEEP_REVISIONS))
        # Every write up to here made the row it superseded garbage, and a deletion is garbage itself.
        self._connection.execute(
            "DELETE FROM log WHERE revision IN (SELECT previous FROM log WHERE revision > ? AND revision <= ?)", window
        )
        self._connection.execute("DELETE FROM log WHERE revision > ? AND revision <= ? AND value IS NULL", window)
        self._connection.execute("UPDATE compaction SET promised = max(promised, ?), swept = ?", (revision, window[1]))
        return self.head()

    @property
    def is_behind(self) -> bool:
        """Whether a checkpoint in a quiet moment spares a commit a long one."""
        return self._commits >= CHECKPOINT_COMMITS

    def checkpoint(self) -> None:
        """Write what the WAL holds into the table's file, so that it begins anew.

        What goes wrong here is no error: it all stands in the WAL still, and a later one tries again.
        """
        self._commits = 0
        with suppress(sqlite3.Error):
            self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def make_room(self) -> None:
        """Give the WAL the size it will have anyway, so that a commit writes into a file that does not grow.

        What grows must go through the file system's journal, and waits there for what others write. The zeros are no
        frames, as those of a WAL that begins anew are none: SQLite reads up to the first that does not follow.
        Without room all goes on, a little slower, so nothing that goes wrong here is an error.
        """
        self.has_room = True
        with suppress(OSError, sqlite3.Error):
            page: int = self._connection.execute("PRAGMA page_size").fetchone()[0]
            _lengthen(Path(f"{self.path}-wal"), WAL_HEADER_BYTES + CHECKPOINT_PAGES * (page + FRAME_HEADER_BYTES))

    def jump(self, revision: int) -> Head:
        """Go on from `revision`, which is ahead, as if all before it were compacted: nobody may ask for it again."""
        newest = self.head().newest
        while self.head().swept < newest:
            with self.transaction():
                self.sweep(newest)
        with self.transaction():
            self._connection.execute("DELETE FROM sqlite_sequence WHERE name = 'log'")
            self._connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('log', ?)", (revision,))
            self._connection.execute("UPDATE compaction SET promised = ?, swept = ?", (revision, revision))
        return self.head()

    @contextmanager
    def _snapshot(self) -> Iterator[Head]:
        """Several reads that see one state."""
        self._connection.execute("BEGIN")
        try:
            yield self.head()
        finally:
            self._connection.execute("ROLLBACK")

    def _prepare(self) -> None:
        mode = self._connection.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            raise StoreUnavailable(f"{self.path}: this file system cannot hold a WAL database (journal mode {mode})")
        # FULL syncs the WAL on every commit: an acknowledged write survives the loss of power.
        self._connection.execute("PRAGMA synchronous = FULL")
        # What compaction deletes must not stay readable in free pages: deleted secrets were among it.
        self._connection.execute("PRAGMA secure_delete = ON")
        self._connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            self._connection.executescript(_SCHEMA)
        elif version != SCHEMA_VERSION:
            raise StoreUnavailable(f"{self.path}: schema version {version}, this program knows {SCHEMA_VERSION}")


def _lengthen(path: Path, size: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND)
    try:
        before = os.fstat(descriptor).st_size
        try:
            _append_zeros(descriptor, size - before)
            os.fdatasync(descriptor)
        except OSError:
            os.ftruncate(descriptor, before)  # a full disk: what is left of it is for what is written
    finally:
        os.close(descriptor)


def _append_zeros(descriptor: int, number: int) -> None:
    zeros = bytes(ZEROS_AT_A_TIME)
    while number > 0:
        number -= os.write(descriptor, zeros[:number])


def _connect(path: Path) -> sqlite3.Connection:
    # Opened on one thread and used on another, never on two at once.
    return sqlite3.connect(path, isolation_level=None, check_same_thread=False)


def _create_private(path: Path) -> None:
    """Create the file for its owner alone, as it holds secrets; the WAL inherits the mode."""
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _end_of(prefix: str) -> str | bytes:
    # A blob sorts after every text, so it bounds a range that has no end.
    return end_of(prefix) or b""
