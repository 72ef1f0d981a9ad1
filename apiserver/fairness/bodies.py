"""How much of long bodies is in memory at once: a budget in bytes, and a short line in front of it.

A body counts from before its first byte is read until its request is answered; one that does not say how long it is
counts as the longest until it has come. Who waits holds no seat, and short bodies pass: leases and most writes never
stand behind a long one. One user has at most half of the budget, and users take turns. Beyond what may wait, and after
a few seconds, the answer is a 429 that says when to come again. Who sends too slowly keeps nobody out: such a
connection is ended as soon as somebody else wants the room.

Kubernetes has a limit for each body and none for all of them together.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

from apiserver.fairness.levels import too_many
from apiserver.request import BODY_LIMIT_BYTES

BUDGET_BYTES = 3 * BODY_LIMIT_BYTES
# What is shorter passes: there are not more of them at once than there are seats.
SHORT_BYTES = 64 * 1024
WAIT_SECONDS = 5.0
# From when on a body must have come at which rate: 3 MiB take twelve seconds at worst.
GRACE_SECONDS = 2.0
SLOWEST_BYTES_PER_SECOND = 256 * 1024
# How often those who wait look for who is too slow.
LOOK_SECONDS = 1.0
MOST_WAITING = 64
MOST_WAITING_OF_ONE = 16


class _Turn(NamedTuple):
    size: int
    granted: asyncio.Future[None]


class Room:
    """What one body has of the budget, until `leave`. `abort` ends the connection on which it comes."""

    def __init__(self, bodies: Bodies, user: str, size: int, abort: Callable[[], None]) -> None:
        self._bodies, self._user, self._size, self._abort = bodies, user, size, abort
        self._begun = asyncio.get_running_loop().time()
        self._came = 0
        self._is_whole = False

    def came(self, size: int) -> None:
        """So many bytes have been read."""
        self._came += size

    def whole(self) -> None:
        """All of it has been read: what it does not need is for others."""
        self._is_whole = True
        too_much, self._size = self._size - self._came, self._came
        self._bodies.give_back(self._user, too_much)

    def leave(self) -> None:
        """The request is answered."""
        self._bodies.forget(self)
        self._bodies.give_back(self._user, self._size)

    def end_if_slow(self) -> None:
        """End the connection of a client that sends too little."""
        seconds = asyncio.get_running_loop().time() - self._begun
        if not self._is_whole and seconds > GRACE_SECONDS and self._came < seconds * SLOWEST_BYTES_PER_SECOND:
            self._abort()


class Bodies:
    """The budget of one server. Whoever has entered must leave."""

    def __init__(self, budget_bytes: int = BUDGET_BYTES) -> None:
        self._budget = budget_bytes
        self._taken: Counter[str] = Counter()  # bytes, by user
        self._waiting: dict[str, deque[_Turn]] = {}  # whose turn it is comes first
        self._rooms: set[Room] = set()

    async def enter(self, user: str, size: int, abort: Callable[[], None]) -> Room:
        """Wait for room; raises TooManyRequests."""
        if self._waiting.get(user) or not self._has_room(user, size):
            await self._wait(user, size)
        else:
            self._taken[user] += size
        room = Room(self, user, size, abort)
        self._rooms.add(room)
        return room

    async def _wait(self, user: str, size: int) -> None:
        own = self._waiting.setdefault(user, deque())
        if len(own) >= MOST_WAITING_OF_ONE or sum(map(len, self._waiting.values())) >= MOST_WAITING:
            self._forget_if_empty(user)
            raise too_many()
        turn = _Turn(size, asyncio.get_running_loop().create_future())
        own.append(turn)
        try:
            await self._granted(turn)
        except asyncio.CancelledError:
            if turn.granted.done():
                self.give_back(user, size)  # its turn came as its client went
            else:
                self._give_up(user, turn)
            raise
        if not turn.granted.done():
            self._give_up(user, turn)
            raise too_many()

    async def _granted(self, turn: _Turn) -> None:
        until = asyncio.get_running_loop().time() + WAIT_SECONDS
        while not turn.granted.done() and (left := until - asyncio.get_running_loop().time()) > 0:
            for room in list(self._rooms):
                room.end_if_slow()
            await asyncio.wait((turn.granted,), timeout=min(left, LOOK_SECONDS))

    def forget(self, room: Room) -> None:
        """Nothing more comes into a room."""
        self._rooms.discard(room)

    def give_back(self, user: str, size: int) -> None:
        """Give room back; whoever waits may have it."""
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
