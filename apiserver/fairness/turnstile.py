"""Which requests begin in one turn of the event loop: a few, and those of flows that have nobody waiting first.

A seat says how many requests may be under way. But sixty of one flow that come together would all do their part in the
same turn, and a request that comes in meanwhile would wait for each of them. Here those of one flow wait for each
other instead, and the flows take turns. A flow that is alone is not held up: together, its writes share commits.

A connection whose flow is known waits here before its next request is even parsed (`apiserver/protocols/http.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from apiserver.fairness.flows import Lines

# How many begin in a turn: what one does until it waits for the store takes up to half a millisecond.
SOME = 1
# How many begin in it at most, when they are of many flows.
MOST = 16
# A flow is alone when no other has come for so long.
ALONE_SECONDS = 2.0


class Turnstile:
    """Belongs to the event loop that first asks it."""

    def __init__(self) -> None:
        # Each is called when it may begin, and says whether it still wants to.
        self._lines: Lines[Callable[[], bool]] = Lines()
        self._last = ""  # the flow that came last
        self._shared_until = 0.0
        self._begun: set[str] = set()  # the flows of which somebody began in this turn
        self._count = 0  # who began in it
        self._is_turning = False

    def passes(self, flow: str) -> bool:
        """Whether a request of the flow may begin at once; then it has begun."""
        if not self._lines and self._is_alone(flow):
            return True
        has_turn = self._count < SOME or (flow not in self._begun and self._count < MOST)
        if flow in self._lines or not has_turn:
            return False
        self._count += 1
        self._begun.add(flow)
        self._keep_turning()
        return True

    def let_by(self, flow: str) -> None:
        """Somebody who waits for nobody has come: others should not make the turns long."""
        self._is_alone(flow)

    async def come(self, flow: str) -> None:
        """Wait for the flow's turn."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def begin() -> bool:
            if turn.done():  # its client has left
                return False
            turn.set_result(None)
            return True

        self.line_up(flow, begin)
        await turn

    def line_up(self, flow: str, begin: Callable[[], bool]) -> None:
        """Have `begin` called at the flow's turn; it says whether there was still something to begin."""
        self._lines.append(flow, begin)
        self._keep_turning()

    def _is_alone(self, flow: str) -> bool:
        now = asyncio.get_running_loop().time()
        if flow != self._last:
            self._last, self._shared_until = flow, now + ALONE_SECONDS
        return now > self._shared_until

    def _keep_turning(self) -> None:
        if not self._is_turning:
            self._is_turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        self._count = 0
        self._begun.clear()
        self._is_turning = False
        try:
            self._let_in()
        finally:
            if self._count or self._lines:
                self._keep_turning()

    def _let_in(self) -> None:
        while self._lines and self._count < SOME:
            begin = self._lines.take()
            self._count += begin()
