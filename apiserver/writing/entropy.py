"""Chance that nobody can foretell, fetched from the kernel in advance.

Each question to the kernel lets go of the interpreter, and under load another thread takes it: to make up one name of
five characters cost more than to check the pod that got it.
"""

from __future__ import annotations

import os
from random import SystemRandom

# Enough for some dozens of objects.
POOL_BYTES = 4096


class Entropy(SystemRandom):
    """As SystemRandom. What is given out is never given out again; a process that is forked must make its own."""

    def __init__(self) -> None:
        super().__init__()
        self._pool = b""
        self._used = 0

    def random(self) -> float:
        """A number from 0 to 1, without 1."""
        return (int.from_bytes(self._take(7), "big") >> 3) * 2.0**-53

    def getrandbits(self, k: int) -> int:
        """A number of `k` bits."""
        if k < 0:
            raise ValueError(f"the number of bits must not be negative, got {k}")
        size = (k + 7) // 8
        return int.from_bytes(self._take(size), "big") >> (size * 8 - k)

    def _take(self, size: int) -> bytes:
        end = self._used + size
        if end > len(self._pool):
            self._pool, end = os.urandom(max(POOL_BYTES, size)), size
        self._used = end
        return self._pool[end - size : end]
