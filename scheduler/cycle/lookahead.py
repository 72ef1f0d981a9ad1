"""Lookahead: what nodes will be worth once they hold more of the same pods.

Placing a pod changes one row, and asking numpy about one row costs nearly as much as asking about a thousand. So rows
are asked about several pods ahead, many rows at a time: a node's next values then wait here until they are needed.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scheduler.columns import Columns, FloatArray
from scheduler.cycle.panel import Look, Panel
from scheduler.pods import PodView

IMPOSSIBLE = -np.inf
# Rows times pods that one look covers, and how far ahead of one row it goes at most.
CELLS = 1024
DEEPEST = 16


class Lookahead:
    """The plain totals that rows will have with one pod more, two more, and so on; IMPOSSIBLE where it does not fit."""

    def __init__(self, pod: PodView, nodes: Columns, panel: Panel) -> None:
        self._pod, self._nodes, self._panel = pod, nodes, panel
        self._values: dict[int, list[float]] = {}
        self._unknown = set(range(len(nodes)))
        # Placing a pod changes a score that compares nodes: no row can be told without all others.
        self._is_in_vain = False

    def forget(self, row: int) -> None:
        """The row changed in another way."""
        self._values.pop(row, None)
        self._unknown.add(row)

    def after(self, given: Mapping[int, int]) -> dict[int, float] | None:
        """The values of rows given so many pods more (the snapshot shows them already); None: they must be asked."""
        told: dict[int, float] = {}
        for row, more in given.items():
            values = self._values.get(row)
            if values is None or len(values) < more:
                continue
            told[row] = values[-more]
            del values[-more:]
            if not values:
                self._unknown.add(row)
        if len(told) < len(given):
            rows = given.keys() - told.keys()
            self._unknown |= rows
            now = self._look()
            if now is None:
                return None
            told |= {row: now[row] for row in rows}
        return told

    def _look(self) -> dict[int, float] | None:
        if self._is_in_vain:
            return None
        unknown = np.fromiter(self._unknown, dtype=np.int64, count=len(self._unknown))
        depth = max(2, min(DEEPEST, CELLS // len(unknown)))
        copies = np.tile(np.arange(depth, dtype=np.int64), len(unknown))
        look = self._panel.look(self._pod, self._nodes.with_more(np.repeat(unknown, depth), self._pod, copies))
        if self._compares_differently(look, depth):
            self._is_in_vain = True
            return None
        totals: FloatArray = np.where(look.feasible, self._panel.plain_total(look), IMPOSSIBLE).reshape(-1, depth)
        # Backwards, so that the next value stands at the end; the first is the row as it is.
        numbers = unknown.tolist()
        self._values.update(zip(numbers, totals[:, :0:-1].tolist(), strict=True))
        self._unknown.clear()
        return dict(zip(numbers, totals[:, 0].tolist(), strict=True))

    def _compares_differently(self, look: Look, depth: int) -> bool:
        compared = (look.scores[plugin.name] for plugin in self._panel.comparing if plugin.name in look.scores)
        by_row = (scores.reshape(-1, depth) for scores in compared)
        return any(bool((scores != scores[:, :1]).any()) for scores in by_row)
