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


class PluginMistake(TypeError):
    """A plugin answered with something else than an array of one element per node."""


class Panel:
    """Filters and scores in their order."""

    def __init__(self, plugins: Sequence[Plugin]) -> None:
        self.plugins = plugins
        self._looking_around = [plugin for plugin in plugins if plugin.defines("looks_around")]
        self.filters = [plugin for plugin in plugins if plugin.acts_at("filter")]
        self.scorers = [plugin for plugin in plugins if plugin.acts_at("score") and plugin.weight]
        # Scores that compare nodes with each other: when one changes, all may.
        self.comparing = [plugin for plugin in self.scorers if plugin.defines("normalize")]
        self._plain = [plugin for plugin in self.scorers if not plugin.defines("normalize")]
        self.reads = tuple(sorted({path for plugin in plugins for path in plugin.reads}))

    def looking_around(self, pod: PodView, nodes: Columns) -> list[Plugin]:
        """The plugins whose answer for this pod about one row follows from others too."""
        return [plugin for plugin in self._looking_around if plugin.looks_around(pod, nodes)]

    def split(self, plugins: Sequence[Plugin]) -> tuple[Panel, Panel]:
        """All others, and these."""
        others = Panel([plugin for plugin in self.plugins if plugin not in plugins]) if plugins else self
        return others, Panel(plugins)

    def look(self, pod: PodView, window: Columns, among: Mask | None = None) -> Look:
        """Ask every plugin about every row of the window, of which others let the pod go `among` these."""
        verdicts = [(plugin.name, verdict) for plugin in self.filters for verdict in plugin.filter(pod, window)]
        feasible: Mask = np.ones(len(window), dtype=np.bool_) if among is None else among.copy()
        for name, verdict in verdicts:
            _check(name, "filter", verdict.mask, "booleans", len(window))
            feasible &= verdict.mask
        scores: dict[str, FloatArray] = {}
        window = window.narrowed_to(feasible)
        for plugin in self.scorers:
            values = plugin.score(pod, window)
            if values is not None:
                _check(plugin.name, "score", values, "numbers", len(window))
                scores[plugin.name] = values
        return Look(verdicts, feasible, scores)

    def plain_total(self, look: Look) -> FloatArray:
        """The weighted sum of the scores that stand for themselves."""
        total = np.zeros(len(look.feasible))
        for plugin in self._plain:
            if plugin.name in look.scores:
                total += plugin.weight * look.scores[plugin.name]
        return total

    def compared_total(self, scores: dict[str, FloatArray], feasible: Mask) -> FloatArray:
        """The weighted sum of the scores that compare nodes."""
        total, normalized = np.zeros(len(feasible)), self.compared(scores, feasible)
        for plugin in self.comparing:
            if plugin.name in normalized:
                total += plugin.weight * normalized[plugin.name]
        return total

    def compared(self, scores: dict[str, FloatArray], feasible: Mask) -> dict[str, FloatArray]:
        """The comparing scores of all rows after `normalize`; zero where the pod cannot go."""
        normalized: dict[str, FloatArray] = {}
        for plugin in self.comparing:
            if plugin.name in scores:
                values = normalized[plugin.name] = np.zeros(len(feasible))
                values[feasible] = plugin.normalize(scores[plugin.name][feasible])
        return normalized


# numpy's letters for the kinds of elements.
_KINDS = {"booleans": "b", "numbers": "iuf"}


def _check(plugin: str, method: str, given: object, wanted: str, size: int) -> None:
    """A plugin's author is told what is wrong, not numpy's opinion of it."""
    if isinstance(given, np.ndarray) and given.shape == (size,) and given.dtype.kind in _KINDS[wanted]:
        return
    seen = f"{given.dtype} of shape {given.shape}" if isinstance(given, np.ndarray) else f"a {type(given).__name__}"
    raise PluginMistake(
        f"scheduler plugin {plugin}: {method} gave {seen}; a numpy array of {size} {wanted} is expected, one per node"
    )
