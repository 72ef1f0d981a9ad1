"""What happened before the watch cache remembers, read from the store in pages, once for all who ask together.

After a restart everybody who was watching comes back at once, each with the version they saw last. One page begins at
the oldest of them and serves them all; who wants more than a page goes on with the next one, again together.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import TYPE_CHECKING

from apiserver import keys
from apiserver.fairness.slices import Slice
from apiserver.reading.watchers import Event
from apiserver.storage.store import Change, Compacted, Store, StoreError

if TYPE_CHECKING:
    from apiserver.reading.watch_cache import ResourceCache

# How long who asks waits for others, and how long a page is kept for those who are later.
TOGETHER_SECONDS = 0.05
KEPT_SECONDS = 10.0
# What a page holds at most: half a second of reading.
PAGE_CHANGES = 10_000
PAGE_BYTES = 16 * 1024 * 1024

_BY_REVISION = attrgetter("revision")


@dataclass(frozen=True, slots=True)
class Page:
    """Every event after revision `since` up to `until`, by kind, and the last that nobody can decrypt any more."""

    since: int
    until: int
    events: dict[ResourceCache, list[Event]]
    locked: dict[ResourceCache, tuple[int, StoreError]] = field(default_factory=dict)

    def after(self, revision: int, cache: ResourceCache) -> list[Event]:
        """Those of one kind after a revision; raises StoreError where one of them cannot be told."""
        events = self.events.get(cache, [])
        last, error = self.locked.get(cache, (0, None))
        if error is not None and last > revision:
            raise error
        return events[bisect_right(events, revision, key=_BY_REVISION) :]


class _Reading:
    """A page that is going to be read, from the oldest revision that is asked for to the newest."""

    def __init__(self, since: int, until: int) -> None:
        self.since, self.until = since, until
        self.page: asyncio.Future[Page]


class Past:
    """The pages of one watch cache. `cache_at` says whose object a key is."""

    def __init__(
        self,
        store: Store,
        caches: Callable[[], Iterable[ResourceCache]],
        cache_at: Callable[[str], ResourceCache | None],
    ) -> None:
        self._store, self._caches, self._cache_at = store, caches, cache_at
        self._kept: Page | None = None
        self._current: _Reading | None = None
        self._next: _Reading | None = None

    async def page(self, cache: ResourceCache, since: int, until: int) -> Page:
        """A page that begins at or before `since` and ends after it; raises Compacted."""
        kept = self._kept
        if kept is not None and kept.since <= since < kept.until and cache in kept.events:
            return kept
        while True:
            try:
                page = await self._read_together(since, until)
                if page.until > since:
                    return page  # else somebody else asked for what was so long ago that a page did not reach `since`
            except Compacted as refused:
                if since < refused.oldest:
                    raise Compacted(refused.oldest) from None
                # Somebody else asked for what is gone.

    async def _read_together(self, since: int, until: int) -> Page:
        reading = self._next
        if reading is None:
            reading = self._next = _Reading(since, until)
            reading.page = asyncio.ensure_future(self._read(reading))
            reading.page.add_done_callback(_is_known)
        reading.since, reading.until = min(reading.since, since), max(reading.until, until)
        return await asyncio.shield(reading.page)

    async def _read(self, reading: _Reading) -> Page:
        await asyncio.sleep(TOGETHER_SECONDS)
        if self._current is not None:
            await asyncio.wait((self._current.page,))
        self._current, self._next = reading, None
        page = self._kept = await self._page(reading.since, reading.until)
        asyncio.get_running_loop().call_later(KEPT_SECONDS, self._forget, page)
        return page

    def _forget(self, page: Page) -> None:
        if self._kept is page:
            self._kept = None

    async def _page(self, since: int, until: int) -> Page:
        page = Page(since, until, {cache: [] for cache in self._caches()})
        count, size, read, is_full, slice = 0, 0, since, False, Slice()
        # All kinds are read, not just those asked for: only then is it certain to reach `until` without waiting for a
        # change.
        async for change in self._store.watch(keys.ROOT, since=since):
            is_full = count >= PAGE_CHANGES or size >= PAGE_BYTES
            if change.revision > until or (is_full and change.revision > read):
                break
            self._take(change, page)
            count, size = count + 1, size + len(change.value or b"") + len(change.previous or b"")
            read = change.revision
            if read == until:
                break
            await slice.maybe_others_first()
        return replace(page, until=read) if is_full else page

    def _take(self, change: Change, page: Page) -> None:
        cache = self._cache_at(change.key)
        if cache is None or cache not in page.events:
            return
        try:
            event = cache.event_of(change)
        except StoreError as error:
            page.locked[cache] = change.revision, error
            return
        if event is not None:
            page.events[cache].append(event)


def _is_known(page: asyncio.Future[Page]) -> None:
    """Whoever asked may have left: then nobody is told why there is no page."""
    if not page.cancelled():
        page.exception()
