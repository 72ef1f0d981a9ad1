"""Whose turn it is in this turn of the event loop: one piece of a flow's work, those of flows that have nobody waiting
first.

A seat says how many requests may be under way. But sixty of one flow that come together, or whose writes are committed
together, would all do their part in the same turn, and a request that comes in meanwhile would wait for each of them.
Here those of one flow wait for each other instead, be it to begin or to go on, and the flows take turns. A flow that is
alone is not held up: together, its writes share commits.

What has begun is not interrupted: in a flood by one account, others wait for a piece or two of its work at each of
their steps, and for the commit before their own.

A connection whose flow is known waits here before its next request is even parsed (`apiserver/protocols/http.py`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from weakref import WeakKeyDictionary

from apiserver.fairness.flows import Lines

# How many pass in a turn at most, when they are of many flows: what one does until it waits again takes up to half a
# millisecond.
MOST = 16
# How many turns in a row those who wait leave to those who pass: a write has as many from its commit to its answer.
PATIENCE_TURNS = 3
# A flow is alone when no other has come for so long.
ALONE_SECONDS = 2.0


class Turnstile:
    """Belongs to the event loop that first asks it."""

    def __init__(self) -> None:
        # Each is called when it may begin, and says whether it still wants to.
        self._lines: Lines[Callable[[], bool]] = Lines()
        self._last = ""  # the flow that came last
        self._shared_until = 0.0
        self._passed: set[str] = set()  # the flows of which somebody passed since the last turn began
        self._has_let_in = False  # whether somebody from the lines has this turn
        self._waited_turns = 0  # how many turns in a row the lines have left to those who passed
        self._is_turning = False

    def passes(self, flow: str) -> bool:
        """Whether somebody of the flow may begin at once; then it has begun."""
        if not self._lines and self._is_alone(flow):
            return True
        is_free = not self._passed and not self._has_let_in
        has_turn = is_free or (flow not in self._passed and len(self._passed) < MOST)
        if flow in self._lines or not has_turn:
            return False
        self._passed.add(flow)
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

    def go_on(self, flow: str, step: Callable[[], None]) -> None:
        """Have `step` done, at once or at the flow's turn. What belongs to no flow waits for nobody."""
        if not flow or self.passes(flow):
            step()
            return

        def begin() -> bool:
            step()
            return True

        self.line_up(flow, begin)

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
        is_others = self._waited_turns < PATIENCE_TURNS and any(flow not in self._lines for flow in self._passed)
        self._waited_turns = self._waited_turns + 1 if is_others else 0
        self._passed.clear()
        self._has_let_in = self._is_turning = False
        try:
            if not is_others:
                self._let_in()
        finally:
            if self._has_let_in or self._lines:
                self._keep_turning()

    def _let_in(self) -> None:
        while self._lines and not self._has_let_in:
            begin = self._lines.take()
            self._has_let_in = begin()


_turnstiles: WeakKeyDictionary[asyncio.AbstractEventLoop, Turnstile] = WeakKeyDictionary()


def turnstile_here() -> Turnstile:
    """That of the running event loop."""
    loop = asyncio.get_running_loop()
    found = _turnstiles.get(loop)
    if found is None:
        found = _turnstiles[loop] = Turnstile()
    return found
