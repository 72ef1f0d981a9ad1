"""The watch cache: every object in memory, fed by one watch on the store, read at a revision known to be current.

Reads wait until the cache has seen every write acknowledged so far, so they are as fresh as the store itself. Watchers
are fed from here too: an event is framed once and the same bytes go to everyone. Recent changes are kept so that a
watch can begin a little in the past; older ones are replayed from the store's own history (`past.py`).

Kubernetes: the apiserver's Cacher. Differs: a restart does not make clients list again, since the store's history is
replayed.
"""

from __future__ import annotations

import asyncio
import itertools
from bisect import bisect_left
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from operator import attrgetter

import structlog

from apiserver import keys
from apiserver.reading.custom_stored import CustomStored, Family
from apiserver.reading.past import Past
from apiserver.reading.stored import Stored
from apiserver.reading.watchers import Event, Watchers
from apiserver.storage.encryption.providers import check_clear
from apiserver.storage.store import Change, Entry, Store, StoreUnavailable
from apiserver.tracing.trace import part
from wherry.api.extensions.custom_resource import CustomResource
from wherry.machinery.resource import Resource

log = structlog.get_logger()

# Events kept per resource for watches that begin in the past. Kubernetes: 100 to 102,400, by age.
HISTORY = 4096
HISTORY_BYTES = 8 * 1024 * 1024
PAGE = 1000

_BY_KEY, _BY_NAME = attrgetter("key"), attrgetter("name")


class ResourceCache:
    """All objects of one kind, by namespace and name, and who watches them."""

    def __init__(self, cls: type[Resource]) -> None:
        self.cls = cls
        # Custom objects are read in the form of a class that changes with the definition.
        self.family = Family(cls) if cls.kind.is_custom else None
        self.listeners: list[Callable[[Event], None]] = []
        self.watchers = Watchers(cls.kind)
        self.revision = 0  # of the last change of this kind
        self.history: deque[Event] = deque()
        self.history_since = 0  # every change of this kind after this revision is in `history`
        self._history_bytes = 0
        self._namespaces: dict[str, dict[str, Stored]] = {}
        self._sorted: dict[str, list[Stored]] = {}

    def stored(self, key: str, value: bytes, revision: int) -> Stored:
        """An object of this kind, made of what the store holds; raises StoreError for one that nobody can decrypt."""
        check_clear(key, value)
        if self.family is not None:
            return CustomStored(self.family, key, value, revision)
        return Stored(self.cls, key, value, revision)

    def count(self, namespace: str = "") -> int:
        """How many objects there are, in one namespace or in all."""
        if namespace:
            return len(self._namespaces.get(namespace, {}))
        return sum(map(len, self._namespaces.values()))

    def get(self, namespace: str, name: str) -> Stored | None:
        """One object, or None."""
        return self._namespaces.get(namespace, {}).get(name)

    def objects(self, namespace: str = "") -> Iterable[Stored]:
        """Objects of one namespace, or of all, in key order. Do not change the cache while iterating."""
        if not self.cls.kind.namespaced or namespace:
            return self._in_order(namespace)
        # In keys a slash follows the name of a namespace: `shop-2/` comes before `shop/`.
        folders = sorted(f"{each}/" for each in self._namespaces)
        return itertools.chain.from_iterable(self._in_order(folder[:-1]) for folder in folders)

    def at(self, revision: int, namespace: str = "") -> list[Stored] | None:
        """What `objects` was when the store was at `revision`; None if that is longer ago than the memory reaches."""
        if revision < self.history_since:
            return None
        before: dict[str, Stored | None] = {}
        for event in reversed(self.history):
            if event.revision <= revision:
                break
            if event.before is not None and not event.before.revision:
                return None  # its version is not known here
            if shown := event.before or event.after:
                before[shown.key] = event.before
        objects = list(self.objects(namespace))
        if before:
            objects = [stored for stored in objects if stored.key not in before]
            objects += (was for was in before.values() if was and namespace in ("", was.namespace))
            objects.sort(key=_BY_KEY)
        return objects

    def _in_order(self, namespace: str) -> list[Stored]:
        ordered = self._sorted.get(namespace)
        if ordered is None:
            objects = self._namespaces.get(namespace, {})
            ordered = self._sorted[namespace] = [objects[name] for name in sorted(objects)]
        return ordered

    def _reorder(self, before: Stored | None, after: Stored | None) -> None:
        """Keep the order of a namespace while one object of it changes."""
        shown = after or before
        ordered = self._sorted.get(shown.namespace) if shown is not None else None
        if shown is None or ordered is None:
            return
        place = bisect_left(ordered, shown.name, key=_BY_NAME)
        there = place < len(ordered) and ordered[place].name == shown.name
        ordered[place : place + there] = [after] if after is not None else []

    def load(self, entry: Entry) -> None:
        """Take in one object as it stands, before there is history or anybody who watches."""
        try:
            stored = self.stored(entry.key, entry.value, entry.revision)
        except ValueError as error:
            _log_unreadable(entry.key, entry.revision, error)
            return
        self._namespaces.setdefault(stored.namespace, {})[stored.name] = stored
        self._sorted.pop(stored.namespace, None)

    def apply(self, change: Change) -> None:
        """Take in one change of the store and tell the watchers."""
        event = self.event_of(change)
        if event is None:
            return
        after = event.after
        shown = after or event.before
        if shown is None:
            return
        objects = self._namespaces.setdefault(shown.namespace, {})
        if after is None:
            objects.pop(shown.name, None)
        else:
            objects[after.name] = after
        self._reorder(event.before, after)
        self.revision = change.revision
        self._remember(event)
        for listen in self.listeners:
            listen(event)
        self.watchers.dispatch(event)
        event.frames.clear()  # who is behind holds its own; the history keeps objects only

    def _remember(self, event: Event) -> None:
        self.history.append(event)
        self._history_bytes += event.size
        while len(self.history) > HISTORY or self._history_bytes > HISTORY_BYTES:
            oldest = self.history.popleft()
            self._history_bytes -= oldest.size
            self.history_since = oldest.revision

    def begin(self, revision: int) -> None:
        """Everything up to `revision` has been read; from here on changes are history."""
        self.history.clear()
        self._history_bytes = 0
        self.revision = self.history_since = revision

    def event_of(self, change: Change) -> Event | None:
        """A change with what was there before. A value that is no object of ours is left out, and said in the log."""
        known = None
        try:
            if change.previous is not None:
                # What the cache holds is the same state, already decoded, unless history is being replayed.
                known = self._known_before(change) or self.stored(change.key, change.previous, 0)
            after = self.stored(change.key, change.value, change.revision) if change.value is not None else None
        except ValueError as error:
            _log_unreadable(change.key, change.revision, error)
            return None
        return Event(change.revision, known, after)

    def _known_before(self, change: Change) -> Stored | None:
        *_, namespace, name = change.key.split("/")
        held = self.get(namespace if self.cls.kind.namespaced else "", name)
        return (
            held if held is not None and held.revision < change.revision and change.revision > self.revision else None
        )


def _log_unreadable(key: str, revision: int, error: ValueError) -> None:
    log.error("unreadable object in the store", key=key, revision=revision, error=str(error))


class WatchCache:
    """The caches of all kinds, and the task that feeds them."""

    def __init__(self, store: Store, kinds: Iterable[type[Resource]]) -> None:
        self.store = store
        self.applied = 0
        self.filled = 0  # what was there before this process is of this version or older
        self.compacted = 0  # what was before this revision is not told any more, even where it is remembered
        self._caches: dict[str, ResourceCache] = {}
        self._moved = asyncio.Event()
        self._past = Past(store, self._caches.values, self._cache_at)
        for cls in kinds:
            self._caches.setdefault(keys.folder(cls.kind), ResourceCache(cls))

    def of(self, cls: type[Resource]) -> ResourceCache:
        """The cache of a kind."""
        return self._caches[keys.folder(cls.kind)]

    def all(self) -> Iterable[ResourceCache]:
        """The caches of all kinds."""
        return self._caches.values()

    def declare(self, cls: type[Resource]) -> ResourceCache | None:
        """Serve a custom kind, or go on in the form of a new class; returns the cache if it is new.

        Who watches and has selected by fields begins anew where they are read from another version or are others.
        """
        folder = keys.folder(cls.kind)
        known = self._caches.get(folder)
        if known is None:
            self._caches[folder] = added = ResourceCache(cls)
            added.begin(self.applied)
            return added
        if known.cls.kind.api_version != cls.kind.api_version or _has_other_fields(cls, known.cls):
            known.watchers.end()
        known.cls = cls
        if known.family is not None:
            known.family.cls = cls
        return None

    def retract(self, cls: type[Resource]) -> None:
        """Forget a custom kind and end its watches."""
        cache = self._caches.pop(keys.folder(cls.kind), None)
        if cache is not None:
            cache.watchers.end()

    async def read_first(self, cls: type[Resource]) -> list[Stored]:
        """The objects of one kind as the store has them now: before `fill`, for what it needs to know."""
        cache = self.of(cls)
        page = await self.store.list(keys.folder(cls.kind))
        return [cache.stored(entry.key, entry.value, entry.revision) for entry in page.entries]

    async def load_late(self, cache: ResourceCache, revision: int) -> None:
        """Take in objects that were stored before their kind was declared at `revision`."""
        after = ""
        while True:
            page = await self.store.list(keys.folder(cache.cls.kind), after=after, limit=PAGE, at=revision)
            touched = {shown.key for event in cache.history if (shown := event.after or event.before)}
            for entry in page.entries:
                if entry.key not in touched:
                    cache.load(entry)
            if not page.more:
                return
            after = page.entries[-1].key

    async def fill(self) -> None:
        """Read everything there is; `run` goes on from here. Raises StoreError for what nobody can decrypt."""
        page = await self.store.list(keys.ROOT, limit=PAGE)
        revision = page.revision
        while True:
            for entry in page.entries:
                check_clear(entry.key, entry.value)
                cache = self._cache_at(entry.key)
                if cache is not None:
                    cache.load(entry)
            if not page.more:
                break
            page = await self.store.list(keys.ROOT, after=page.entries[-1].key, limit=PAGE, at=revision)
        for cache in self._caches.values():
            cache.begin(revision)
        self.filled = revision
        self._advance(revision)

    async def run(self) -> None:
        """Follow the store until cancelled."""
        while True:
            try:
                async for change in self.store.watch(keys.ROOT, since=self.applied):
                    self._apply(change)
                    self._advance(change.revision)
            except StoreUnavailable as error:
                log.warning("the store's watch ended; trying again", error=str(error))
                await asyncio.sleep(0.2)

    def _advance(self, revision: int) -> None:
        """Everything up to `revision` is in the cache; wake who waits for it."""
        self.applied = revision
        self._moved.set()
        self._moved.clear()

    def _apply(self, change: Change) -> None:
        cache = self._cache_at(change.key)
        if cache is not None:
            cache.apply(change)

    def _cache_at(self, key: str) -> ResourceCache | None:
        """Whose object a key is: the folder is two segments up, or one for kinds without a namespace."""
        return self._caches.get(key.rsplit("/", 2)[0] + "/") or self._caches.get(key.rsplit("/", 1)[0] + "/")

    async def fresh(self) -> int:
        """Wait until every write acknowledged so far is in the cache; returns the revision it is at."""
        revision = await self.store.revision()
        if self.applied < revision:
            with part("watch cache"):
                await self.reaches(revision)
        return self.applied

    async def reaches(self, revision: int) -> None:
        """Wait until the cache has applied `revision`."""
        while self.applied < revision:
            await self._moved.wait()

    async def compact(self, revision: int) -> None:
        """Forget what was superseded at or before `revision`, here and in the store."""
        await self.store.compact(revision)
        self.compacted = max(self.compacted, revision)

    async def replay(self, cls: type[Resource], since: int, until: int) -> AsyncIterator[Event]:
        """Events of a kind after `since` up to `until`, from memory or else from the store; raises `Compacted`."""
        cache = self.of(cls)
        while since < min(until, cache.history_since):
            page = await self._past.page(cache, since, min(until, cache.history_since))
            for event in page.after(since, cache):
                if event.revision > until:
                    return
                yield event
            since = page.until
        for event in [event for event in cache.history if since < event.revision <= until]:
            yield event


def _has_other_fields(cls: type[Resource], before: type[Resource]) -> bool:
    """Whether a version of the kind that was there before has other fields to select by, or is there no more."""
    if not (issubclass(cls, CustomResource) and issubclass(before, CustomResource)):
        return False
    fields = {version: each.selectable.keys() for version, each in cls.versions.items()}
    return any(fields.get(version) != each.selectable.keys() for version, each in before.versions.items())
