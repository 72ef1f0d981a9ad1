"""Part: a component of a simulated cluster, which can be started, stopped, killed and started again."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from datetime import timedelta
from typing import Any

from wherry.client import clock
from wherry.client.http import Client
from wherry.client.kubeconfig import Connection
from wherry.sim.network import Line, Network
from wherry.sim.virtual_time import VirtualTimeLoop, process

_numbers = itertools.count(1)
Begin = Callable[[Client], Coroutine[Any, Any, None]]
CONNECTION = Connection(server="https://apiserver")


def client_over(line: Line, user: str) -> Client:
    """A client at the end of a line."""
    return Client(CONNECTION, user_agent=user, transport=line)


class Part:
    """A client of the API server. Each life begins with a new connection, and nothing of the last one is known."""

    def __init__(self, network: Network, tasks: asyncio.TaskGroup, user: str, groups: tuple[str, ...], begin: Begin):
        self._network, self._tasks = network, tasks
        self._user, self._groups, self._begin = user, groups, begin
        self._line: Line | None = None
        self._life: asyncio.Task[None] | None = None
        # Every part is a process of its own, even if several act as the same user.
        self._process = f"{user} {next(_numbers)}"
        self._skew = clock.Skew()

    @property
    def is_running(self) -> bool:
        """Whether it is started and has not ended."""
        return self._life is not None and not self._life.done()

    def start(self) -> None:
        """Begin a life; does nothing while there is one."""
        if self.is_running:
            return
        self._line = self._network.transport(self._user, *self._groups)
        begun = self._begin(client_over(self._line, self._user))
        with clock.skewed(seconds=self._skew.offset.total_seconds()) as self._skew:
            context = copy_context()
        context.run(process.set, self._process)
        self._life = self._tasks.create_task(begun, name=self._user, context=context)

    def pause(self) -> None:
        """As SIGSTOP: it does nothing at all, and what is sent to it waits. A part that is stopped can be killed."""
        loop = asyncio.get_running_loop()
        if isinstance(loop, VirtualTimeLoop):
            loop.freeze(self._process)

    def resume(self) -> None:
        """As SIGCONT: it goes on as if no time had passed, until it looks at a clock."""
        loop = asyncio.get_running_loop()
        if isinstance(loop, VirtualTimeLoop):
            loop.thaw(self._process)

    def set_clock(self, **offset: float) -> None:
        """From now on its wall clock is off by a `timedelta(**offset)`, in this life and the next ones."""
        self._skew.offset = timedelta(**offset)

    def kill(self) -> None:
        """As SIGKILL: it can say no good-bye, and what is under way gets no answer; it may have been done, though."""
        if self._line is not None:
            self._line.mute()
        self._end()
        self.resume()  # a stopped process dies of SIGKILL all the same

    async def stop(self) -> None:
        """As SIGTERM: it ends what it does, and its last words are heard."""
        life = self._life
        self._end()
        if life is not None:
            await asyncio.wait((life,))
        if self._line is not None:
            self._line.cut()

    def _end(self) -> None:
        if self._life is not None:
            self._life.cancel()
        self._life = None
