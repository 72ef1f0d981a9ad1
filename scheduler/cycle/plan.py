"""One cycle of the scheduler: which node for this pod?

    decision = plan(pod, snapshot.columns, plugins)
    decision.winner, decision.message

`plan` is a pure function. `Answer` is the same, kept: the answer for all pods that look alike, brought up to date by
asking the plugins again only about the rows that changed, or ahead of time (`lookahead.py`). A Deployment of a thousand
pods costs a few evaluations, not a thousand.

Kubernetes: schedulingAlgorithm.SchedulePod. Differs: all nodes are looked at (no percentageOfNodesToScore), scores are
not rounded, and ties are broken by the caller's seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from scheduler.columns import ALL_ROWS, Columns, FloatArray, IntArray, Mask, Rows
from scheduler.cycle.decision import Decision, PluginScores, Refusal
from scheduler.cycle.lookahead import IMPOSSIBLE, Lookahead
from scheduler.cycle.panel import Look, Panel
from scheduler.framework import Plugin, Verdict
from scheduler.pods import PodView

# Scores nearer than this count as equal, and the seed decides.
TIE = 1e-6


class Choice(NamedTuple):
    """A node for the pod, and the next best one (empty if there is none), with their scores."""

    node: str
    score: float
    runner_up: str
    runner_up_score: float


def plan(pod: PodView, nodes: Columns, plugins: Sequence[Plugin], seed: int = 0) -> Decision:
    """Filter and score all nodes for one pod."""
    return Answer(pod, nodes, Panel(plugins), seed).decision(pod)


class _Refused:
    """Where one plugin refuses for one reason, row by row."""

    __slots__ = ("detail", "free", "is_about_pod", "may_yield", "rows", "wanted")

    def __init__(self, size: int, verdict: Verdict) -> None:
        self.rows: Mask = np.zeros(size, dtype=np.bool_)
        self.may_yield: Mask = np.zeros(size, dtype=np.bool_)
        self.wanted, self.is_about_pod, self.detail = verdict.wanted, verdict.is_about_pod, verdict.detail
        self.free: IntArray | None = None if verdict.free is None else np.zeros(size, dtype=np.int64)

    def note(self, rows: Rows, verdict: Verdict) -> None:
        self.rows[rows] |= ~verdict.mask
        self.may_yield[rows] = verdict.may_yield
        if self.free is not None and verdict.free is not None:
            self.free[rows] = verdict.free

    def told(self, plugin: str, reason: str) -> Refusal:
        """The same as a value."""
        free = None if self.free is None else self.free.copy()
        yields = self.may_yield.copy()
        return Refusal(plugin, reason, self.rows.copy(), self.wanted, free, self.is_about_pod, yields, self.detail)


class Answer:
    """The filters' and scores' answers for one pod, or for many that look alike."""

    def __init__(self, pod: PodView, nodes: Columns, panel: Panel, seed: int = 0) -> None:
        self._pod, self._nodes, self._panel, self.seed = pod, nodes, panel, seed
        # Rises when the pod can go to other nodes than before.
        self.version = 0
        self._everywhere_at, self._is_everywhere = -1, False
        look, size = panel.look(pod, nodes), len(nodes)
        self._ties: FloatArray = np.random.default_rng(seed).random(size) * TIE
        self._scores = {name: np.array(scores, dtype=np.float64) for name, scores in look.scores.items()}
        self._feasible: Mask = look.feasible
        self._plain: FloatArray = np.zeros(size)
        self._compared: FloatArray = np.zeros(size)
        self._totals: FloatArray = np.full(size, IMPOSSIBLE)
        self._refused: dict[tuple[str, str, str], _Refused] = {}
        self._lookahead: Lookahead | None = None
        # Rows whose values came from the lookahead, which keeps no reasons: they are asked before reasons are given.
        self._unexplained: set[int] = set()
        self._decision: Decision | None = None
        self._merge(look, ALL_ROWS)
        self._compare()

    def stand_for(self, pod: PodView) -> None:
        """Answer for this pod from now on: it looks like the one before, but what is around may concern it less."""
        self._pod = pod

    def refresh(self, rows: set[int]) -> None:
        """Ask again about the rows that changed."""
        window = np.fromiter(rows, dtype=np.int64, count=len(rows))
        look = self._panel.look(self._pod, self._nodes.at(window))
        for name in look.scores.keys() - self._scores.keys():
            # A plugin that had nothing to say begins to, for what was placed meanwhile: before, that was zero.
            self._scores[name] = np.zeros(len(self._nodes))
        compared = [plugin.name for plugin in self._panel.comparing if plugin.name in look.scores]
        stays = not any((self._scores[name][window] != look.scores[name]).any() for name in compared)
        if (self._feasible[window] != look.feasible).any():
            self.version, stays = self.version + 1, False
        for name, scores in look.scores.items():
            self._scores[name][window] = scores
        self._feasible[window] = look.feasible
        self._merge(look, window)
        if not stays:
            self._compare()
        self._unexplained -= rows
        if self._lookahead:
            for row in rows:
                self._lookahead.forget(row)

    def advance(self, given: Mapping[int, int]) -> None:
        """Take note that rows were given so many pods more like this one, and nothing else happened to them."""
        if self._lookahead is None:
            self._lookahead = Lookahead(self._pod, self._nodes, self._panel)
        values = self._lookahead.after(given)
        if values is None:
            self.refresh(set(given))
            return
        self._decision = None
        self._unexplained.update(values)
        fills_up = False
        for row, value in values.items():
            self._plain[row] = value + self._ties[row]
            self._totals[row] = self._plain[row] + self._compared[row]
            if value == IMPOSSIBLE and self._feasible[row]:
                self._feasible[row] = False
                fills_up = True
        if fills_up:
            self.version += 1
            self._compare()

    @property
    def feasible(self) -> Mask:
        """Where the pod can go."""
        return self._feasible

    def best(self) -> Choice | None:
        """The best node now; None if the pod fits nowhere."""
        return self._choose(self._totals)

    def best_plus(self, more: FloatArray) -> Choice | None:
        """The best node now, with so much added to the score of each; `more` is used up."""
        more += self._totals
        return self._choose(more)

    def weighted(self, plugin: Plugin, scores: FloatArray) -> FloatArray:
        """What a plugin's scores add, as they compare where the pod can go; zero elsewhere."""
        if self._everywhere_at != self.version:
            self._everywhere_at, self._is_everywhere = self.version, bool(self._feasible.all())
        if self._is_everywhere:
            values = plugin.normalize(scores)
        else:
            values = np.zeros(len(scores))
            values[self._feasible] = plugin.normalize(scores[self._feasible])
        values *= plugin.weight
        return values

    def best_with(self, look: Look, panel: Panel) -> Choice | None:
        """The best node now of those where the look, at all rows, finds the pod can go, by the scores of both."""
        compared = panel.compared_total(self._scores | look.scores, look.feasible)
        plain = self._plain + panel.plain_total(look)
        return self._choose(np.where(look.feasible, plain + compared, IMPOSSIBLE))

    def _choose(self, totals: FloatArray) -> Choice | None:
        names = self._nodes.names
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
        if self._unexplained:
            self.refresh(set(self._unexplained))
        if self._decision is None or self._decision.pod != pod.key:
            self._decision = self._decide(pod)
        return self._decision

    def _decide(self, pod: PodView) -> Decision:
        if self._decision is not None:
            return replace(self._decision, pod=pod.key)
        choice = self.best()
        refusals = (
            refused.told(plugin, reason) for (plugin, reason, _), refused in self._refused.items() if refused.rows.any()
        )
        # A reason may turn up only when a row changes; the message goes by the order of the filters.
        position = {plugin.name: index for index, plugin in enumerate(self._panel.filters)}
        scores = self._scores | self._panel.compared(self._scores, self._feasible)
        return Decision(
            pod=pod.key,
            nodes=self._nodes.names,
            feasible=self._feasible.copy(),
            refusals=tuple(sorted(refusals, key=lambda refusal: position[refusal.plugin])),
            scores=tuple(
                PluginScores(plugin.name, plugin.weight, scores[plugin.name].copy())
                for plugin in self._panel.scorers
                if plugin.name in scores
            ),
            winner=choice.node if choice else "",
            runner_up=choice.runner_up if choice else "",
        )

    def _merge(self, look: Look, rows: Rows) -> None:
        """Take over what was found out about some rows; `feasible` and `scores` are the caller's."""
        self._decision = None
        for refused in self._refused.values():
            refused.rows[rows] = False
        for plugin, verdict in look.verdicts:
            key = (plugin, verdict.reason, verdict.detail)
            if key not in self._refused:
                if verdict.mask.all():
                    continue
                self._refused[key] = _Refused(len(self._feasible), verdict)
            self._refused[key].note(rows, verdict)
        self._plain[rows] = self._panel.plain_total(look) + self._ties[rows]
        self._totals[rows] = np.where(look.feasible, self._plain[rows] + self._compared[rows], IMPOSSIBLE)

    def _compare(self) -> None:
        """Do again the scores that compare nodes with each other: all may change when one does."""
        if not any(plugin.name in self._scores for plugin in self._panel.comparing):
            return
        self._compared = self._panel.compared_total(self._scores, self._feasible)
        self._totals = np.where(self._feasible, self._plain + self._compared, IMPOSSIBLE)
