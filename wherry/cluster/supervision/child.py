"""Child: one process of a cluster, kept running until it is told to stop.

A process that ends is started again after a pause that doubles from 0.1 s to 10 s; one that ran for two seconds starts
over with the shortest, so that nobody waits for a component that was only killed, however often. What it prints goes to
its log. It is told to end when the supervisor dies.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from wherry.client.backoff import Backoff
from wherry.cluster.supervision.forking import Forkery, Running
from wherry.cluster.supervision.logs import open_log
from wherry.cluster.supervision.process_id import ProcessId, end_with_parent, identify
from wherry.cluster.supervision.processes import Process
from wherry.cluster.supervision.report import ChildReport

FIRST_PAUSE_SECONDS = 0.1
MOST_PAUSE_SECONDS = 10.0
# What cannot start ends sooner than this; what served and dies after it costs at most a start each two seconds.
HEALTHY_SECONDS = 2.0


class Child:
    """See the module."""

    def __init__(self, process: Process, log: Path, forkery: Forkery, changed: Callable[[], None]) -> None:
        self.process = process
        self._log = log
        self._forkery = forkery
        self._changed = changed
        self._running: Running | None = None
        self._id: ProcessId | None = None
        self._since, self._starts = "", 0
        self._exit_code: int | None = None
        self._is_ready = False

    @property
    def is_running(self) -> bool:
        return self._id is not None

    @property
    def report(self) -> ChildReport:
        """How it does now."""
        return ChildReport(
            self.process.name, self._id, self._since, self._starts, self._exit_code, self._is_ready and self.is_running
        )

    def mark_ready(self) -> None:
        """It answered."""
        self._is_ready = True
        self._changed()

    async def keep_running(self) -> None:
        """Start it, and start it again, until cancelled."""
        backoff = Backoff(FIRST_PAUSE_SECONDS, MOST_PAUSE_SECONDS)
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            await self._run_once()
            if clock() - began > HEALTHY_SECONDS:
                backoff.reset()
            await asyncio.sleep(backoff.next())

    async def _run_once(self) -> None:
        try:
            await self._start()
        except OSError as error:
            self._say(f"cannot be started: {error}")
            return
        running = self._running
        if running is not None:
            self._exit_code = await running.wait()
            self._say(f"ended with {self._exit_code}")
        self._running = self._id = None
        self._changed()

    async def _start(self) -> None:
        process = self.process
        if process.module:
            self._running = await self._forkery.start(process.name, process.module, process.options, self._log)
        else:
            self._running = await self._execute(process.command)
        self._id = identify(self._running.pid)
        self._since, self._starts = _now(), self._starts + 1
        self._say(f"started, pid {self._running.pid}")
        self._changed()

    async def _execute(self, command: tuple[str, ...]) -> Running:
        with open_log(self._log) as log:
            return await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                preexec_fn=partial(end_with_parent, os.getpid()),
            )

    async def stop(self, grace_seconds: float) -> None:
        """SIGTERM, and SIGKILL to what is left after the grace. `keep_running` must have been cancelled."""
        running = self._running
        if running is None:
            return
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                running.send_signal(number)
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_seconds):
                    self._exit_code = await running.wait()
                break
        self._running = self._id = None
        self._say("stopped")
        self._changed()

    def _say(self, what: str) -> None:
        with open_log(self._log) as log:
            log.write(f"{_now()} supervisor: {self.process.name} {what}\n".encode())


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
