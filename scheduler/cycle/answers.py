"""Answers: the plan's answers that are worth keeping, one for all pods that look alike. Kubernetes: KEP-5598."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence

from scheduler.cycle.panel import Panel
from scheduler.cycle.pinned import choice_of_one
from scheduler.cycle.plan import Answer, Choice
from scheduler.cycle.surroundings import WideAnswer
from scheduler.framework import Plugin
from scheduler.pods import Group, PodView
from scheduler.snapshot import Mark, RowChange, Snapshot

# How many kinds of pods are scheduled at the same time, at most; each costs some 0.2 kB per node.
MOST_KEPT = 32

# What a pod's signature is, its group where that matters, and the names of the plugins for which it does.
_Key = tuple[bytes, Group | None, tuple[str, ...]]


class Answers:
    """For any pod, the answer as of now. `seed` decides between nodes that are equally good."""

    def __init__(self, snapshot: Snapshot, plugins: Sequence[Plugin], seed: int = 0) -> None:
        self._snapshot, self.panel, self._seed = snapshot, Panel(plugins), seed
        self._kept: OrderedDict[_Key, tuple[Mark, Answer | WideAnswer]] = OrderedDict()

    def looking_around(self, pod: PodView) -> list[Plugin]:
        """The plugins whose answer for this pod about one node follows from others too."""
        return self.panel.looking_around(pod, self._snapshot.columns)

    def on_named_node(self, pod: PodView) -> Choice | None:
        """The node that the pod names, if it names one and fits there. It costs as much whatever the cluster's size."""
        return choice_of_one(pod, self._snapshot.columns, self.panel)

    def to(self, pod: PodView) -> Answer | WideAnswer:
        """The answer for this pod on the nodes as they are now; good until the snapshot changes."""
        looking = self.looking_around(pod)
        signature = pod.signature(self.panel.reads)
        # Who looks around goes by the pod's labels as well; and who does, changes with what is placed.
        key = (signature, pod.group if looking else None, tuple(plugin.name for plugin in looking))
        mark, answer = self._kept.pop(key, (None, None))
        changes = self._snapshot.changes_since(mark) if mark else None
        if answer is None or changes is None:
            self._seed += 1
            answer = self._asked_anew(pod, looking)
        elif changes:
            self._catch_up(answer, signature, changes)
        self._kept[key] = (self._snapshot.mark, answer)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return answer

    def _asked_anew(self, pod: PodView, looking: list[Plugin]) -> Answer | WideAnswer:
        nodes = self._snapshot.columns
        if looking:
            return WideAnswer(pod, nodes, self.panel, looking, self._seed)
        return Answer(pod, nodes, self.panel, self._seed)

    def _catch_up(self, answer: Answer | WideAnswer, signature: bytes, changes: Sequence[RowChange]) -> None:
        given: Counter[int] = Counter()
        changed: set[int] = set()
        for row, placed in changes:
            if placed is not None and placed.signature(self.panel.reads) == signature:
                given[row] += 1
            else:
                changed.add(row)
        if changed:
            answer.refresh(changed)
        only_given = {row: more for row, more in given.items() if row not in changed}
        if only_given:
            answer.advance(only_given)
