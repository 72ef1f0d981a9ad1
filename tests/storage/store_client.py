"""What tests of stores say over and over."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from apiserver.storage import Change, Entry, Store


async def take(count: int, changes: AsyncIterator[Change]) -> list[Change]:
    """The first `count` changes of a watch, which is then ended."""
    async with asyncio.timeout(20), contextlib.aclosing(changes) as stream:
        return [await anext(stream) for _ in range(count)]


async def create(store: Store, prefix: str, names: str) -> list[Entry]:
    """One key per letter of `names`, in that order, its name being its value."""
    return [await store.put(prefix + name, name.encode(), expected=0) for name in names]
