"""A priority level: who of it runs, and who waits in which queue.

Every flow is dealt a small hand of the level's queues and waits in the shortest of them; queues take turns. So a flow
that sends without end fills its own hand, and two flows rarely have the same one. Among those whose turn it is, the
flow with the fewest requests under way goes first, and one that has none need not wait behind the others.

Kubernetes: util/flowcontrol/fairqueuing. Differs: queues take turns request by request, and every request is one seat.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter, deque
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

from apiserver.tracing.trace import part
from wherry.api.flowcontrol.priority_level_configuration import (
    PriorityLevelConfiguration,
    PriorityLevelConfigurationSpec,
)
from wherry.machinery.errors import TooManyRequests

# How long a request may wait for its turn. Kubernetes: a quarter of the request's time limit.
WAIT_SECONDS = 15.0
RETRY_SECONDS = 1


def too_many() -> TooManyRequests:
    """The answer to a request beyond what its level may have."""
    details = {"retryAfterSeconds": RETRY_SECONDS}
    return TooManyRequests("Too many requests, please try again later.", details)


def flow_named(schema: str, part: str) -> str:
    """A flow: one part of the requests of a flow schema."""
    return f"{schema}\0{part}"


def schema_of(flow: str) -> str:
    """The name of the schema that a flow is of."""
    return flow.partition("\0")[0]


class _Waiting(NamedTuple):
    flow: str
    turn: asyncio.Future[None]


class Level:
    """One priority level. `may_start` is asked before a request begins, and told whether it is the flow's only one."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.uid = ""
        self.is_limited = False
        self.nominal = self.lendable = 0
        self.limit: int | None = None  # of seats in use, borrowed ones included; None is no limit
        self.executing = 0
        self.waiting = 0
        self.dispatched: Counter[str] = Counter()  # by flow schema
        self.rejected: Counter[tuple[str, str]] = Counter()  # by flow schema and reason
        self._count = self._hand_size = self._queue_length = 0
        self._queues: list[deque[_Waiting]] = []
        self._turns: deque[int] = deque()  # the queues in which somebody waits, in the order of their turns
        self._running: Counter[str] = Counter()  # by flow

    def configure(self, level: PriorityLevelConfiguration, nominal: int) -> None:
        """Take on what the object says; who runs and who waits stays."""
        spec: PriorityLevelConfigurationSpec = level.spec
        self.uid, self.is_limited = level.metadata.uid, spec.limited is not None
        settings = spec.limited or spec.exempt
        self.nominal = nominal
        self.lendable = nominal * ((settings.lendable_percent or 0) if settings else 0) // 100
        borrowing = spec.limited.borrowing_limit_percent if spec.limited else None
        self.limit = None if borrowing is None else nominal + nominal * borrowing // 100
        queuing = spec.limited.limit_response.queuing if spec.limited else None
        self._hand_size = queuing.hand_size if queuing else 0
        self._queue_length = queuing.queue_length_limit if queuing else 0
        count = queuing.queues if queuing else 0
        # A queue beyond the new number is served until it is empty, and no longer filled.
        while len(self._queues) < count:
            self._queues.append(deque())
        self._count = count

    async def enter(self, flow: str, may_start: Callable[[Level, bool], bool]) -> None:
        """Begin a request, perhaps after a while; raises TooManyRequests. Whoever has entered must leave."""
        is_only = flow not in self._running
        if (is_only or not self.waiting) and may_start(self, is_only):
            self._begin(flow)
            return
        if not self._count:
            raise self._rejection(flow, "concurrency-limit")
        index = min(_hand(flow, self._count, self._hand_size), key=lambda each: len(self._queues[each]))
        queue = self._queues[index]
        if len(queue) >= self._queue_length:
            raise self._rejection(flow, "queue-full")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = _Waiting(flow, turn)
        queue.append(waiting)
        self.waiting += 1
        if len(queue) == 1:
            self._turns.append(index)
        try:
            with part("seat"):
                await asyncio.wait((turn,), timeout=WAIT_SECONDS)
        except asyncio.CancelledError:
            if turn.done():
                self.leave(flow)  # its turn came as its client went
            else:
                self._forget(index, waiting)
            raise
        if not turn.done():
            self._forget(index, waiting)
            raise self._rejection(flow, "time-out")

    def leave(self, flow: str) -> None:
        """End a request that has begun."""
        self.executing -= 1
        self._running[flow] -= 1
        if not self._running[flow]:
            del self._running[flow]

    def _begin(self, flow: str) -> None:
        self.executing += 1
        self._running[flow] += 1

    def _forget(self, index: int, waiting: _Waiting) -> None:
        queue = self._queues[index]
        if waiting in queue:
            queue.remove(waiting)
            self.waiting -= 1
            if not queue:
                self._turns.remove(index)

    def _rejection(self, flow: str, reason: str) -> TooManyRequests:
        self.rejected[schema_of(flow), reason] += 1
        return too_many()

    def executing_by_schema(self) -> Counter[str]:
        """How many requests run, by the names of their flow schemas."""
        running: Counter[str] = Counter()
        for flow, count in self._running.items():
            running[schema_of(flow)] += count
        return running

    def waiting_by_schema(self) -> Counter[str]:
        """How many requests wait, by the names of their flow schemas."""
        return Counter(schema_of(waiting.flow) for queue in self._queues for waiting in queue)

    def start_next(self, may_start: Callable[[Level, bool], bool]) -> bool:
        """Let the first of the next queue run; False if nobody waits, or whoever is next may not begin."""
        if not self._turns:
            return False
        index = min(self._turns, key=self._running_of)
        queue = self._queues[index]
        if not may_start(self, queue[0].flow not in self._running):
            return False
        flow, turn = queue.popleft()
        self.waiting -= 1
        self._turns.remove(index)
        if queue:
            self._turns.append(index)
        if not turn.done():
            self._begin(flow)
            turn.set_result(None)
        return True

    def _running_of(self, index: int) -> int:
        return self._running[self._queues[index][0].flow]


@lru_cache(maxsize=4096)
def _hand(flow: str, deck: int, size: int) -> tuple[int, ...]:
    """Distinct queues dealt to a flow: always the same ones."""
    value = int.from_bytes(hashlib.blake2b(flow.encode(), digest_size=32).digest())
    cards: list[int] = []
    for dealt in range(min(size, deck)):
        value, card = divmod(value, deck - dealt)
        for earlier in sorted(cards):
            card += card >= earlier
        cards.append(card)
    return tuple(cards)
