"""A run of the SQLite store with all that can happen to its files, short enough to be recorded call by call.

    strace … python -m tests.storage.recorded_run sqlite:PATH

Writers on a few keys, compaction, many checkpoints, and a second opening of the same file. Says what `write_storm`
says.
"""

import asyncio
import sys

from apiserver.storage import open_store, sqlite_log
from tests.storage.write_storm import compact, write

WRITERS = 6
WRITES = 40
KEPT_REVISIONS = 60
# So small that the power often goes in the middle of a checkpoint.
CHECKPOINT_PAGES = 50


async def session(where: str) -> None:
    store = await open_store(where)
    compacting = asyncio.create_task(compact(store, KEPT_REVISIONS))
    await asyncio.gather(*(write(store, f"/registry/storm/{number:02}", WRITES) for number in range(WRITERS)))
    compacting.cancel()
    await asyncio.gather(compacting, return_exceptions=True)
    await store.close()


if __name__ == "__main__":
    sqlite_log.CHECKPOINT_PAGES = CHECKPOINT_PAGES
    for _ in range(2):
        asyncio.run(session(sys.argv[1]))
