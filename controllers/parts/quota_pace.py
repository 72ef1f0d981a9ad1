"""How often a quota is counted."""

from __future__ import annotations

from collections.abc import Callable

from wherry.api.core.quota.resource_quota import ResourceQuota

# A quota is counted so often at most. Charges of admission do not wait for it.
COUNT_SECONDS = 0.5
# A timer may fire a rounding error too early, and would for ever.
NOT_BEFORE_SECONDS = 0.01

# Seconds on a clock that nobody sets.
Seconds = Callable[[], float]


class Pace:
    """When each quota was counted last. What was never told its limits, or has new ones, does not wait."""

    def __init__(self, seconds: Seconds) -> None:
        self._seconds = seconds
        self._counted_at: dict[str, float] = {}

    def wait(self, quota: ResourceQuota) -> float:
        """For how many seconds not to count yet; with 0 it is taken as counted now."""
        now = self._seconds()
        left = self._counted_at.get(quota.key, float("-inf")) + COUNT_SECONDS - now
        if left > 0 and quota.status.hard == quota.spec.hard:
            return left + NOT_BEFORE_SECONDS
        self._counted_at[quota.key] = now
        return 0.0

    def forget(self, key: str) -> None:
        """A quota is gone."""
        self._counted_at.pop(key, None)
