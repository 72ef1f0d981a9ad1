"""Work on huge objects, beside the event loop: in one thread, one piece after the other.

Reading, checking and comparing a body of megabytes takes seconds. The loop shares the interpreter with the thread and
has it back within a millisecond, so that everybody else is served meanwhile; only while a body is read, which is a
single step, it has not: twenty milliseconds for 3 MiB. What is short is done at once: a thread would cost more than it
is worth.

Whoever began first goes on first. So few huge objects are half done, and in memory, at a time; one that waits for
something else, such as a webhook, keeps nobody.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import ContextVar
from functools import cache, partial
from queue import PriorityQueue
from typing import Any, ParamSpec, TypeVar

from apiserver.tracing.trace import part

P = ParamSpec("P")
T = TypeVar("T")

# An object that weighs this much takes tens of milliseconds at worst.
HUGE_BYTES = 64 * 1024
# A value takes as long as this many bytes of text, however little is written for it.
VALUE_BYTES = 32
# How soon the other side has the interpreter while there are huge objects. A busy loop lets go of it in each turn and
# mostly takes it right again, and whoever waits counts anew: with Python's own 5 ms the thread would hardly get a turn.
SWITCH_SECONDS = 0.0005
_USUAL_SECONDS = sys.getswitchinterval()

_Job = tuple[int, int, Future[Any], Callable[[], Any]]
_waiting: PriorityQueue[_Job] = PriorityQueue()
_numbers = itertools.count()
_under_way: set[int] = set()  # the numbers of the work that somebody waits for
_begun: ContextVar[int] = ContextVar("begun")  # which request, in the order they came here


def weight_of(body: bytes) -> int:
    """How much work a body is, in bytes of text.

    >>> weight_of(b'{"data": {"a": "some text"}}'), weight_of(b"[" + b"{}," * 1000 + b"{}]")
    (64, 64064)
    """
    return max(len(body), VALUE_BYTES * marks_in(body))


def marks_in(body: bytes) -> int:
    """How many values there are at most, in JSON that is not read yet."""
    return body.count(b",") + body.count(b"[") + body.count(b"{")


async def aside(weight: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `work` returns or raises. It may change nothing that is shared with other requests."""
    if weight < HUGE_BYTES:
        return work(*args, **kwargs)
    order, number = _begun.get(-1), next(_numbers)
    if order < 0:
        order = number
        _begun.set(order)
    done: Future[T] = Future()
    _waiting.put((order, number, done, partial(work, *args, **kwargs)))
    _under_way.add(number)
    sys.setswitchinterval(SWITCH_SECONDS)
    # One call for each piece of work, also for one that nobody waits for any more: it may do what another waits for.
    _thread().submit(_do_the_first)
    try:
        with part("work on a huge object"):
            return await asyncio.wrap_future(done)
    finally:
        _under_way.remove(number)
        if not _under_way:
            sys.setswitchinterval(_USUAL_SECONDS)
        del done  # an error knows this frame: together they would be garbage that is found late


def _do_the_first() -> None:
    _, _, done, work = _waiting.get()
    if not done.set_running_or_notify_cancel():
        return  # its client has left
    try:
        done.set_result(work())
    except BaseException as error:
        done.set_exception(error)
    finally:
        del done, work  # as above


@cache
def _thread() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, thread_name_prefix="aside")
