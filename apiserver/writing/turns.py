"""Writers of one object take turns, instead of finding out in the store that somebody else was faster.

Only the time in the store is waited for, so nobody waits for a webhook, or for himself. The store's compare-and-swap
decides all the same: other API servers know nothing of turns here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """The keys that are being written."""

    def __init__(self) -> None:
        self._under_way: dict[str, asyncio.Event] = {}

    async def come(self, key: str) -> None:
        """Return when nobody writes the key; whoever goes on without waiting for anything is the next."""
        while (done := self._under_way.get(key)) is not None:
            await done.wait()

    @contextmanager
    def writing(self, key: str) -> Iterator[None]:
        """Others wait until the end of the block."""
        done = self._under_way[key] = asyncio.Event()
        try:
            yield
        finally:
            if self._under_way.get(key) is done:
                del self._under_way[key]
            done.set()
