"""Panel: the plugins of one profile, asked together about some rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from scheduler.columns import Columns, FloatArray, Mask
from scheduler.framework import Plugin, Verdict
from scheduler.pods import PodView


class Look(NamedTuple):
    """What the plugins say about the rows of a window: verdicts by plugin, where all pass, and the scores as given."""

    verdicts: list[tuple[str, Verdict]]
    feasible: Mask
    scores: dict[str, FloatArray]


class Panel:
    """Filters and scores in their order."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self.filters = [plugin for plugin in plugins if plugin.defines("filter")]
        self.scorers = [plugin for plugin in plugins if plugin.defines("score") and plugin.weight]
        # Scores that compare nodes with each other: when one changes, all may.
        self.comparing = [plugin for plugin in self.scorers if plugin.defines("normalize")]
        self._plain = [plugin for plugin in self.scorers if not plugin.defines("normalize")]
        self.reads = tuple(sorted({path for plugin in plugins for path in plugin.reads}))

    def look(self, pod: PodView, window: Columns) -> Look:
        """Ask every plugin about every row of the window."""
        verdicts = [(plugin.name, verdict) for plugin in self.filters for verdict in plugin.filter(pod, window)]
        feasible: Mask = np.ones(len(window), dtype=np.bool_)
        for _, verdict in verdicts:
            feasible &= verdict.mask
        scores: dict[str, FloatArray] = {}
        for plugin in self.scorers:
            values = plugin.score(pod, window)
            if values is not None:
                scores[plugin.name] = values
        return Look(verdicts, feasible, scores)

    def plain_total(self, look: Look) -> FloatArray:
        """The weighted sum of the scores that stand for themselves."""
        total = np.zeros(len(look.feasible))
        for plugin in self._plain:
            if plugin.name in look.scores:
                total += plugin.weight * look.scores[plugin.name]
        return total

    def compared(self, scores: dict[str, FloatArray], feasible: Mask) -> dict[str, FloatArray]:
        """The comparing scores of all rows after `normalize`; zero where the pod cannot go."""
        normalized: dict[str, FloatArray] = {}
        for plugin in self.comparing:
            if plugin.name in scores:
                values = normalized[plugin.name] = np.zeros(len(feasible))
                values[feasible] = plugin.normalize(scores[plugin.name][feasible])
        return normalized
