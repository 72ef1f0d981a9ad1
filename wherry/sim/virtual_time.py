"""An asyncio event loop that owns time: when nothing is left to do, its clock jumps to the next timer.

    async def a_day() -> datetime:
        await asyncio.sleep(86400)
        return now()

    assert run(a_day(), start=datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 1, 2, tzinfo=UTC)   # at once

One seed is one run: timers fire in order, executor jobs run inline, `wherry.client.clock` hands out this loop's
time and chance. When every task waits and no timer is set, `Deadlock` names who waits where. Trio's MockClock and
FoundationDB's simulator are the models.

Differs from a real loop: no sockets, processes, signals or threads. What iterates over sets of tasks (asyncio.wait,
the order in which a TaskGroup cancels) is as orderly as the memory addresses of the tasks, so code under test
should not depend on it.
"""

from __future__ import annotations

import asyncio
import functools
import random
from asyncio.base_events import BaseEventLoop
from collections.abc import Callable, Coroutine
from concurrent.futures import Executor
from contextvars import Context, ContextVar, copy_context
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
WEEK_SECONDS = 7 * 86400.0
# The busiest instant of a large cluster takes a hundredth of this.
MOST_ROUNDS_AN_INSTANT = 1_000_000


# Which simulated process a task belongs to; tasks that it starts inherit it. Processes can be stopped: see `freeze`.
process = ContextVar("process", default="")


class Deadlock(Exception):
    """Every task waits for another and no timer will wake any."""


class Overrun(Exception):
    """Something never ends: the clock went past the limit of the run, or stands still while tasks wake each other."""


class _Selector:
    """Stands where a loop waits for sockets; waiting is jumping."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock(self._loop.story())
        self._loop.jump(timeout)
        return []


class VirtualTimeLoop(BaseEventLoop):
    """See the module. `time()` starts at 0; `random` is the one source of chance."""

    def __init__(self, start: datetime = EPOCH, seed: int = 0, limit_seconds: float = WEEK_SECONDS) -> None:
        super().__init__()
        self.random = random.Random(seed)
        self._start, self._elapsed, self._limit, self._rounds = start, 0.0, limit_seconds, 0
        # BaseEventLoop asks these three of its subclasses: where to wait, what to do with what came, how to be woken.
        self._selector = _Selector(self)
        self._frozen: dict[str, list[tuple[Callable[..., Any], tuple[Any, ...], Context | None]]] = {}

    def freeze(self, name: str) -> None:
        """As SIGSTOP: from the next instant on no task of that process runs, while time goes on for all others."""
        self._frozen.setdefault(name, [])

    def thaw(self, name: str) -> None:
        """As SIGCONT: its tasks go on where they were; whatever came for them meanwhile comes now."""
        for callback, arguments, context in self._frozen.pop(name, ()):
            self.call_soon(callback, *arguments, context=context)

    def call_soon(  # type: ignore[override]  # as BaseEventLoop's, which is generic in the arguments
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        """Every step of every task comes by here, so this is where those of frozen processes are held back."""
        if self._frozen:
            held = self._frozen.get((context or copy_context()).get(process, ""))
            if held is not None:
                held.append((callback, args, context))
                return asyncio.Handle(callback, args, self, context)
        return super().call_soon(callback, *args, context=context)

    def _process_events(self, events: list[Any]) -> None:
        """Nothing comes from outside."""

    def _write_to_self(self) -> None:
        """Nobody calls from another thread."""

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._elapsed

    def wall_clock(self) -> datetime:
        """The date and time of this world."""
        return self._start + timedelta(seconds=self._elapsed)

    def jump(self, seconds: float) -> None:
        """Let time pass."""
        before = self._elapsed
        # Exactly the timer's time where one is set: now + (when - now) may fall short of `when`.
        self._elapsed = max(before, self._next_timer()) if seconds > 0 else before
        self._rounds = self._rounds + 1 if self._elapsed == before else 0
        if self._elapsed > self._limit:
            self._overrun(f"{self._limit} virtual seconds are over")
        if self._rounds > MOST_ROUNDS_AN_INSTANT:
            self._overrun("time stands still")

    def stall(self, seconds: float) -> None:
        """Let the clock run on while no task does: a stopped process, a sleeping machine, a slow computation."""
        self._elapsed += seconds

    def _next_timer(self) -> float:
        # BaseEventLoop's heap of timers; it has just dropped the cancelled ones from its top.
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return timers[0].when()

    def _overrun(self, what: str) -> None:
        # Said once: the tasks still need the loop to be cancelled.
        self._limit, self._rounds = float("inf"), 0
        raise Overrun(f"{what}; {self.story()}")

    def story(self) -> str:
        """Who waits where: one line per unfinished task, the innermost frame of each."""
        waiting = sorted(_where(task) for task in asyncio.all_tasks(self))
        return "\n  ".join([f"at {self.wall_clock()} these tasks wait:", *waiting])

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., T], *args: Any
    ) -> asyncio.Future[T]:
        """Run the job here and now: threads would bring back chance."""
        future: asyncio.Future[T] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def _where(task: asyncio.Task[Any]) -> str:
    """The innermost line of ours in which a task waits."""
    place = "?"
    awaited: Any = task.get_coro()
    while awaited is not None:
        frame = getattr(awaited, "cr_frame", None) or getattr(awaited, "ag_frame", None)
        if frame is None:
            break
        place = f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}"
        awaited = getattr(awaited, "cr_await", None) or getattr(awaited, "ag_await", None)
    return f"{task.get_name()}: {place}"


def run(
    main: Coroutine[Any, Any, T], *, start: datetime = EPOCH, seed: int = 0, limit_seconds: float = WEEK_SECONDS
) -> T:
    """Run a coroutine to its end in virtual time; raises `Deadlock` or `Overrun`."""
    loop = VirtualTimeLoop(start, seed, limit_seconds)
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(main)


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Makes a test out of a coroutine function: `@in_virtual_time async def test_a_day_passes() -> None: ...`"""

    @functools.wraps(test)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        run(test(*args, **kwargs))

    return wrapper
