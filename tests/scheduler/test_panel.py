"""Plugins of users may be wrong; then they are told what was expected."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from scheduling import a_node, a_view

from scheduler.columns import Columns
from scheduler.cycle.panel import Panel, PluginMistake
from scheduler.framework import Plugin, Verdict
from scheduler.pods import PodView
from scheduler.snapshot import Snapshot


@pytest.fixture
def columns() -> Columns:
    snapshot = Snapshot()
    for name in ("a", "b", "c"):
        snapshot.set_node(a_node(name))
    return snapshot.columns


class Answering(Plugin):
    """Says whatever the test wants."""

    mask: Any = None
    values: Any = None

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        yield Verdict(self.mask, "a reason")

    def score(self, pod: PodView, nodes: Columns) -> Any:
        return self.values


def answering(mask: Any, values: Any = None) -> Panel:
    plugin = Answering()
    plugin.mask, plugin.values = mask, values
    return Panel([plugin])


@pytest.mark.parametrize(
    ("mask", "seen"),
    [
        (True, "a bool"),
        ([True, False, True], "a list"),
        (np.ones(2, dtype=np.bool_), "bool of shape (2,)"),
        (np.ones(3), "float64 of shape (3,)"),
    ],
)
def test_a_filter_that_gives_no_mask_of_all_nodes_is_named(columns: Columns, mask: Any, seen: str):
    with pytest.raises(PluginMistake) as mistake:
        answering(mask).look(a_view(), columns)

    assert str(mistake.value) == (
        f"scheduler plugin Answering: filter gave {seen}; a numpy array of 3 booleans is expected, one per node"
    )


def test_a_score_that_is_no_number_for_each_node_is_named(columns: Columns):
    with pytest.raises(PluginMistake, match=r"Answering: score gave float64 of shape .1,.; a numpy array of 3 numbers"):
        answering(np.ones(3, dtype=np.bool_), np.ones(1)).look(a_view(), columns)


def test_whole_numbers_are_scores_too(columns: Columns):
    look = answering(np.ones(3, dtype=np.bool_), np.arange(3)).look(a_view(), columns)

    assert look.scores["Answering"].tolist() == [0, 1, 2]
