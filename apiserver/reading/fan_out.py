"""Delivering to many watchers without anybody else waiting for it: in slices, between which requests are served.

Watchers stand in one line, each at most once, so who was served goes to the end and what comes in the meantime waits
for the next turn: the busier the server, the more events go out in one write.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Protocol

# How long deliveries go on while requests wait: at least, and at most. In between, as long as the requests took that
# were served since the last slice, so that neither starves the other.
MIN_SECONDS = 0.002
MAX_SECONDS = 0.008
# How many are served between two looks at the clock.
STRIDE = 16
# Turns of the event loop between two slices: what a write needs from the socket to its answer.
TURNS = 4


class Waiting(Protocol):
    """Somebody for whom something waits."""

    def deliver(self) -> None:
        """Hand over what waits, now."""


class FanOut:
    """The line of those who are served next. Belongs to one event loop."""

    def __init__(self) -> None:
        self._line: deque[Waiting] = deque()
        self._is_running = False
        self._ended_at = 0.0

    def add(self, waiting: Waiting) -> None:
        """Serve this one as well; nobody stands in the line twice."""
        self._line.append(waiting)
        if not self._is_running:
            self._is_running = True
            self._ended_at = time.perf_counter()
            asyncio.get_running_loop().call_soon(self._slice)

    def _slice(self) -> None:
        line = self._line
        begun = time.perf_counter()
        until = begun + min(max(begun - self._ended_at, MIN_SECONDS), MAX_SECONDS)
        try:
            while line:
                for _ in range(min(STRIDE, len(line))):
                    line.popleft().deliver()
                if time.perf_counter() >= until:
                    break
        finally:  # an error of one is told by the event loop, and the others go on
            self._ended_at = time.perf_counter()
            self._is_running = bool(line)
            if line:
                self._let_others(TURNS)

    def _let_others(self, turns: int) -> None:
        loop = asyncio.get_running_loop()
        if turns:
            loop.call_soon(self._let_others, turns - 1)
        else:
            self._slice()
