"""WorkQueue: which objects need a plan. Each key waits at most once, and never do two workers hold the same key.

    queue.add("shop/web")
    key = await queue.get()
    try: ...                                   # add("shop/web") now means: once more, after this worker is done
    finally: queue.done(key)

The queue holds keys, not changes, so ten changes of an object cost one plan, and its size is bounded by the number
of objects. Everything but `get` is synchronous; all of it belongs to one event loop.

Kubernetes: client-go `workqueue`, with its per-item exponential rate limiter.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection

from wherry.client import backoff
from wherry.client.serving.counting import Histogram

# client-go's first delay; its cap of 1000 s is replaced by one from which a cluster recovers within a minute of an
# outage.
FIRST_RETRY_SECONDS = 0.005
MOST_RETRY_SECONDS = 30.0
# News that come in crowds, as of a thousand pods that start: so many at once, and later this long between two plans.
# (Kubernetes' job controller waits a second, its endpoint controllers as long as they are told.)
PACED_AT_ONCE = 10
PACE_SECONDS = 0.1
# Kubernetes: those of workqueue_queue_duration_seconds and workqueue_work_duration_seconds.
_BOUNDS = tuple(10.0**power for power in range(-8, 4))


class WorkQueue:
    """See the module."""

    def __init__(self) -> None:
        self._waiting: deque[str] = deque()
        self._dirty: set[str] = set()  # waiting, or to be added again when done
        self._dirty_if_well: set[str] = set()  # held, and to be added again unless the worker fails
        self._held: dict[str, float] = {}  # since when
        self._waiting_since: dict[str, float] = {}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._failures: dict[str, int] = {}
        self._paced: dict[str, float] = {}  # when its news would be through if each took PACE_SECONDS
        self._most_paced = 1024
        self._getters: deque[asyncio.Future[None]] = deque()
        self.adds, self.retries = 0, 0
        self.waited, self.worked = Histogram(_BOUNDS), Histogram(_BOUNDS)

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def is_idle(self) -> bool:
        """Whether no key waits, is held or has failed; keys that wait for a time of their own choice do not count."""
        return not self._dirty and not self._held and not self._failures

    @property
    def held_since(self) -> Collection[float]:
        """When the loop's time was what, as workers took the keys that they hold."""
        return self._held.values()

    def add(self, key: str) -> None:
        """Ask for a plan, as soon as a worker is free."""
        if key in self._dirty:
            return
        self._dirty.add(key)
        if key not in self._held:
            self._push(key)

    def add_unless_failing(self, key: str) -> None:
        """Ask for a plan because of what may be the echo of our own write: it must not hasten a retry that waits."""
        if key in self._held:
            self._dirty_if_well.add(key)
        elif key not in self._failures:
            self.add_paced(key)

    def add_paced(self, key: str) -> None:
        """Ask for a plan because of one change of many: soon, but not as often as they come."""
        if key in self._dirty:
            return
        now = asyncio.get_running_loop().time()
        through = max(self._paced.get(key, now), now)
        wait = through - now - (PACED_AT_ONCE - 1) * PACE_SECONDS
        if wait <= 0:
            self.add(key)
        elif key in self._timers and self._timers[key].when() <= now + wait:
            return
        else:
            self.add_after(key, wait)
        self._paced[key] = through + PACE_SECONDS
        self._forget_paced(now)

    def _forget_paced(self, now: float) -> None:
        if len(self._paced) > self._most_paced:
            self._paced = {key: through for key, through in self._paced.items() if through > now}
            self._most_paced = 1024 + 2 * len(self._paced)

    def add_after(self, key: str, seconds: float) -> None:
        """Ask for a plan in a while; of several such requests the earliest counts."""
        if seconds <= 0:
            self.add(key)
            return
        loop = asyncio.get_running_loop()
        timer = self._timers.get(key)
        if timer is not None and timer.when() <= loop.time() + seconds:
            return
        if timer is not None:
            timer.cancel()
        self._timers[key] = loop.call_later(seconds, self._ring, key)

    def add_rate_limited(self, key: str, at_least_seconds: float = 0.0) -> None:
        """Ask for a plan after a failure: later each time, until `forget`."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        self.retries += 1
        self.add_after(key, max(at_least_seconds, backoff.delay(failures, FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)))

    def forget(self, key: str) -> None:
        """The plan went well: its failures no longer count."""
        self._failures.pop(key, None)

    async def get(self) -> str:
        """The next key; it belongs to the caller until `done`."""
        while not self._waiting:
            getter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._getters.append(getter)
            try:
                await getter
            except asyncio.CancelledError:
                # A wake-up that came together with the cancellation belongs to another worker.
                if getter.done() and not getter.cancelled():
                    self._wake()
                raise
        key = self._waiting.popleft()
        self._dirty.discard(key)
        now = self._held[key] = asyncio.get_running_loop().time()
        self.waited.observe(now - self._waiting_since.pop(key))
        return key

    def done(self, key: str) -> None:
        """The worker is through with the key."""
        self.worked.observe(asyncio.get_running_loop().time() - self._held.pop(key))
        if key in self._dirty:
            self._dirty_if_well.discard(key)
            self._push(key)
        elif key in self._dirty_if_well:
            self._dirty_if_well.discard(key)
            self.add_unless_failing(key)

    def close(self) -> None:
        """Nobody works here any more: drop the timers."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _push(self, key: str) -> None:
        self._waiting.append(key)
        self._waiting_since[key] = asyncio.get_running_loop().time()
        self.adds += 1
        self._wake()

    def _ring(self, key: str) -> None:
        del self._timers[key]
        self.add(key)

    def _wake(self) -> None:
        while self._getters:
            getter = self._getters.popleft()
            if not getter.done():
                getter.set_result(None)
                return
