"""Attention: how often the scheduler has time to say everything about a decision, and not the outcome alone.

A few pods now and then are explained node by node. Of a thousand in a second the first few are, and of the others one
says who won, by how much, and who came second.
"""

from __future__ import annotations

MOST_AT_ONCE = 20
PER_SECOND = 5.0
# What is worked out ahead is for a pod that comes so soon.
SOON_SECONDS = 0.1


class Attention:
    """Pure: `now` is in seconds of any clock that only goes forward."""

    def __init__(self) -> None:
        self._left, self._at = float(MOST_AT_ONCE), 0.0

    def is_free(self, now: float) -> bool:
        """Whether there is time for one more now; if so it is taken."""
        if self._has_left(now) < 1:
            return False
        self._left -= 1
        return True

    def is_near(self, now: float) -> bool:
        """Whether there is time for one more now, or will be soon; it stays there."""
        return self._has_left(now) + SOON_SECONDS * PER_SECOND >= 1

    def _has_left(self, now: float) -> float:
        self._left = min(self._left + (now - self._at) * PER_SECOND, MOST_AT_ONCE)
        self._at = now
        return self._left
