"""Forking: components start from a process that has imported already what all of them need.

Five components that import the same modules side by side keep two cores busy for more than a second, at every start
and after every crash. Imported once and forked, a component starts in a few hundredths of that, and the memory that
nobody writes to is shared by all of them. The other end is `fork_server.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import msgspec

from wherry.cluster.supervision.logs import open_log
from wherry.cluster.supervision.process_id import ProcessId, end_with_parent, identify

_COMMAND = (sys.executable, "-P", "-m", "wherry.cluster.supervision.fork_server")
# What is told of a process whose end nobody saw, since the fork server ended before it.
_UNSEEN = 255
_END_SECONDS = 8.0


class Running(Protocol):
    """A process that was started: what asyncio's own processes offer, as far as the supervisor needs it."""

    @property
    def pid(self) -> int: ...

    async def wait(self) -> int:
        """Its exit code, once it has ended; negative for the signal that ended it."""

    def send_signal(self, number: int, /) -> None:
        """Send it; raises ProcessLookupError where the process may have ended already."""


class Forked:
    """A component; what `Running` asks for."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._id: ProcessId = identify(pid)
        self._exit_code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def wait(self) -> int:
        """Its exit code, once it has ended."""
        return await asyncio.shield(self._exit_code)

    def send_signal(self, number: int, /) -> None:
        """Send it to this process, and to no other that has its pid by now."""
        self._id.signal(number)

    def end(self) -> None:
        """SIGTERM, and SIGKILL to what does not end; blocks until it has ended."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._id.signal(number)
            if self._id.ends_within(_END_SECONDS):
                return

    def ended(self, exit_code: int) -> None:
        """The fork server says so."""
        self._exit_code.set_result(exit_code)


class Forkery:
    """Where components are forked. It has a fork server from the first start on, and another when that one dies."""

    def __init__(self, log: Path, cluster: str) -> None:
        self._log = log
        self._cluster = cluster
        self._preparing = asyncio.Lock()
        self._requests: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._starting: dict[str, asyncio.Future[Forked]] = {}
        self._running: dict[int, Forked] = {}

    async def prepare(self) -> None:
        """Have a fork server; it imports while the caller goes on."""
        if self._requests is None:
            ours, theirs = socket.socketpair()
            with open_log(self._log) as log, theirs:
                server = await asyncio.create_subprocess_exec(
                    *_COMMAND,
                    str(self._log),  # nobody reads it: `ps` tells clusters apart by it, and titles need room
                    stdin=theirs.fileno(),
                    stdout=log,
                    stderr=log,
                    env={**os.environ, "PYTHONUNBUFFERED": "1"},
                    preexec_fn=partial(end_with_parent, os.getpid()),
                )
            reader, self._requests = await asyncio.open_connection(sock=ours)
            self._listening = asyncio.create_task(self._listen(reader, self._requests, server))

    async def start(self, name: str, module: str, options: tuple[str, ...], log: Path) -> Running:
        """`python -m module options`, with its output appended to a log; raises OSError if there is no fork server."""
        async with self._preparing:
            await self.prepare()
        # Not one after the other: the first may have to wait for imports that others do not need.
        started: asyncio.Future[Forked] = asyncio.get_running_loop().create_future()
        self._starting[name] = started
        title = f"{self._cluster}: {name}"
        request = {"name": name, "title": title, "module": module, "options": options, "log": str(log)}
        if self._requests is not None:
            self._requests.write(msgspec.json.encode(request) + b"\n")
        return await started

    async def close(self) -> None:
        """End the fork server, and with it what is left of what it started."""
        if self._requests is not None and self._listening is not None:
            self._requests.close()
            await self._listening

    async def _listen(
        self, told: asyncio.StreamReader, requests: asyncio.StreamWriter, server: asyncio.subprocess.Process
    ) -> None:
        async for message in _messages(told):
            if "started" in message:
                self._has_started(message["name"], message["started"])
            elif "failed" in message:
                self._fail(message["name"], OSError(message["failed"], os.strerror(message["failed"])))
            else:
                self._running.pop(message["ended"]).ended(message["exit_code"])
        requests.close()
        await server.wait()
        # What it started goes with it, but needs its time: no successor may run beside one of these.
        await asyncio.gather(*(asyncio.to_thread(forked.end) for forked in self._running.values()))
        self._requests = None
        for forked in self._running.values():
            forked.ended(_UNSEEN)
        self._running.clear()
        for name in tuple(self._starting):
            self._fail(name, OSError(f"the fork server ended; see {self._log}"))

    def _fail(self, name: str, error: OSError) -> None:
        starting = self._starting.pop(name, None)
        if starting is not None and not starting.done():
            starting.set_exception(error)

    def _has_started(self, name: str, pid: int) -> None:
        forked = self._running[pid] = Forked(pid)
        starting = self._starting.pop(name, None)
        if starting is not None and not starting.done():
            starting.set_result(forked)


async def _messages(server: asyncio.StreamReader) -> AsyncIterator[dict[str, Any]]:
    with contextlib.suppress(ConnectionError):
        while line := await server.readline():
            yield msgspec.json.decode(line)
