"""Surroundings: answers for pods whose place depends on what other nodes hold, too.

Most plugins say the same of a row until that row changes, and `Answer` asks those no more than it must. Those that
look around are asked about all rows whenever any row changed, unless they keep their score; theirs is laid over the
others' answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import reduce

import numpy as np

from scheduler.columns import Columns, FloatArray
from scheduler.cycle.decision import Decision
from scheduler.cycle.panel import Panel
from scheduler.cycle.plan import Answer, Choice
from scheduler.framework import KeptScore, Plugin
from scheduler.pods import PodView


class WideAnswer:
    """As `Answer`, of a panel some of whose plugins are `looking` around for this pod; the others' is laid under it."""

    _near: Answer

    def __init__(self, pod: PodView, nodes: Columns, panel: Panel, looking: Sequence[Plugin]) -> None:
        self._pod, self._nodes, self._panel = pod, nodes, panel
        self._looking, self._around = looking, Panel(looking)
        # Rows on which something happened that the kept scores do not know of.
        self._moved: set[int] = set()
        self._kept: list[tuple[Plugin, KeptScore]] | None = None
        self._kept_for = (-1, -1, -1)
        self._choice: Choice | None = None
        self._is_current = False
        self._whole: Answer | None = None

    def follow(self, rows: Iterable[int]) -> None:
        """Take note that rows changed."""
        self._moved.update(rows)
        self._is_current, self._whole = False, None

    def over(self, near: Answer) -> WideAnswer:
        """The same, laid over what the other plugins say now."""
        self._near = near
        return self

    def best(self) -> Choice | None:
        """The best node now; None if the pod fits nowhere."""
        if not self._is_current:
            drawn = self._drawn()
            self._choice = self._best_by_look() if drawn is None else self._near.best_plus(drawn)
            self._is_current = True
        return self._choice

    def _best_by_look(self) -> Choice | None:
        look = self._around.look(self._pod, self._nodes, self._near.feasible)
        return self._near.best_with(look, self._panel)

    def _drawn(self) -> FloatArray | None:
        """What kept scores add for each row; None if not all who look around have one."""
        now = (self._near.seed, self._near.version, self._nodes.described)
        if self._kept_for != now:
            self._kept_for, self._kept = now, self._asked()
        elif self._kept is not None:
            for _, score in self._kept:
                score.follow(self._moved)
        self._moved.clear()
        if self._kept is None:
            return None
        scorers = [(plugin, score) for plugin, score in self._kept if plugin in self._around.scorers]
        drawn = [self._near.weighted(plugin, score.scores()) for plugin, score in scorers]
        return reduce(np.add, drawn) if drawn else np.zeros(len(self._nodes))

    def _asked(self) -> list[tuple[Plugin, KeptScore]] | None:
        window = self._nodes.narrowed_to(self._near.feasible)
        kept = [(plugin, plugin.kept_score(self._pod, window)) for plugin in self._looking]
        found = [(plugin, score) for plugin, score in kept if score is not None]
        return found if len(found) == len(kept) else None

    def decision(self, pod: PodView) -> Decision:
        """Everything that is known now, as a value, for `pod`: the one asked about, or one that looks alike."""
        if self._whole is None:
            self._whole = Answer(self._pod, self._nodes, self._panel, self._near.seed)
        return self._whole.decision(pod)
