"""One cycle of the scheduler: which node for this pod?

    decision = plan(pod, snapshot.columns, plugins)
    decision.winner, decision.message

`plan` is a pure function. `Answer` is the same, kept: the answer for all pods that look alike, brought up to date by asking the
plugins again only about the rows that changed. A Deployment of a thousand pods costs one evaluation of all nodes and a thousand
evaluations of one node.

Kubernetes: schedulingAlgorithm.SchedulePod. Differs: all nodes are looked at (no percentageOfNodesToScore), scores are not
rounded, and ties are broken by the caller's seed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scheduler.columns import ALL_ROWS, Columns, FloatArray, IntArray, Mask, Rows
from scheduler.decision import Decision, PluginScores, Refusal
from scheduler.framework import Plugin
from scheduler.pod_view import PodView

# Scores nearer than this count as equal, and the seed decides.
TIE = 1e-6
IMPOSSIBLE = -np.inf


class Choice(NamedTuple):
    """A node for the pod, and the next best one (empty if there is none), with their scores."""

    node: str
    score: float
    runner_up: str
    runner_up_score: float


def plan(pod: PodView, nodes: Columns, plugins: Sequence[Plugin], seed: int = 0) -> Decision:
    """Filter and score all nodes for one pod."""
    return Answer(pod, nodes, plugins, seed).decision(pod)


class _Refused:
    """Where one plugin refuses for one reason, row by row."""

    __slots__ = ("free", "rows", "wanted")

    def __init__(self, size: int) -> None:
        self.rows: Mask = np.zeros(size, dtype=np.bool_)
        self.wanted = 0
        self.free: IntArray | None = None

    def note(self, rows: Rows, mask: Mask, wanted: int, free: IntArray | None) -> None:
        self.rows[rows] |= ~mask
        if free is not None:
            if self.free is None:
                self.wanted, self.free = wanted, np.zeros(len(self.rows), dtype=np.int64)
            self.free[rows] = free


class Answer:
    """The filters' and scores' answers for one pod, or for many that look alike."""

    def __init__(self, pod: PodView, nodes: Columns, plugins: Sequence[Plugin], seed: int = 0) -> None:
        self._pod, self._nodes = pod, nodes
        self._filters = [plugin for plugin in plugins if plugin.defines("filter")]
        self._scorers = [plugin for plugin in plugins if plugin.defines("score")]
        size = len(nodes)
        self._refused: dict[tuple[str, str], _Refused] = {}
        self._feasible: Mask = np.ones(size, dtype=np.bool_)
        self._raw: dict[str, FloatArray] = {}
        self._plain: FloatArray = np.random.default_rng(seed).random(size) * TIE
        self._ties = self._plain.copy()
        self._compared: FloatArray = np.zeros(size)
        self._totals: FloatArray = np.full(size, IMPOSSIBLE)
        self._decision: Decision | None = None
        self._ask(nodes, ALL_ROWS, is_first=True)

    def refresh(self, rows: Sequence[int]) -> None:
        """Ask again about the rows that changed."""
        distinct = set(rows)
        if not distinct:
            return
        window: Rows
        if len(distinct) == 1:
            window = slice(rows[0], rows[0] + 1)
        else:
            window = np.fromiter(distinct, dtype=np.int64, count=len(distinct))
        self._decision = None
        self._ask(self._nodes.at(window), window, is_first=False)

    def best(self) -> Choice | None:
        """The best node now; None if the pod fits nowhere."""
        totals, names = self._totals, self._nodes.names
        if not len(totals):
            return None
        first = int(totals.argmax())
        score = totals.item(first)
        if score == IMPOSSIBLE:
            return None
        totals[first] = IMPOSSIBLE
        second = int(totals.argmax())
        second_score = totals.item(second)
        totals[first] = score
        if second_score == IMPOSSIBLE:
            return Choice(names[first], score, "", 0.0)
        return Choice(names[first], score, names[second], second_score)

    def decision(self, pod: PodView) -> Decision:
        """Everything that is known now, as a value, for `pod`: the one asked about, or one that looks alike."""
        if self._decision is None or self._decision.pod != pod.key:
            self._decision = self._decide(pod)
        return self._decision

    def _decide(self, pod: PodView) -> Decision:
        choice = self.best()
        refusals = (
            Refusal(plugin, reason, refused.rows.copy(), refused.wanted, _copy(refused.free))
            for (plugin, reason), refused in self._refused.items()
            if refused.rows.any()
        )
        # A reason may turn up only when a row changes; the message goes by the order of the filters.
        position = {plugin.name: index for index, plugin in enumerate(self._filters)}
        return Decision(
            pod=pod.key,
            nodes=self._nodes.names,
            feasible=self._feasible.copy(),
            refusals=tuple(sorted(refusals, key=lambda refusal: position[refusal.plugin])),
            scores=tuple(self._scores()),
            winner=choice.node if choice else "",
            runner_up=choice.runner_up if choice else "",
        )

    def _scores(self) -> list[PluginScores]:
        return [
            PluginScores(plugin.name, plugin.weight, self._normalized(plugin).copy())
            for plugin in self._scorers
            if plugin.name in self._raw
        ]

    def _ask(self, window: Columns, rows: Rows, *, is_first: bool) -> None:
        before = self._feasible[rows].copy()
        self._filter(window, rows)
        feasible_changed = is_first or bool((before != self._feasible[rows]).any())
        if is_first or self._feasible[rows].any():
            self._score(window, rows, is_first=is_first, compare=feasible_changed)
        elif feasible_changed:
            self._compare()
        totals = self._plain[rows] + self._compared[rows]
        self._totals[rows] = np.where(self._feasible[rows], totals, IMPOSSIBLE)

    def _filter(self, window: Columns, rows: Rows) -> None:
        size = len(self._feasible)
        feasible: Mask = np.ones(len(window), dtype=np.bool_)
        for refused in self._refused.values():
            refused.rows[rows] = False
        for plugin in self._filters:
            for mask, reason, wanted, free in plugin.filter(self._pod, window):
                key = (plugin.name, reason)
                if key in self._refused or not mask.all():
                    if key not in self._refused:
                        self._refused[key] = _Refused(size)
                    self._refused[key].note(rows, mask, wanted, free)
                    feasible &= mask
        self._feasible[rows] = feasible

    def _score(self, window: Columns, rows: Rows, *, is_first: bool, compare: bool) -> None:
        plain = self._ties[rows].copy()
        for plugin in self._scorers:
            values = plugin.score(self._pod, window)
            if values is None:
                continue
            if is_first:
                self._raw[plugin.name] = np.array(values, dtype=np.float64)
            elif plugin.defines("normalize"):
                compare = compare or bool((self._raw[plugin.name][rows] != values).any())
                self._raw[plugin.name][rows] = values
            else:
                self._raw[plugin.name][rows] = values
            if not plugin.defines("normalize"):
                plain += plugin.weight * values
        self._plain[rows] = plain
        if compare:
            self._compare()

    def _compare(self) -> None:
        """Do again the scores that compare nodes with each other: all may change when one does."""
        comparing = [plugin for plugin in self._scorers if plugin.name in self._raw and plugin.defines("normalize")]
        if not comparing:
            return
        compared = np.zeros(len(self._feasible))
        for plugin in comparing:
            compared += plugin.weight * self._normalized(plugin)
        self._compared = compared
        self._totals = np.where(self._feasible, self._plain + compared, IMPOSSIBLE)

    def _normalized(self, plugin: Plugin) -> FloatArray:
        raw = self._raw[plugin.name]
        if not plugin.defines("normalize"):
            return raw
        normalized = np.zeros(len(raw))
        normalized[self._feasible] = plugin.normalize(raw[self._feasible])
        return normalized


def _copy(array: IntArray | None) -> IntArray | None:
    return None if array is None else array.copy()
