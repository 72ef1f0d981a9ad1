"""Writers of one object take turns, instead of finding out in the store that somebody else was faster.

Only the time in the store is waited for, and until the watch cache knows what was written: the next one starts from
there. So nobody waits for a webhook, or for himself. The store's compare-and-swap decides all the same: other API
servers know nothing of turns here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from apiserver.reading.watch_cache import WatchCache

# A cache that hears nothing for so long has lost its store; whoever is next asks the store itself.
PATIENCE_SECONDS = 1.0


class Turn:
    """One write, which is told here under which revision it was done."""

    def __init__(self) -> None:
        self.done = asyncio.Event()
        self.revision = 0


class Turns:
    """The keys that are being written."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._under_way: dict[str, Turn] = {}
        self._ending: set[asyncio.Future[None]] = set()

    async def come(self, key: str) -> None:
        """Return when nobody writes the key; whoever goes on without waiting for anything is the next."""
        while (turn := self._under_way.get(key)) is not None:
            await turn.done.wait()

    @contextmanager
    def writing(self, key: str) -> Iterator[Turn]:
        """Others wait until the end of the block, and until the cache is at the revision of the write."""
        turn = self._under_way[key] = Turn()
        try:
            yield turn
        finally:
            if turn.revision <= self._cache.applied:
                self._end(key, turn)
            else:
                ending = asyncio.ensure_future(self._end_when_known(key, turn))
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)

    async def _end_when_known(self, key: str, turn: Turn) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._cache.reaches(turn.revision), PATIENCE_SECONDS)
        self._end(key, turn)

    def _end(self, key: str, turn: Turn) -> None:
        if self._under_way.get(key) is turn:
            del self._under_way[key]
        turn.done.set()
