"""A process that writes one key after the other, says how each write ended, and goes on reading whatever happens."""

import asyncio
import sys

from apiserver.storage import StoreUnavailable, open_store

WRITES = 60


async def main(where: str) -> None:
    store = await open_store(where)
    for step in range(WRITES):
        try:
            await store.put(f"/registry/{step:03}", b"x", expected=0)
            print("acknowledged", flush=True)
        except StoreUnavailable as error:
            print(f"failed: {error}", flush=True)
    print(f"reads {len((await store.list('/registry/')).entries)}", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
