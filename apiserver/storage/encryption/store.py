"""A store that keeps the values of some folders in secret. To the server it is a store like any other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial

import structlog

from apiserver.storage.encryption.providers import IDENTITY, MARK, Key, Remote, Undecipherable, mark_of, name_of
from apiserver.storage.store import Change, Conflict, Entry, Page, Store, StoreError, check_size

log = structlog.get_logger()

_PAGE = 500
# After a value could not be encrypted anew.
AGAIN_SECONDS = 10.0


class EncryptedStore:
    """See the module. `stale` holds the keys of values that stand under another key than the first."""

    def __init__(self, inner: Store, folders: Mapping[str, Sequence[Key]]) -> None:
        self._inner, self._folders = inner, folders
        self._all = {key.mark: key for listed in folders.values() for key in listed}
        self.plugins = [key.remote for key in self._all.values() if key.remote is not None]
        self.stale: set[str] = set()

    @property
    def is_shared(self) -> bool:
        """As the inner store."""
        return self._inner.is_shared

    async def get(self, key: str) -> Entry | None:
        """As the inner store, in the clear."""
        entry = await self._inner.get(key)
        return entry and await self._clear(entry)

    async def list(self, prefix: str, *, after: str = "", limit: int = 0, at: int = 0) -> Page:
        """As the inner store, in the clear."""
        page = await self._inner.list(prefix, after=after, limit=limit, at=at)
        return page._replace(entries=[await self._clear(entry) for entry in page.entries])

    async def put(self, key: str, value: bytes, *, expected: int) -> Entry:
        """Written with the first key of its folder."""
        check_size(key, value)
        first = self._first(key)
        secret = value
        if first.way is not None:
            secret = first.mark + first.way.encrypt(value, key.encode())
        try:
            entry = await self._inner.put(key, secret, expected=expected)
        except Conflict as conflict:
            found = conflict.found and await self._clear(conflict.found)
            raise Conflict(key, expected, found) from None
        self.stale.discard(key)
        return entry._replace(value=value)

    async def delete(self, key: str, *, expected: int) -> Entry:
        """As the inner store, in the clear."""
        try:
            entry = await self._inner.delete(key, expected=expected)
        except Conflict as conflict:
            found = conflict.found and await self._clear(conflict.found)
            raise Conflict(key, expected, found) from None
        self.stale.discard(key)
        return await self._clear(entry, is_current=False)

    async def watch(self, prefix: str, *, since: int) -> AsyncIterator[Change]:
        """As the inner store, in the clear."""
        async for change in self._inner.watch(prefix, since=since):
            value = change.value and await self._decrypted(change.key, change.value)
            previous = change.previous and await self._decrypted(change.key, change.previous)
            yield change._replace(value=value, previous=previous)

    async def compact(self, revision: int) -> None:
        """As the inner store."""
        await self._inner.compact(revision)

    async def revision(self) -> int:
        """As the inner store."""
        return await self._inner.revision()

    async def size(self) -> int:
        """As the inner store."""
        return await self._inner.size()

    async def close(self) -> None:
        """As the inner store."""
        await self._inner.close()

    async def begin(self) -> None:
        """Before anything else: get the keys that plugins have; raises StoreUnavailable."""
        for plugin in self.plugins:
            await plugin.begin()

    async def run(self) -> None:
        """Encrypt anew what is stale, now and whenever a plugin has a new key, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._rewrite_in_the_end())
            for plugin in self.plugins:
                tasks.create_task(plugin.follow(partial(self._encrypt_anew, plugin)))

    async def _encrypt_anew(self, plugin: Remote) -> None:
        for folder in [folder for folder, listed in self._folders.items() if listed[0].remote is plugin]:
            after = ""
            while (page := await self.list(folder, after=after, limit=_PAGE)).entries:  # notes what is stale
                after = page.entries[-1].key
        await self.rewrite()

    async def _rewrite_in_the_end(self) -> None:
        while True:
            try:
                return await self.rewrite()
            except StoreError as error:
                log.warning("not everything was encrypted anew; trying again later", error=str(error))
                await asyncio.sleep(AGAIN_SECONDS)

    async def rewrite(self) -> None:
        """Write anew what was seen under another key than the first; clients see a change of version alone.

        What fails stays in `stale` and keeps nothing from the others; the last failure is raised after them.
        """
        count, failure = 0, None
        for key in sorted(self.stale):
            try:
                count += await self._written_anew(key)
            except StoreError as error:
                self.stale.add(key)
                failure = error
        if count:
            log.info("values were encrypted anew with the first key", count=count)
        if failure is not None:
            raise failure

    async def _written_anew(self, key: str) -> bool:
        self.stale.discard(key)
        entry = await self.get(key)  # notes it again if it is
        if entry is None or key not in self.stale:
            return False
        self.stale.discard(key)
        try:
            await self.put(key, entry.value, expected=entry.revision)
        except Conflict:
            if key in self.stale:
                raise  # who has just written it does not know the first key
            return False
        return True

    def _first(self, key: str) -> Key:
        return next((listed[0] for folder, listed in self._folders.items() if key.startswith(folder)), IDENTITY)

    async def _clear(self, entry: Entry, *, is_current: bool = True) -> Entry:
        value = await self._decrypted(entry.key, entry.value)
        if is_current:
            is_secret = value is not entry.value
            if not _is_as_written(entry.value, self._first(entry.key), is_secret):
                self.stale.add(entry.key)
        return entry if value is entry.value else entry._replace(value=value)

    async def _decrypted(self, key: str, value: bytes) -> bytes:
        if not value.startswith(MARK):
            return value
        mark = mark_of(value)
        known = self._all.get(mark)
        if known is None or known.way is None:
            raise StoreError(f"{key}: encrypted with the key {name_of(mark)!r}, which the configuration does not have")
        secret = value[len(known.mark) :]
        try:
            if known.remote is not None:
                await known.remote.fetch(secret)
            return known.way.decrypt(secret, key.encode())
        except Undecipherable as error:
            raise StoreError(f"{key}: encrypted with the key {known.name!r}, but {error}") from None


def _is_as_written(value: bytes, first: Key, is_secret: bool) -> bool:
    if is_secret != bool(first.mark) or not value.startswith(first.mark):
        return False
    return first.remote is None or not first.remote.is_stale(value[len(first.mark) :])
