"""The store in an etcd cluster, under Kubernetes' own keys and with readable values: look with `etcdctl`.

Every write is a transaction that compares the key's revision. One that gets no answer is never sent again blindly:
the key is read, and the write counts as done only when the key holds our value under a newer revision. If the key has
not moved, sending the same comparison again cannot do harm; anything else ends in StoreUnavailable.

Limit: two API servers that write the very same bytes to the same key from the same revision, of whom one gets no
answer in that moment, may both believe they won. Within one process that cannot happen (`Turn`).

Differs from the other backends: an empty etcd is at revision 1, other users of the cluster move the revision too, and
etcd itself refuses values over `--max-request-bytes` (1.5 MiB unless raised).
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from weakref import WeakValueDictionary

import structlog

from apiserver.storage import etcd_messages as messages
from apiserver.storage.etcd_connection import (
    ATTEMPT_SECONDS,
    COMPACT,
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    RANGE,
    STATUS,
    TXN,
    EtcdConnection,
    Patience,
    Refused,
    Unanswered,
)
from apiserver.storage.etcd_marks import MARK_KEY, Followed, Marks
from apiserver.storage.opening import EtcdOptions
from apiserver.storage.request_times import Timed
from apiserver.storage.store import (
    Change,
    Compacted,
    Conflict,
    Entry,
    FutureRevision,
    Page,
    StoreUnavailable,
    TooLarge,
    check_size,
    end_of,
    start_of,
)
from apiserver.tracing.trace import part

# Kubernetes lists in pages of 500 too; a page of large objects stays well below a second.
PAGE_ENTRIES = 500
# A key within our users' permissions; that it does not exist does not matter.
PROBE_KEY = b"/registry/"
# etcd's own default of --max-request-bytes.
ETCD_REQUEST_BYTES = 1536 * 1024
# NUL stands for "from the first key" and "to the last key".
ALL = b"\0"

log = structlog.get_logger("apiserver.storage")


class Turn:
    """The right to write one key: a process writes a key one request at a time.

    So the value that an unanswered writer finds under the key cannot come from its neighbour. Those who waited while
    the key moved on, to `won`, need not ask etcd to know that they lost.
    """

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.won: Entry | None = None


class EtcdStore:
    """A `Store` in etcd. Made by `open`; belongs to the event loop that opened it."""

    is_shared = True

    def __init__(self, options: EtcdOptions) -> None:
        self._connection = EtcdConnection(options)
        # A turn lives as long as somebody holds it or waits for it.
        self._turns: WeakValueDictionary[str, Turn] = WeakValueDictionary()
        # Which revision there is: the question that etcd was asked last, and the one to come.
        self._question: asyncio.Future[int] | None = None
        self._next_question: asyncio.Future[int] | None = None
        self._marks = Marks(self._mark)

    @classmethod
    async def open(cls, options: EtcdOptions) -> "EtcdStore":
        """Connect and ask for the revision, so that a wrong address or password shows now. Raises StoreUnavailable."""
        store = cls(options)
        try:
            await store.revision()
        except BaseException:
            await store.close()
            raise
        return store

    async def get(self, key: str) -> Entry | None:
        with Timed("get", key), part("etcd get"):
            return await self._get(key)

    async def _get(self, key: str) -> Entry | None:
        answer = await self._connection.ask(RANGE, messages.RangeRequest(key=key.encode()))
        return _entry(answer.kvs[0]) if answer.kvs else None

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, at: int = 0) -> Page:
        start = start_of(prefix, after)
        entries: list[Entry] = []
        more = True
        while more and (not limit or len(entries) < limit):
            size = min(PAGE_ENTRIES, limit - len(entries)) if limit else PAGE_ENTRIES
            with Timed("list", prefix), part("etcd list"):
                answer = await self._range(start, prefix, size, at)
            # The first page decides which revision the others are of.
            at = at or answer.header.revision
            entries += map(_entry, answer.kvs)
            more = answer.more
            start = start_of(prefix, entries[-1].key) if entries else start
        self._marks.note(at)
        return Page(entries, at, more)

    async def put(self, key: str, value: bytes, *, expected: int) -> Entry:
        check_size(key, value)
        operation = messages.RequestOp(request_put=messages.PutRequest(key=key.encode(), value=value))
        turn = self._turn(key)
        before = turn.won
        async with turn.lock:
            # Only what happened while we waited is news; what happened before may be history by now.
            if turn.won and turn.won is not before and turn.won.revision > expected:
                raise Conflict(key, expected, turn.won)
            with Timed("update" if expected else "create", key), part("etcd write"):
                turn.won = await self._swap(key, value, expected, operation)
            return turn.won

    async def delete(self, key: str, *, expected: int) -> Entry:
        if not expected:
            raise Conflict(key, expected, await self.get(key))
        deletion = messages.DeleteRangeRequest(key=key.encode(), prev_kv=True)
        turn = self._turn(key)
        async with turn.lock:
            turn.won = None
            with Timed("delete", key), part("etcd delete"):
                return await self._swap(key, None, expected, messages.RequestOp(request_delete_range=deletion))

    async def watch(self, prefix: str, *, since: int) -> AsyncIterator[Change]:
        with self._marks.following(prefix, since) as followed:
            async for change in self._changes(prefix, since, followed):
                yield change

    async def _changes(self, prefix: str, since: int, followed: Followed) -> AsyncIterator[Change]:
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                async with self._connection.watching(_watch_request(prefix, since)) as read:
                    # A stopped member accepts the connection and says nothing.
                    async with asyncio.timeout(ATTEMPT_SECONDS):
                        response = await read()
                    while not response.canceled:
                        if response.events:
                            followed.told = max(since, response.events[-1].kv.mod_revision)
                        for event in response.events:
                            if event.kv.mod_revision > since:
                                yield _change(event)
                        # One response holds whole revisions, so the next one resumes after its last.
                        if response.events:
                            since = followed.told
                            pause = FIRST_PAUSE_SECONDS
                        response = await read()
                    if response.compact_revision:
                        raise Compacted(response.compact_revision)
                    reason = response.cancel_reason
                    self._connection.log_out()
            except TimeoutError:
                reason = "no answer"
                self._connection.leave()
            except Unanswered as error:
                reason = str(error)
            except Refused as refusal:
                reason = refusal.details
                self._connection.log_out()
            log.warning("etcd watch resumes", prefix=prefix, since=since, reason=reason)
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def compact(self, revision: int) -> None:
        try:
            await self._connection.ask(COMPACT, messages.CompactionRequest(revision=revision))
        except Refused as refusal:
            if _is_future(refusal):
                raise FutureRevision(revision, await self.revision()) from refusal
            if not _is_compacted(refusal):
                raise

    async def revision(self) -> int:
        """One question answers all who came before it was asked: however many read at once, etcd is asked once."""
        question = self._next_question
        if question is None:
            question = self._next_question = asyncio.ensure_future(self._ask_revision())
            question.add_done_callback(_is_known)
        with part("etcd revision"):
            return await asyncio.shield(question)

    async def _ask_revision(self) -> int:
        if self._question is not None:
            await asyncio.wait((self._question,))
        self._question, self._next_question = self._next_question, None
        answer = await self._connection.ask(RANGE, messages.RangeRequest(key=PROBE_KEY, keys_only=True))
        revision = int(answer.header.revision)
        self._marks.note(revision)
        return revision

    async def size(self) -> int:
        return int((await self._connection.ask(STATUS, messages.StatusRequest())).db_size)

    async def _mark(self) -> None:
        put = messages.PutRequest(key=MARK_KEY.encode(), value=b"{}")
        await self._connection.ask(TXN, messages.TxnRequest(success=[messages.RequestOp(request_put=put)]))

    async def close(self) -> None:
        self._marks.close()
        await self._connection.close()

    def _turn(self, key: str) -> Turn:
        turn = self._turns.get(key)
        if turn is None:
            turn = self._turns[key] = Turn()
        return turn

    async def _swap(self, key: str, value: bytes | None, expected: int, operation: Any) -> Entry:
        """Carry out `operation`, which leaves `value` under the key, if the key is at `expected`."""
        request = _transaction(key, expected, operation)
        unanswered: Unanswered | None = None
        patience = Patience()
        while True:
            try:
                answer = await self._connection.attempt(TXN, request)
            except Unanswered as error:
                unanswered = error
                found = await self._get(key)
            except Refused as refusal:
                raise _too_large(refusal, key, value) or refusal from refusal
            else:
                if answer.succeeded:
                    return _written(key, value, answer)
                found = _found(answer)
                if not unanswered:
                    raise Conflict(key, expected, found)
            if found and found.value == value and found.revision > expected:
                return found
            if patience.is_over or (found.revision if found else 0) != expected:
                raise StoreUnavailable(f"{key}: it is unknown whether the write happened: {unanswered}") from unanswered
            await patience.pause()

    async def _range(self, start: str, prefix: str, limit: int, at: int) -> Any:
        end = end_of(prefix)
        request = messages.RangeRequest(
            key=start.encode() or ALL, range_end=end.encode() if end else ALL, limit=limit, revision=at
        )
        try:
            return await self._connection.ask(RANGE, request)
        except Refused as refusal:
            if _is_compacted(refusal):
                raise Compacted(await self._oldest(at)) from refusal
            if _is_future(refusal):
                raise FutureRevision(at, await self.revision()) from refusal
            raise

    async def _oldest(self, compacted: int) -> int:
        """The compacted revision, which etcd tells only to watches that come too late; at least `compacted` + 1."""
        try:
            async with self._connection.watching(messages.WatchCreateRequest(key=PROBE_KEY, start_revision=1)) as read:
                async with asyncio.timeout(ATTEMPT_SECONDS):
                    response = await read()
                    while not response.canceled:
                        response = await read()
            return max(int(response.compact_revision), compacted + 1)
        except (TimeoutError, Unanswered):
            return compacted + 1


def _is_known(question: asyncio.Future[int]) -> None:
    """Whoever asked may have left: then nobody is told why there is no answer."""
    if not question.cancelled():
        question.exception()


def _watch_request(prefix: str, since: int) -> Any:
    """Watch from revision `since` itself, whose events the caller skips.

    A watch from `since` + 1 that is just compacted would be accepted, and would miss a deletion at that revision
    (etcd issue 19179). So is one from `since` refused exactly if changes after `since` may be gone.
    """
    end = end_of(prefix)
    return messages.WatchCreateRequest(
        key=prefix.encode() or ALL,
        range_end=end.encode() if end else ALL,
        start_revision=max(since, 1),
        prev_kv=True,
    )


def _transaction(key: str, expected: int, operation: Any) -> Any:
    compare = messages.Compare(
        result=messages.COMPARE_EQUAL,
        target=messages.COMPARE_MOD_REVISION,
        key=key.encode(),
        mod_revision=expected,
    )
    look = messages.RequestOp(request_range=messages.RangeRequest(key=key.encode()))
    return messages.TxnRequest(compare=[compare], success=[operation], failure=[look])


def _written(key: str, value: bytes | None, answer: Any) -> Entry:
    if value is None:
        value = answer.responses[0].response_delete_range.prev_kvs[0].value
    return Entry(key, value, answer.header.revision)


def _found(answer: Any) -> Entry | None:
    found = answer.responses[0].response_range.kvs
    return _entry(found[0]) if found else None


def _entry(kv: Any) -> Entry:
    return Entry(kv.key.decode(), kv.value, kv.mod_revision)


def _change(event: Any) -> Change:
    value = None if event.type == messages.EVENT_DELETE else event.kv.value
    previous = event.prev_kv.value if event.prev_kv.mod_revision else None
    return Change(event.kv.key.decode(), value, event.kv.mod_revision, previous)


def _is_compacted(refusal: Refused) -> bool:
    return "required revision has been compacted" in refusal.details


def _is_future(refusal: Refused) -> bool:
    return "required revision is a future revision" in refusal.details


def _too_large(refusal: Refused, key: str, value: bytes | None) -> TooLarge | None:
    # The first is etcd's own limit, the second that of its gRPC server, which is 512 KiB higher.
    if "request is too large" in refusal.details or "larger than max" in refusal.details:
        return TooLarge(key, len(value or b""), ETCD_REQUEST_BYTES)
    return None
