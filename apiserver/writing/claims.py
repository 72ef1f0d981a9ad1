"""Claims on addresses and ports in a store that several API servers write to.

A claim is a key of its own, so two servers cannot both create it. It is written before the service that needs it and
deleted after it; one that a server left behind when it died is taken over once no service uses it.

Kubernetes: IPAddress objects and the port bitmap, with their repair loops.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import orjson

from apiserver.storage.store import Conflict, Entry, Store
from wherry.machinery.time import parse_time, time_text

Item = str | int

# No write takes as long, so a claim that is older and that no service uses belongs to nobody.
STALE_AFTER = timedelta(minutes=5)


class Claims:
    """See the module."""

    def __init__(self, store: Store, now: Callable[[], datetime]) -> None:
        self._store, self._now = store, now

    @property
    def are_needed(self) -> bool:
        """Whether anybody else could claim anything."""
        return self._store.is_shared

    async def take(self, item: Item, owner: str) -> bool:
        """Claim it for a service that none holds; False if another one's is on the way."""
        value = orjson.dumps({"service": owner, "since": time_text(self._now())})
        key = _key(item)
        try:
            await self._store.put(key, value, expected=0)
        except Conflict:
            found = await self._store.get(key)
            if found is None or not self._may_be_taken(found, owner):
                return False
            try:
                await self._store.put(key, value, expected=found.revision)
            except Conflict:
                return False
        return True

    async def give_back(self, item: Item, owner: str) -> None:
        """Nobody needs it any more; somebody else's claim is left alone."""
        found = await self._store.get(_key(item))
        if found is None or orjson.loads(found.value)["service"] != owner:
            return
        try:
            await self._store.delete(found.key, expected=found.revision)
        except Conflict:
            return  # claimed anew meanwhile

    def _may_be_taken(self, found: Entry, owner: str) -> bool:
        claim = orjson.loads(found.value)
        # The same service on another server: only one of them can be created, and it has what both claimed.
        return claim["service"] == owner or parse_time(claim["since"]) < self._now() - STALE_AFTER


def _key(item: Item) -> str:
    return f"/registry/ranges/{'servicenodeports' if isinstance(item, int) else 'serviceips'}/{item}"
