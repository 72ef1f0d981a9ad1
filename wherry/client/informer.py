"""Informer: a local copy of the objects of one kind, kept current by a watch.

    informer = Informer(client, Pod, fields="spec.nodeName=node-1")
    informer.subscribe(lambda change: queue.add((change.after or change.before).key))
    group.create_task(informer.run())
    await informer.synced()

Promises, to everyone who subscribed:

- Replaying the changes gives the copy: each change's `before` is the `after` of the last change of that key. No
  state is delivered twice. States between two others may be skipped, but only when the server could no longer tell
  them.
- An object deleted and created anew under its name is one change to None and one from None, even if the watch missed
  both.
- When `reaches(revision)` returns, the copy shows every write of this kind up to that revision.

A broken stream goes on where it broke; only `Expired` makes the informer list again. Retries wait longer each time,
with jitter.

Kubernetes: client-go Reflector, DeltaFIFO and SharedInformer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar, cast

import msgspec
import structlog

from wherry.client.backoff import Backoff
from wherry.client.http import Client, Listing, WatchEvent
from wherry.client.world import Shelf
from wherry.machinery.errors import ApiError, Expired, Forbidden, NotFound
from wherry.machinery.resource import Resource

R = TypeVar("R", bound=Resource)

log = structlog.get_logger()

FIRST_RETRY_SECONDS = 0.1
# After an outage of the server every copy is current again within these seconds.
MOST_RETRY_SECONDS = 5.0
# A stream that lasted so long counts as healthy: the next failure is a first one.
HEALTHY_SECONDS = 30.0
# How often a server is asked anew for a kind that it did not have.
ABSENT_SECONDS = 60.0


class Change(NamedTuple, Generic[R]):
    """An object came (`before` is None), changed, or went (`after` is None)."""

    before: R | None
    after: R | None


@dataclass
class _Waiter:
    """Somebody who waits for the copy to show something; `lists` counts the lists begun before."""

    holds: Callable[[], bool]
    lists: int
    woken: asyncio.Future[None]


class Informer(Generic[R]):
    """See the module. `shelf` is the copy: others may read it."""

    def __init__(
        self, client: Client, kind: type[R], *, namespace: str = "", labels: str = "", fields: str = ""
    ) -> None:
        self.kind, self.shelf, self.revision = kind, Shelf[R](), 0
        self._client, self._namespace = client, namespace
        self._selection = {"labels": labels, "fields": fields}
        self._subscribers: list[Callable[[Change[R]], None]] = []
        self._listeners: list[Callable[[], None]] = []
        self._synced = asyncio.Event()
        self._lists = 0
        self._waiters: list[_Waiter] = []
        self._backoff = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)

    async def run(self) -> None:
        """Keep the copy current until cancelled."""
        since = ""
        while True:
            try:
                if not since:
                    since = await self._relist()
                since = await self._follow(since)
            except Expired:
                log.info("watch expired", kind=self.kind.kind.plural, since=since)
                since = ""
                await asyncio.sleep(self._backoff.next())
            except (ApiError, msgspec.MsgspecError) as error:
                since = str(self.revision) if self._synced.is_set() and since else ""
                seconds = self._backoff.next()
                log.warning(
                    "watch failed", kind=self.kind.kind.plural, error=str(error), retry_seconds=round(seconds, 3)
                )
                await asyncio.sleep(seconds)

    async def synced(self) -> None:
        """Return when the first list has arrived."""
        await self._synced.wait()

    @property
    def is_synced(self) -> bool:
        """Whether the first list has arrived."""
        return self._synced.is_set()

    def get(self, key: str) -> R | None:
        """The object by `namespace/name` or `name`, if it is there."""
        return self.shelf.get(key)

    def list(self) -> list[R]:
        """Every object, sorted by key."""
        return sorted(self.shelf.all(), key=lambda obj: obj.metadata.key)

    def subscribe(self, callback: Callable[[Change[R]], None]) -> None:
        """Call for every change, on the loop, beginning with the coming of what is already there."""
        self._subscribers.append(callback)
        for obj in self.list():
            self._tell(callback, Change(None, obj))

    def on_list(self, callback: Callable[[], None]) -> None:
        """Call after each list, on the loop: what came and went since the stream broke is no change to anybody."""
        self._listeners.append(callback)

    async def reaches(self, revision: int) -> None:
        """Return when the copy is at least as new as `revision`, which a write of this kind was answered with."""
        await self._until(lambda: self.revision >= revision)

    async def loses(self, key: str, uid: str) -> None:
        """Return when the copy shows that an object was deleted: it is gone, replaced, or waits for its end."""

        def is_lost() -> bool:
            obj = self.shelf.get(key)
            return obj is None or obj.metadata.uid != uid or obj.metadata.deleted_at is not None

        await self._until(is_lost)

    async def _until(self, holds: Callable[[], bool]) -> None:
        if holds():
            return
        waiter = _Waiter(holds, self._lists, asyncio.get_running_loop().create_future())
        self._waiters.append(waiter)
        try:
            await waiter.woken
        finally:
            self._waiters.remove(waiter)

    def _wake(self, *, by_list: bool = False) -> None:
        for waiter in self._waiters:
            # A list asked for after somebody began to wait is newer than what they wait for, whatever its number: that
            # is how waiting ends when a store was restored from a backup and its revisions went back.
            listed = by_list and waiter.lists < self._lists
            if not waiter.woken.done() and (listed or waiter.holds()):
                waiter.woken.set_result(None)

    async def _relist(self) -> str:
        self._lists += 1
        listing: Listing[R] = await self._client.list(self.kind, self._namespace, **self._selection)
        listed = {obj.metadata.key: obj for obj in listing.items}
        for obj in self.list():
            if obj.metadata.key not in listed:
                self._remove(obj.metadata.key)
        for obj in listing.items:
            self._put(obj)
        self.revision = int(listing.revision)
        self._synced.set()
        self._wake(by_list=True)
        for callback in self._listeners:
            callback()
        return listing.revision

    async def _follow(self, since: str) -> str:
        """Apply changes until the stream ends; gives the revision to go on from."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        events = self._client.watch(self.kind, self._namespace, since=since, **self._selection)
        try:
            async with aclosing(cast(Any, events)) as stream:
                async for event in stream:
                    self._apply(event)
                    since = event.revision
        finally:
            if loop.time() - begun >= HEALTHY_SECONDS:
                self._backoff.reset()
        if loop.time() - begun < HEALTHY_SECONDS:
            # A server that ends streams at once must not be asked in a tight loop.
            await asyncio.sleep(self._backoff.next())
        return since

    def _apply(self, event: WatchEvent[R]) -> None:
        obj = event.object
        if obj is not None and event.type == "DELETED":
            self._remove(obj.metadata.key)
        elif obj is not None:
            self._put(obj)
        self.revision = int(event.revision)
        self._wake()

    def _put(self, obj: R) -> None:
        before = self.shelf.get(obj.metadata.key)
        if before is not None and before.metadata.uid != obj.metadata.uid:
            self._remove(obj.metadata.key)
            before = None
        if before is None or before.metadata.resource_version != obj.metadata.resource_version:
            self.shelf.put(obj)
            self._announce(Change(before, obj))

    def _remove(self, key: str) -> None:
        before = self.shelf.get(key)
        if before is not None:
            self.shelf.remove(key)
            self._announce(Change(before, None))

    def _announce(self, change: Change[R]) -> None:
        for callback in self._subscribers:
            self._tell(callback, change)

    def _tell(self, callback: Callable[[Change[R]], None], change: Change[R]) -> None:
        try:
            callback(change)
        except Exception:
            # One subscriber's mistake must not stop the copy for all others.
            log.exception("subscriber failed", kind=self.kind.kind.plural)


class OptionalInformer(Informer[R]):
    """A copy of a kind that an API server may not have: there are none of it then, until there are.

    That is only believed if the server's own list of kinds says so, as who may not read a kind hears nothing else.
    """

    async def _relist(self) -> str:
        while True:
            try:
                return await super()._relist()
            except (NotFound, Forbidden):
                if await self._is_served():
                    raise
            if not self._synced.is_set():
                log.info("the server has no such kind", kind=self.kind.kind.resource)
                self._synced.set()
            await asyncio.sleep(ABSENT_SECONDS)

    async def _is_served(self) -> bool:
        try:
            found = await self._client.request("GET", f"/apis/{self.kind.kind.api_version}")
        except NotFound:
            return False
        return any(each.get("name") == self.kind.kind.plural for each in found.get("resources") or ())
