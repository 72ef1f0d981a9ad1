"""How long to wait before trying again: twice as long each time, never in step with others.

Kubernetes: wait.Backoff and the exponential rate limiter. Differs: jitter takes away up to half, so the cap is a cap.
"""

from __future__ import annotations

from dataclasses import dataclass

from wherry.client import clock


def delay(failures: int, first_seconds: float, most_seconds: float) -> float:
    """Seconds to wait after so many failures (0 counts as the first), half of them left to chance."""
    # 2.0**64 is over any cap; a larger exponent would one day overflow.
    full = min(first_seconds * 2.0 ** min(failures, 64), most_seconds)
    return full * (0.5 + 0.5 * clock.randomness().random())


@dataclass
class Backoff:
    """Delays for one thing that is tried again and again; `reset` when it went well."""

    first_seconds: float
    most_seconds: float
    failures: int = 0

    def next(self) -> float:
        """How long to wait now."""
        seconds = delay(self.failures, self.first_seconds, self.most_seconds)
        self.failures += 1
        return seconds

    def reset(self) -> None:
        """It went well: start from the shortest delay."""
        self.failures = 0
