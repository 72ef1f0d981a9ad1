"""Answers: the plan's answers that are worth keeping, one for all pods that look alike. Kubernetes: KEP-5598.

Of pods that look around the plugins that do not are asked once for all of them, whosever like they are.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from scheduler.cycle.panel import Panel
from scheduler.cycle.pinned import choice_of_one
from scheduler.cycle.plan import Answer, Choice
from scheduler.cycle.surroundings import WideAnswer
from scheduler.framework import Plugin
from scheduler.pods import Group, PodView
from scheduler.snapshot import Mark, RowChange, Snapshot

# How many kinds of pods are scheduled at the same time, at most; each costs some 0.2 kB per node.
MOST_KEPT = 32

# What a pod's signature is to the plugins that do not look around for it, and the names of those that do.
_Key = tuple[bytes, tuple[str, ...]]
# The same, the signature to those that do, and the pod's group.
_WideKey = tuple[_Key, bytes, Group]
K = TypeVar("K", bound=Hashable)
A = TypeVar("A", Answer, WideAnswer)


class Answers:
    """For any pod, the answer as of now. `seed` decides between nodes that are equally good."""

    def __init__(self, snapshot: Snapshot, plugins: Sequence[Plugin], seed: int = 0) -> None:
        self._snapshot, self.panel, self._seed = snapshot, Panel(plugins), seed
        self._parts: dict[tuple[str, ...], tuple[Panel, Panel]] = {}
        self._near: _Kept[_Key, Answer] = _Kept()
        self._wide: _Kept[_WideKey, WideAnswer] = _Kept()
        self._last: PodView | None = None

    def looking_around(self, pod: PodView) -> list[Plugin]:
        """The plugins whose answer for this pod about one node follows from others too."""
        return self.panel.looking_around(pod, self._snapshot.columns)

    def on_named_node(self, pod: PodView) -> Choice | None:
        """The node that the pod names, if it names one and fits there. It costs as much whatever the cluster's size."""
        return choice_of_one(pod, self._snapshot.columns, self.panel)

    def to(self, pod: PodView) -> Answer | WideAnswer:
        """The answer for this pod on the nodes as they are now; good until the snapshot changes."""
        looking = self.looking_around(pod)
        names = tuple(plugin.name for plugin in looking) if looking else ()
        if names not in self._parts:
            self._parts[names] = self.panel.split(looking)
        others, around = self._parts[names]
        key = (pod.signature(others.reads), names)
        near = self._of_others(pod, others, key)
        self._last = pod
        if not looking:
            return near
        # Who looks around goes by the pod's labels as well; and who does, changes with what is placed.
        wide_key = (key, pod.signature(around.reads), pod.group)
        return self._of_all(pod, looking, wide_key).over(near)

    def prepare(self, *, explains: bool) -> None:
        """Work out, and explain, what the next pod will be told that looks like the last one; once after each."""
        pod, self._last = self._last, None
        if pod is not None:
            answer = self.to(pod)
            if explains:
                answer.decision(pod)
            self._last = None

    def _of_others(self, pod: PodView, panel: Panel, key: _Key) -> Answer:
        mark, answer = self._near.take(key)
        changes = self._snapshot.changes_since(mark) if mark else None
        if answer is None or changes is None:
            self._seed += 1
            answer = Answer(pod, self._snapshot.columns, panel, self._seed)
        elif changes:
            answer.stand_for(pod)
            _catch_up(answer, panel, key[0], changes)
        self._near.keep(key, self._snapshot.mark, answer)
        return answer

    def _of_all(self, pod: PodView, looking: list[Plugin], key: _WideKey) -> WideAnswer:
        mark, answer = self._wide.take(key)
        changes = self._snapshot.changes_since(mark) if mark else None
        if answer is None or changes is None:
            answer = WideAnswer(pod, self._snapshot.columns, self.panel, looking)
        elif changes:
            answer.follow(change.row for change in changes)
        self._wide.keep(key, self._snapshot.mark, answer)
        return answer


class _Kept(Generic[K, A]):
    """The answers last asked for, each with how much of what happened it knows."""

    def __init__(self) -> None:
        self._kept: OrderedDict[K, tuple[Mark, A]] = OrderedDict()

    def take(self, key: K) -> tuple[Mark, A] | tuple[None, None]:
        """Take one out, if it is there."""
        return self._kept.pop(key, (None, None))

    def keep(self, key: K, mark: Mark, answer: A) -> None:
        """Put one in; the one that was not asked for longest may have to go."""
        self._kept[key] = (mark, answer)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)


def _catch_up(answer: Answer, panel: Panel, signature: bytes, changes: Sequence[RowChange]) -> None:
    if len(changes) == 1 and _is_like(changes[0].placed, panel, signature):
        answer.advance({changes[0].row: 1})
        return
    given: Counter[int] = Counter()
    changed: set[int] = set()
    for row, placed in changes:
        if _is_like(placed, panel, signature):
            given[row] += 1
        else:
            changed.add(row)
    if changed:
        answer.refresh(changed)
    only_given = {row: more for row, more in given.items() if row not in changed}
    if only_given:
        answer.advance(only_given)


def _is_like(placed: PodView | None, panel: Panel, signature: bytes) -> bool:
    return placed is not None and placed.signature(panel.reads) == signature
