"""Turns: in which order pods that could be tried are tried.

By priority; then, where there is fair share, whose user stands lowest; then who became active first.

Kubernetes: PrioritySort, which knows no users.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import NamedTuple


class Turn(NamedTuple):
    """A pod that could be tried; the ticket says who came first."""

    ticket: int
    uid: str
    user: str


# How much a user has had so far.
Standing = Callable[[str], float]


class Turns:
    """See the module. Without a `standing` all pods of a priority stand in one line."""

    def __init__(self) -> None:
        self._standing: Standing | None = None
        # The lines by priority and, with fair share, by user; the priorities, lowest number first.
        self._lines: dict[int, dict[str, list[Turn]]] = {}
        self._priorities: list[int] = []

    @property
    def are_shared(self) -> bool:
        """Whether there is fair share."""
        return self._standing is not None

    def share_by(self, standing: Standing | None) -> None:
        """From now on ask this whose turn it is; None: nobody."""
        waiting = [
            (priority, turn) for priority, lines in self._lines.items() for one in lines.values() for turn in one
        ]
        self._standing, self._lines, self._priorities = standing, {}, []
        for priority, turn in waiting:
            self.add(priority, turn)

    def add(self, priority: int, turn: Turn) -> None:
        """Somebody waits for a turn."""
        lines = self._lines.get(priority)
        if lines is None:
            lines = self._lines[priority] = {}
            heapq.heappush(self._priorities, -priority)
        heapq.heappush(lines.setdefault(turn.user if self._standing else "", []), turn)

    def next(self) -> Turn | None:
        """Whose turn it is; he waits no more."""
        if not self._priorities:
            return None
        priority = -self._priorities[0]
        lines = self._lines[priority]
        user = self._first(lines)
        turn = heapq.heappop(lines[user])
        if not lines[user]:
            del lines[user]
            if not lines:
                heapq.heappop(self._priorities)
                del self._lines[priority]
        return turn

    def _first(self, lines: dict[str, list[Turn]]) -> str:
        standing = self._standing
        if standing is None or len(lines) == 1:
            return next(iter(lines))
        return min(lines, key=lambda user: (standing(user), lines[user][0].ticket))
