"""How much of long bodies is in memory at once: a budget in bytes, and a short line in front of it.

A body counts from before its first byte is read until its request is answered. Who waits holds no seat, and short
bodies pass: leases and most writes never stand behind a long one. One user has at most half of the budget, and users
take turns. Beyond what may wait, and after a few seconds, the answer is a 429 that says when to come again.

Kubernetes has a limit for each body and none for all of them together.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from typing import NamedTuple

from apiserver.fairness.levels import too_many
from apiserver.request import BODY_LIMIT_BYTES

BUDGET_BYTES = 3 * BODY_LIMIT_BYTES
# What is shorter passes: there are not more of them at once than there are seats.
SHORT_BYTES = 64 * 1024
WAIT_SECONDS = 5.0
MOST_WAITING = 64
MOST_WAITING_OF_ONE = 16


class _Turn(NamedTuple):
    size: int
    granted: asyncio.Future[None]


class Bodies:
    """The budget of one server. Whoever has entered must leave."""

    def __init__(self, budget_bytes: int = BUDGET_BYTES) -> None:
        self._budget = budget_bytes
        self._taken: Counter[str] = Counter()  # bytes, by user
        self._waiting: dict[str, deque[_Turn]] = {}  # whose turn it is comes first

    async def enter(self, user: str, size: int) -> None:
        """Wait for room; raises TooManyRequests."""
        if not self._waiting.get(user) and self._has_room(user, size):
            self._taken[user] += size
            return
        own = self._waiting.setdefault(user, deque())
        if len(own) >= MOST_WAITING_OF_ONE or sum(map(len, self._waiting.values())) >= MOST_WAITING:
            self._forget_if_empty(user)
            raise too_many()
        turn = _Turn(size, asyncio.get_running_loop().create_future())
        own.append(turn)
        try:
            await asyncio.wait((turn.granted,), timeout=WAIT_SECONDS)
        except asyncio.CancelledError:
            if turn.granted.done():
                self.leave(user, size)  # its turn came as its client went
            else:
                self._give_up(user, turn)
            raise
        if not turn.granted.done():
            self._give_up(user, turn)
            raise too_many()

    def leave(self, user: str, size: int) -> None:
        """Give the room back; whoever waits may have it."""
        self._taken[user] -= size
        if not self._taken[user]:
            del self._taken[user]
        self._let_in()

    def _has_room(self, user: str, size: int) -> bool:
        return self._taken.total() + size <= self._budget and self._taken[user] + size <= self._budget // 2

    def _let_in(self) -> None:
        for user in list(self._waiting):
            line = self._waiting.get(user)
            while line and self._has_room(user, line[0].size):
                turn = line.popleft()
                self._taken[user] += turn.size
                turn.granted.set_result(None)
                self._waiting[user] = self._waiting.pop(user)  # to the end of the line
            self._forget_if_empty(user)

    def _give_up(self, user: str, turn: _Turn) -> None:
        self._waiting[user].remove(turn)
        self._forget_if_empty(user)
        self._let_in()

    def _forget_if_empty(self, user: str) -> None:
        if not self._waiting.get(user):
            self._waiting.pop(user, None)
