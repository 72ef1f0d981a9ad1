"""The newest changes of a store in this process, in order, and the wake-up of watchers that wait for more.

There is no queue per watcher: the log itself is the queue, and a watcher is a revision that moves along it. So a
thousand watchers cost no more memory than one, and a slow one holds nothing up.
"""

import asyncio
from collections.abc import Sequence

from apiserver.storage.store import Change, StoreUnavailable


class Feed:
    """A run of changes without holes: the one at index i has revision `begins_after + 1 + i`.

    Owned by one event loop. `append` wakes the watchers before it returns, so a writer that is answered afterwards
    runs after every watcher that was waiting.
    """

    def __init__(self, revision: int) -> None:
        self.begins_after = revision
        self.closed = False
        self._changes: list[Change] = []
        self._bytes = 0
        self._more = asyncio.Event()

    @property
    def revision(self) -> int:
        """The newest revision published."""
        return self.begins_after + len(self._changes)

    def append(self, changes: Sequence[Change]) -> None:
        """Publish changes whose revisions follow the newest one directly."""
        self._changes.extend(changes)
        self._bytes += sum(map(_weight, changes))
        self._wake()

    def since(self, revision: int) -> Sequence[Change]:
        """The changes newer than `revision`, which is not before `begins_after`."""
        return self._changes[max(revision - self.begins_after, 0) :]

    def forget(self, revision: int) -> None:
        """Drop the changes up to and including `revision`."""
        gone = min(revision - self.begins_after, len(self._changes))
        if gone > 0:
            self._bytes -= sum(map(_weight, self._changes[:gone]))
            del self._changes[:gone]
            self.begins_after += gone

    def shrink(self, *, changes: int, size_bytes: int) -> None:
        """Keep about half of `changes` and `size_bytes` once either is exceeded, so that trimming is rare."""
        if len(self._changes) <= changes and self._bytes <= size_bytes:
            return
        kept, weight = 0, 0
        for change in reversed(self._changes):
            weight += _weight(change)
            if kept >= changes // 2 or weight > size_bytes // 2:
                break
            kept += 1
        self.forget(self.revision - kept)

    async def beyond(self, revision: int) -> None:
        """Return when something newer than `revision` has been published. Raises StoreUnavailable once closed."""
        while self.revision <= revision and not self.closed:
            await self._more.wait()
        if self.closed:
            raise closed()

    def close(self) -> None:
        """End every watch."""
        self.closed = True
        self._wake()

    def _wake(self) -> None:
        # Event.set resolves the futures of all who wait now; those who come later wait for the next one.
        self._more.set()
        self._more.clear()


def closed() -> StoreUnavailable:
    """What everybody is told who still asks a closed store."""
    return StoreUnavailable("the store is closed")


def _weight(change: Change) -> int:
    return len(change.value or b"") + len(change.previous or b"")
