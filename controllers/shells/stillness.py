"""Stillness: for how long an object has been left alone, measured on our own monotonic clock.

stillness = Stillness(runner.informers[ResourceQuota])
stillness("shop/compute")            # seconds since it last changed
"""

from __future__ import annotations

import asyncio
from typing import Any

from wherry.client.informer import Change, Informer


class Stillness:
    """See the module."""

    def __init__(self, informer: Informer[Any]) -> None:
        self._changed_at: dict[str, float] = {}
        informer.subscribe(self._changed)

    def __call__(self, key: str) -> float:
        """Seconds since our copy of the object last changed; those of an unknown object are without end."""
        return asyncio.get_running_loop().time() - self._changed_at.get(key, float("-inf"))

    def _changed(self, change: Change[Any]) -> None:
        if change.after is not None:
            self._changed_at[change.after.key] = asyncio.get_running_loop().time()
        elif change.before is not None:
            self._changed_at.pop(change.before.key, None)
