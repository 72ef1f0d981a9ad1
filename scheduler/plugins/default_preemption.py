"""Let less important pods make way for one that fits nowhere. Kubernetes: DefaultPreemption.

How it is done stands in `scheduler/preemption/`: it takes more than columns. A profile without this plugin evicts
nobody.
"""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from scheduler.framework import Plugin, PluginArgs


class DefaultPreemptionArgs(PluginArgs):
    """How many nodes are candidates at most: a part of all, but no fewer than so many."""

    min_candidate_nodes_percentage: int = Field(default=10, ge=0, le=100)
    min_candidate_nodes_absolute: int = Field(default=100, ge=1)


class DefaultPreemption(Plugin):
    """Have pods of lower priority evicted where that makes room for a pod that found none."""

    order = 2000
    reads: ClassVar[tuple[str, ...]] = ()
    evicts = True
    Args = DefaultPreemptionArgs
