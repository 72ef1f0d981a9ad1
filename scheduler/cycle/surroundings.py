"""Surroundings: answers for pods whose place depends on what other nodes hold, too.

Most plugins say the same of a row until that row changes, and `Answer` asks those no more than it must. Those that
look around are asked about all rows whenever any row changed; theirs is laid over the others' answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from scheduler.columns import Columns
from scheduler.cycle.decision import Decision
from scheduler.cycle.panel import Panel
from scheduler.cycle.plan import Answer, Choice
from scheduler.framework import Plugin
from scheduler.pods import PodView


class WideAnswer:
    """As `Answer`, of a panel some of whose plugins are `looking` around for this pod."""

    def __init__(self, pod: PodView, nodes: Columns, panel: Panel, looking: Sequence[Plugin], seed: int = 0) -> None:
        self._pod, self._nodes, self._panel, self._seed = pod, nodes, panel, seed
        self._near = Answer(pod, nodes, panel.without(looking), seed)
        self._around = Panel(looking)
        self._choice: Choice | None = None
        self._is_current = False
        self._whole: Answer | None = None

    def refresh(self, rows: set[int]) -> None:
        """Ask again about the rows that changed."""
        self._near.refresh(rows)
        self._is_current, self._whole = False, None

    def advance(self, given: Mapping[int, int]) -> None:
        """Take note that rows were given so many pods more like this one, and nothing else happened to them."""
        self._near.advance(given)
        self._is_current, self._whole = False, None

    def best(self) -> Choice | None:
        """The best node now; None if the pod fits nowhere."""
        if not self._is_current:
            look = self._around.look(self._pod, self._nodes, self._near.feasible)
            self._choice = self._near.best_with(look, self._panel)
            self._is_current = True
        return self._choice

    def decision(self, pod: PodView) -> Decision:
        """Everything that is known now, as a value, for `pod`: the one asked about, or one that looks alike."""
        if self._whole is None:
            self._whole = Answer(self._pod, self._nodes, self._panel, self._seed)
        return self._whole.decision(pod)
