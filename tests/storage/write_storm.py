"""A process that writes as fast as it can, and says what was acknowledged, until it is killed.

    python -m tests.storage.write_storm sqlite:PATH

One line per acknowledged write: key, revision, value (`-`: deleted). Meanwhile history is compacted behind the writers.
"""

import asyncio
import itertools
import os
import sys
import zlib
from pathlib import Path

from apiserver.storage import Store, open_store

REPOSITORY = Path(__file__).parents[2]
WRITERS = 24
KEPT_REVISIONS = 300


def sealed(key: str, step: int) -> bytes:
    """A value of varying length, up to a few pages, that shows whether it is whole."""
    body = b"%s %d %s" % (key.encode(), step, b"x" * (step * 97 % 9000))
    return b"%08x %s" % (zlib.crc32(body), body)


def is_whole(value: bytes) -> bool:
    return len(value) > 9 and value[:8] == b"%08x" % zlib.crc32(value[9:])


def say(key: str, revision: int, value: str) -> None:
    os.write(1, f"{key} {revision} {value}\n".encode())


async def write(store: Store, key: str, times: int | None = None) -> None:
    step = 0
    for _ in itertools.count() if times is None else range(times):
        found = await store.get(key)
        step = max(step, found.revision if found else 0) + 1
        value = sealed(key, step)
        entry = await store.put(key, value, expected=found.revision if found else 0)
        say(key, entry.revision, value[:8].decode())
        if step % 5 == 0:
            entry = await store.delete(key, expected=entry.revision)
            say(key, entry.revision, "-")


async def compact(store: Store, kept: int = KEPT_REVISIONS) -> None:
    while True:
        await store.compact(max(await store.revision() - kept, 0))
        await asyncio.sleep(0.01)


async def main(where: str) -> None:
    store = await open_store(where)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(compact(store))
        for number in range(WRITERS):
            tasks.create_task(write(store, f"/registry/storm/{number:02}"))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
