"""Decision: everything that was found out about one pod: who refused which node and why, the scores, the winner.

It is a value: the conditions, the events, `wherry why` and the tests all read it; nothing is computed twice to explain.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from scheduler.columns import FloatArray, IntArray, Mask

NO_NODES = "no nodes available to schedule pods"


@dataclass(frozen=True, eq=False)
class Refusal:
    """The nodes that one plugin keeps a pod off for one reason; with numbers if they lack something."""

    plugin: str
    reason: str
    nodes: Mask
    wanted: int = 0
    free: IntArray | None = None
    is_about_pod: bool = False
    may_yield: Mask | None = None
    detail: str = ""

    @property
    def resource(self) -> str:
        """What the nodes lack, if the refusal has numbers."""
        return "" if self.free is None else self.reason.rpartition(" ")[2]


@dataclass(frozen=True, eq=False)
class PluginScores:
    """What one plugin thinks of the nodes, 0 to 100; meaningless where the pod cannot go."""

    plugin: str
    weight: int
    values: FloatArray


@dataclass(frozen=True, eq=False)
class Decision:
    """The outcome of one cycle. `winner` and `runner_up` are empty where there is none."""

    pod: str
    nodes: tuple[str, ...]
    feasible: Mask
    refusals: tuple[Refusal, ...] = ()
    scores: tuple[PluginScores, ...] = ()
    winner: str = ""
    runner_up: str = ""
    # Why nobody makes way for pods of a priority: found once for all pods that look alike, and share this.
    hopeless: dict[int, str] = field(default_factory=dict)

    @cached_property
    def counted(self) -> tuple[Refusal, ...]:
        """The refusals, each node only under the first plugin that refuses it, and there under every reason."""
        of_the_pod = [refusal for refusal in self.refusals if refusal.is_about_pod]
        return tuple(of_the_pod[:1] or _counted(self.refusals, len(self.nodes)))

    @property
    def rejected_by(self) -> frozenset[str]:
        """The plugins that stand between this pod and a node: if none of them changes its mind, nothing changes."""
        return frozenset(refusal.plugin for refusal in self.counted)

    @cached_property
    def totals(self) -> FloatArray:
        """The weighted sum of the scores."""
        total = np.zeros(len(self.nodes))
        for scores in self.scores:
            total += scores.weight * scores.values
        return total

    @cached_property
    def message(self) -> str:
        """Why there is no winner, in the words `kubectl describe pod` is known for; empty if there is one."""
        if self.winner:
            return ""
        if not self.nodes:
            return NO_NODES
        if any(refusal.is_about_pod for refusal in self.counted):
            return f"0/{len(self.nodes)} nodes are available: {self.counted[0].reason}."
        histogram: Counter[str] = Counter()
        for refusal in self.counted:
            histogram[refusal.reason] += int(np.count_nonzero(refusal.nodes))
        reasons = sorted(f"{count} {reason}" for reason, count in histogram.items())
        return f"0/{len(self.nodes)} nodes are available: {', '.join(reasons)}."


def _counted(refusals: tuple[Refusal, ...], size: int) -> Iterator[Refusal]:
    earlier: Mask = np.zeros(size, dtype=np.bool_)
    current, plugin = earlier, ""
    for refusal in refusals:
        if refusal.plugin != plugin:
            earlier, plugin = current, refusal.plugin
        nodes = refusal.nodes & ~earlier
        current = current | nodes
        if nodes.any():
            yield replace(refusal, nodes=nodes)
