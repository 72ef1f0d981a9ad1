"""Queue: the pods that wait for a node, and when each is tried again.

    gated ──► active ──pop──► in flight ──done──► (bound)
                ▲                │
                │                ├─ refused ─────► unschedulable ──(a change that could help, or 5 minutes)──┐
                │                └─ retry_later ─► backing off                                               │
                └───────────────────────────────────── backing off ◄─────────────────────────────────────────┘

Active pods leave by priority, then, where there is fair share, by user, then in the order they became active. A pod
that found no node sleeps until a plugin that refused it names a change as hopeful (`retry_when`), and hints say that it
could help this one; after five minutes it is tried anyway, when nobody else is active. Failed attempts make the pauses
between them longer. Pauses keep pods that fail from the way of others: when nobody is active, a woken pod goes before
its pause is over, a few times in each pause and without making it longer; and with fair share there is no pause after a
change that could help. The pause of a pod that had a node and could not be bound holds always.

Pure: `now` comes from the caller, in seconds of any clock that only goes forward.

Kubernetes: scheduling queue with activeQ, backoffQ (SchedulerPopFromBackoffQ) and unschedulablePods; PrioritySort.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import count
from typing import NamedTuple

from scheduler.hints import Hints
from scheduler.pods import PodView
from scheduler.sharing.turns import Standing, Turn, Turns
from scheduler.triggers import Trigger
from scheduler.waiting import Waiting
from wherry.api.sharing.user import user_of
from wherry.machinery.resource import Resource

FLUSH_SECONDS = 300.0
# So often a pod goes early in each pause; or thousands that fit nowhere would keep a processor busy.
MOST_EARLY_ATTEMPTS = 3


class Pauses(NamedTuple):
    """How long a pod waits after its first failed attempt, and after many, in seconds."""

    first: float = 1.0
    most: float = 10.0


DEFAULT_PAUSES = Pauses()


class State(Enum):
    """Where a pod waits."""

    GATED = auto()
    ACTIVE = auto()
    IN_FLIGHT = auto()
    BACKING_OFF = auto()
    UNSCHEDULABLE = auto()


@dataclass(slots=True)
class _Entry:
    pod: PodView
    state: State = State.GATED
    attempts: int = 0
    # Since the last one that came in its time.
    early_attempts: int = 0
    # When it could be tried for the first time.
    since: float = 0.0
    # Changes whenever the pod moves, so that what is left of it in a heap is known to be stale.
    ticket: int = 0
    backs_off_until: float = 0.0


class Queue:
    """See the module. `triggers` says for each plugin by name which changes could help the pods it refused.

    With `hints`, of such changes those wake a pod that could help this one.
    """

    def __init__(
        self,
        triggers: Mapping[str, Sequence[Trigger]],
        pauses: Pauses = DEFAULT_PAUSES,
        hints: Hints | None = None,
    ) -> None:
        self._pauses = pauses
        self._entries: dict[str, _Entry] = {}
        self._tickets = count(1)
        self._active = Turns()
        # When their pauses end, soonest first: of pods that go early if nobody is active, and of all others.
        self._early: list[tuple[float, int, str]] = []
        self._pausing: list[tuple[float, int, str]] = []
        # When they came, oldest first.
        self._unschedulable: dict[str, float] = {}
        self._waiting = Waiting(triggers, hints)

    def __len__(self) -> int:
        return len(self._entries)

    def states(self) -> Iterator[State]:
        """Where each pod waits."""
        return (entry.state for entry in self._entries.values())

    def tries_of(self, uid: str) -> tuple[int, float]:
        """How often a pod was tried, and since when it could be; zeros if it does not wait."""
        entry = self._entries.get(uid)
        return (entry.attempts, entry.since) if entry is not None else (0, 0.0)

    def state_of(self, uid: str) -> State | None:
        """Where a pod waits, if it does."""
        entry = self._entries.get(uid)
        return entry.state if entry else None

    def add(self, pod: PodView, now: float) -> None:
        """A pod without a node appeared, or changed."""
        entry = self._entries.get(pod.uid)
        if entry is None:
            entry = self._entries[pod.uid] = _Entry(pod, since=now)
            if not pod.spec.scheduling_gates:
                self._activate(entry)
            return
        before, entry.pod = entry.pod, pod
        if entry.state is State.GATED and not pod.spec.scheduling_gates:
            entry.since = now
            self._activate(entry)  # the last gate is gone
        elif entry.state is State.UNSCHEDULABLE and _asks_differently(before, pod):
            self._wake(entry, now)  # what was refused is not what is asked now

    def share_by(self, standing: Standing | None) -> None:
        """From now on pods of equal priority go by how their users stand; None: by when they came."""
        self._active.share_by(standing)

    def remove(self, uid: str) -> None:
        """A pod needs no node any more: it is bound or gone."""
        entry = self._entries.pop(uid, None)
        if entry is not None:
            self._stop_waiting(entry)

    def pop(self, now: float) -> PodView | None:
        """The next pod to try, in flight from here on; None if all wait."""
        self._end_pauses(now)
        entry = self._next_active()
        if entry is not None:
            entry.attempts, entry.early_attempts = entry.attempts + 1, 0
        elif entry := self._next_of(self._early, math.inf):
            entry.early_attempts += 1
        else:
            return None
        entry.state = State.IN_FLIGHT
        return entry.pod

    def take(self, uid: str) -> PodView | None:
        """A pod that is tried together with another, whatever it waits for: in flight from here on; None: it cannot."""
        entry = self._entries.get(uid)
        if entry is None or entry.state in (State.GATED, State.IN_FLIGHT):
            return None
        self._stop_waiting(entry)
        entry.state, entry.ticket = State.IN_FLIGHT, next(self._tickets)
        entry.attempts, entry.early_attempts = entry.attempts + 1, 0
        return entry.pod

    def refused(self, pod: PodView, rejected_by: frozenset[str], now: float) -> None:
        """The pod in flight fits nowhere, and these plugins stand in its way."""
        entry = self._landed(pod)
        if entry is None:
            return
        if not entry.early_attempts:
            entry.backs_off_until = self._pause_end(entry, now)
        entry.state = State.UNSCHEDULABLE
        self._unschedulable[pod.uid] = now
        self._waiting.add(entry.pod, rejected_by)

    def retry_later(self, pod: PodView, now: float) -> None:
        """The pod in flight had a node and could not be bound to it."""
        entry = self._landed(pod)
        if entry is not None:
            entry.pod, entry.backs_off_until = pod, self._pause_end(entry, now)
            self._back_off(entry, self._pausing)

    def wake(self, before: Resource | None, after: Resource | None, now: float) -> None:
        """Something changed: whoever it could help is tried again, when its back-off is over."""
        for uid in self._waiting.helped_by(before, after):
            self._wake(self._entries[uid], now)

    def nudge(self, uid: str, now: float) -> None:
        """It is worth it to try a pod once more that fitted nowhere."""
        entry = self._entries.get(uid)
        if entry is not None and entry.state is State.UNSCHEDULABLE:
            self._wake(entry, now)

    def wake_all(self, now: float) -> None:
        """Rules changed by which pods are refused: all are tried again."""
        for uid in tuple(self._unschedulable):
            self._wake(self._entries[uid], now)

    def next_at(self) -> float | None:
        """When a pause ends, if nothing happens before."""
        pauses = [heap[0][0] for heap in (self._early, self._pausing) if heap]
        oldest = next(iter(self._unschedulable.values()), None)
        if oldest is not None:
            pauses.append(oldest + FLUSH_SECONDS)
        return min(pauses, default=None)

    def _end_pauses(self, now: float) -> None:
        for heap in (self._early, self._pausing):
            while (entry := self._next_of(heap, now)) is not None:
                self._activate(entry)
        while self._unschedulable:
            uid, since = next(iter(self._unschedulable.items()))
            if since + FLUSH_SECONDS > now:
                break
            # Nothing speaks for it: whoever has become active in the meantime goes first.
            entry = self._entries[uid]
            entry.backs_off_until = now + self._pauses.most
            self._wake(entry, now)

    def _next_active(self) -> _Entry | None:
        while (turn := self._active.next()) is not None:
            entry = self._entries.get(turn.uid)
            if entry is not None and entry.ticket == turn.ticket:
                return entry
        return None

    def _next_of(self, heap: list[tuple[float, int, str]], until: float) -> _Entry | None:
        """Whose pause ends next, if it does until then."""
        while heap and heap[0][0] <= until:
            _, ticket, uid = heapq.heappop(heap)
            entry = self._entries.get(uid)
            if entry is not None and entry.ticket == ticket:
                return entry
        return None

    def _landed(self, pod: PodView) -> _Entry | None:
        """The entry of a pod that comes back; None if it was removed in the meantime."""
        entry = self._entries.get(pod.uid)
        return entry if entry is not None and entry.state is State.IN_FLIGHT else None

    def _pause_end(self, entry: _Entry, now: float) -> float:
        doubled = self._pauses.first * 2.0 ** min(entry.attempts - 1, 10)
        return now + min(doubled, self._pauses.most)

    def _wake(self, entry: _Entry, now: float) -> None:
        self._stop_waiting(entry)
        # A pause would let those go first whose turn it is not.
        if entry.backs_off_until > now and not self._active.are_shared:
            self._back_off(entry, self._early if entry.early_attempts < MOST_EARLY_ATTEMPTS else self._pausing)
        else:
            self._activate(entry)

    def _stop_waiting(self, entry: _Entry) -> None:
        uid = entry.pod.uid
        self._unschedulable.pop(uid, None)
        self._waiting.remove(uid)

    def _back_off(self, entry: _Entry, heap: list[tuple[float, int, str]]) -> None:
        entry.state, entry.ticket = State.BACKING_OFF, next(self._tickets)
        heapq.heappush(heap, (entry.backs_off_until, entry.ticket, entry.pod.uid))

    def _activate(self, entry: _Entry) -> None:
        entry.state, entry.ticket = State.ACTIVE, next(self._tickets)
        self._active.add(entry.pod.spec.priority, Turn(entry.ticket, entry.pod.uid, user_of(entry.pod.pod)))


def _asks_differently(before: PodView, after: PodView) -> bool:
    """Whether the pod wants something else, or has been given the claims that are made for it."""
    old, new = before.pod.status.resource_claim_statuses, after.pod.status.resource_claim_statuses
    return before.spec != after.spec or before.metadata.labels != after.metadata.labels or old != new
