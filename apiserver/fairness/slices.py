"""Long work in slices, between which everybody else has a turn: one in each turn of the event loop, whoever does it.

`asyncio.sleep(0)` lets the others go first as well; but of fifty who do that, each has a slice in the same turn, and a
request that comes in meanwhile waits for all of them.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from weakref import WeakKeyDictionary

# How long a slice may take where it is not known beforehand.
SLICE_SECONDS = 0.002

_Line = deque[asyncio.Future[None]]
_lines: WeakKeyDictionary[asyncio.AbstractEventLoop, _Line] = WeakKeyDictionary()


async def others_first() -> None:
    """Go on in a later turn, when those before this one have had theirs."""
    loop = asyncio.get_running_loop()
    line = _lines.get(loop)
    if line is None:
        line = _lines[loop] = deque()
    turn: asyncio.Future[None] = loop.create_future()
    line.append(turn)
    if len(line) == 1:
        loop.call_soon(_next, loop, line)
    await turn


def _next(loop: asyncio.AbstractEventLoop, line: _Line) -> None:
    # The first stays in the line until its slice is over, so that whoever comes meanwhile starts no second one.
    while line and line[0].done():
        line.popleft()
    if line:
        line[0].set_result(None)
        loop.call_soon(_next, loop, line)


class Slice:
    """The time since others had their turn."""

    def __init__(self) -> None:
        self._until = time.perf_counter() + SLICE_SECONDS

    async def maybe_others_first(self) -> None:
        """Let others go first if this has taken long enough."""
        if time.perf_counter() >= self._until:
            await others_first()
            self._until = time.perf_counter() + SLICE_SECONDS
