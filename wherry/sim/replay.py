"""Replay: a workload on pretended nodes under one policy of scheduling, from event to event.

    history = replay(nodes, tasks, plugins)

The queue, the columns, the plugins and the choice of victims are the scheduler's own; only time is not real. A victim
begins anew when it gets a node again, and leaves at once. One seed is one run.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import NamedTuple

from scheduler.cycle.answers import Answers
from scheduler.framework import Plugin
from scheduler.pods import PodView
from scheduler.preemption.plan import NEVER, Ground, Preemption, preempt
from scheduler.queue import DEFAULT_PAUSES, Queue
from scheduler.snapshot import Snapshot
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.sim.trace import Task

NEVER_AGAIN = float("inf")


class Stay(NamedTuple):
    """A pod on a node, from an instant to another; `was_evicted` if it had to leave before it was done."""

    pod: PodView
    node: str
    begun_at: float
    ended_at: float
    was_evicted: bool = False


@dataclass
class History:
    """What came of a workload. `pending` are the pods that never got a node."""

    nodes: Sequence[Node]
    tasks: Mapping[str, Task] = field(default_factory=dict)
    stays: list[Stay] = field(default_factory=list)
    pending: list[PodView] = field(default_factory=list)

    @property
    def ended_at(self) -> float:
        """When the last pod was done."""
        return max((stay.ended_at for stay in self.stays), default=0.0)

    @property
    def waits(self) -> list[float]:
        """How long each pod waited for its last node, since it came, in seconds."""
        begun = {stay.pod.uid: stay.begun_at for stay in self.stays}
        return sorted(at - self.tasks[uid].at for uid, at in begun.items())


def replay(nodes: Sequence[Node], tasks: Iterable[Task], plugins: Sequence[Plugin], seed: int = 0) -> History:
    """What comes of the tasks on these nodes."""
    return _Replay(nodes, list(tasks), plugins, seed).run()


class _Event(NamedTuple):
    at: float
    number: int
    uid: str
    # Which stay ends here; 0 if the pod comes.
    stay: int = 0


class _Replay:
    def __init__(self, nodes: Sequence[Node], tasks: list[Task], plugins: Sequence[Plugin], seed: int) -> None:
        self._snapshot = Snapshot()
        for node in nodes:
            self._snapshot.set_node(node)
        self._snapshot.set_namespace("default", {})
        self._answers = Answers(self._snapshot, plugins, seed)
        self._evicts = any(plugin.acts_at("evicts") for plugin in plugins)
        self._queue = Queue({plugin.name: plugin.retry_when for plugin in plugins})
        self._views = {task.pod.metadata.uid: PodView(task.pod) for task in tasks}
        self._history = History(nodes, {task.pod.metadata.uid: task for task in tasks})
        self._numbers = count(1)
        self._events = [_Event(task.at, next(self._numbers), task.pod.metadata.uid) for task in tasks]
        heapq.heapify(self._events)
        # Where pods are, since when, and the number of their stay.
        self._there: dict[str, tuple[str, float, int]] = {}

    def run(self) -> History:
        """From the first event to the last."""
        now = 0.0
        while (now := self._next_at(now)) < NEVER_AGAIN:
            while self._events and self._events[0].at <= now:
                self._happen(heapq.heappop(self._events), now)
            while (pod := self._queue.pop(now)) is not None:
                self._place(pod, now)
        placed = {stay.pod.uid for stay in self._history.stays}
        self._history.pending += [view for uid, view in self._views.items() if uid not in placed]
        return self._history

    def _next_at(self, now: float) -> float:
        pause = self._queue.next_at()
        pause = NEVER_AGAIN if pause is None else pause
        if self._events:
            return min(self._events[0].at, pause)
        # Nothing will change any more, and who does not back off has been refused since the last change.
        return pause if pause <= now + DEFAULT_PAUSES.most else NEVER_AGAIN

    def _happen(self, event: _Event, now: float) -> None:
        if event.stay == 0:
            self._queue.add(self._views[event.uid], now)
        elif self._there.get(event.uid, ("", 0.0, 0))[2] == event.stay:
            self._leave(event.uid, now)

    def _place(self, pod: PodView, now: float) -> None:
        answer = self._answers.to(pod)
        choice = answer.best()
        if choice is not None:
            self._arrive(pod, choice.node, now)
            return
        decision = answer.decision(pod)
        found = Preemption(message=NEVER)
        if self._evicts:
            found = preempt(pod, decision, Ground(self._snapshot, self._answers.panel))
        if not found.node:
            self._queue.refused(pod, decision.rejected_by, now)
            return
        for victim in found.victims:
            self._leave(victim.uid, now, was_evicted=True)
        self._arrive(pod, found.node, now)
        for victim in found.victims:
            self._queue.add(victim, now)

    def _arrive(self, pod: PodView, node: str, now: float) -> None:
        self._snapshot.place(pod, node)
        self._queue.remove(pod.uid)
        number = next(self._numbers)
        self._there[pod.uid] = (node, now, number)
        heapq.heappush(self._events, _Event(now + self._history.tasks[pod.uid].seconds, number, pod.uid, number))
        self._queue.wake(pod.pod, _on(pod.pod, node), now)

    def _leave(self, uid: str, now: float, *, was_evicted: bool = False) -> None:
        node, since, _ = self._there.pop(uid)
        pod = self._views[uid]
        self._snapshot.remove(uid)
        self._history.stays.append(Stay(pod, node, since, now, was_evicted))
        self._queue.wake(_on(pod.pod, node), None, now)


def _on(pod: Pod, node: str) -> Pod:
    return pod.replace(spec=pod.spec.replace(node_name=node))
