"""Lets others move elsewhere for pods that would fit if the free room were in one place. Kubernetes has no such plugin.

How it is done stands in `scheduler/consolidation/`. Off unless `mostMoves` says how many pods may move at a time.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from scheduler.framework import Plugin, PluginArgs


class ConsolidationArgs(PluginArgs):
    """How many pods may move for one pod, or one gang; 0: nobody."""

    most_moves: int = Field(default=0, ge=0)


class Consolidation(Plugin):
    """Have replaceable pods moved where that makes room for a pod that found none."""

    order = 1990
    reads: ClassVar[tuple[str, ...]] = ()
    moves = True
    Args = ConsolidationArgs
