"""Answers: the plan's answers that are worth keeping, one for all pods that look alike. Kubernetes: KEP-5598, batching."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from scheduler.framework import Plugin
from scheduler.plan import Answer
from scheduler.pod_view import PodView
from scheduler.snapshot import Mark, Snapshot

# How many kinds of pods are scheduled at the same time, at most; each costs some 0.5 kB per node with a few reasons to refuse.
MOST_KEPT = 32


class Answers:
    """For any pod, the answer as of now."""

    def __init__(self, snapshot: Snapshot, plugins: Sequence[Plugin], seed: int = 0) -> None:
        self._snapshot = snapshot
        self._plugins = plugins
        self._seed = seed
        self._reads = tuple(sorted({path for plugin in plugins for path in plugin.reads}))
        self._kept: OrderedDict[bytes, tuple[Mark, Answer]] = OrderedDict()

    def to(self, pod: PodView) -> Answer:
        """The answer for this pod on the nodes as they are now; good until the snapshot changes."""
        signature = pod.signature(self._reads)
        mark, answer = self._kept.pop(signature, (None, None))
        rows = self._snapshot.rows_changed_since(mark) if mark else None
        if answer is None or rows is None:
            self._seed += 1
            answer = Answer(pod, self._snapshot.columns, self._plugins, self._seed)
        else:
            answer.refresh(rows)
        self._kept[signature] = (self._snapshot.mark, answer)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return answer
