"""Marks: writes of our own that carry a watch past the writes of others who use the same etcd.

Revisions count the writes of everybody, and a watch hears of those under its prefix only. Who waits until it has
reached a revision that somebody else made last would wait for the next change of ours. So where a watch is still
behind a revision that was told a moment ago, a key that nobody reads is written: all watches hear of it, those of
other API servers as well.

Kubernetes asks the watch itself how far it is, every 100 ms (progress requests). That needs etcd 3.4.25 or 3.5.8: from
older ones such an answer may arrive before changes that it is about.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import structlog

from apiserver.storage.store import StoreUnavailable

MARK_KEY = "/registry/wherry.dev/mark"
# How long a change of ours has to arrive by itself, and how soon after a mark there may be another: as soon as
# Kubernetes asks again. Where others write all the time, every read waits for the next mark.
PATIENCE_SECONDS, PAUSE_SECONDS = 0.05, 0.1

log = structlog.get_logger("apiserver.storage")


class Followed:
    """An open watch; everything up to revision `told` has arrived."""

    def __init__(self, told: int) -> None:
        self.told = told


class Marks:
    """Which revisions were told and which have arrived; `write` leaves a mark."""

    def __init__(self, write: Callable[[], Awaitable[object]]) -> None:
        self._write = write
        self._newest = 0
        self._watches: set[Followed] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Future[None] | None = None

    def note(self, revision: int) -> None:
        """Somebody was told that there is this revision, and may wait for it."""
        if revision > self._newest:
            self._newest = revision
            self._look_later(PATIENCE_SECONDS)

    @contextmanager
    def following(self, prefix: str, since: int) -> Iterator[Followed]:
        """A watch, while it is open."""
        watch = Followed(since)
        if MARK_KEY.startswith(prefix):
            self._watches.add(watch)
            self._look_later(PATIENCE_SECONDS)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    def close(self) -> None:
        """No more marks."""
        self._watches.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            self._writing.cancel()

    def _is_behind(self, revision: int) -> bool:
        return any(watch.told < revision for watch in self._watches)

    def _look_later(self, seconds: float) -> None:
        if self._timer is None and self._writing is None and self._is_behind(self._newest):
            self._timer = asyncio.get_running_loop().call_later(seconds, self._look, self._newest)

    def _look(self, revision: int) -> None:
        self._timer = None
        if self._is_behind(revision):
            self._writing = asyncio.ensure_future(self._mark())
        else:
            self._look_later(PATIENCE_SECONDS)

    async def _mark(self) -> None:
        try:
            await self._write()
        except StoreUnavailable as error:
            log.warning("etcd takes no mark", reason=str(error))
        finally:
            self._writing = None
        self._look_later(PAUSE_SECONDS)
