"""Bench: a queue of keys and those who work on them, for controllers that the runner cannot serve.

    bench = Bench("garbage", self._collect, workers=8)
    bench.add(uid)
    group.create_task(bench.run())

A key that fails is tried again later and later; `Conflict` means that the copy was old and is nothing to log. The same
rules as in `wherry.client.runner`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from wherry.client.workqueue import WorkQueue
from wherry.machinery.errors import ApiError, Conflict

log = structlog.get_logger()

# Does the work on a key; says after how many seconds to look at it again, None for not at all.
Work = Callable[[str], Awaitable[float | None]]


class Bench:
    """See the module. `failures` has the error that ended the last attempt of a key."""

    def __init__(self, name: str, work: Work, *, workers: int) -> None:
        self.failures: dict[str, ApiError] = {}
        self._name, self._work, self._workers = name, work, workers
        self._queue = WorkQueue()

    @property
    def is_idle(self) -> bool:
        """Whether no key waits for work, is worked on or has failed."""
        return self._queue.is_idle

    def add(self, key: str) -> None:
        """Ask for work on a key."""
        self._queue.add(key)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._serve(), name=f"worker of {self._name}")
        finally:
            self._queue.close()

    async def _serve(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self._attempt(key)
            finally:
                self._queue.done(key)

    async def _attempt(self, key: str) -> None:
        try:
            again = await self._work(key)
        except Conflict as error:
            log.debug("conflict", controller=self._name, key=key, error=error.message)
            self._queue.add_rate_limited(key)
        except ApiError as error:
            self.failures[key] = error
            log.warning("attempt failed", controller=self._name, key=key, error=error.message)
            self._queue.add_rate_limited(key, error.retry_after_seconds or 0)
        except Exception:
            log.exception("attempt broken", controller=self._name, key=key)
            self._queue.add_rate_limited(key)
        else:
            self.failures.pop(key, None)
            self._queue.forget(key)
            if again is not None:
                self._queue.add_after(key, again)
