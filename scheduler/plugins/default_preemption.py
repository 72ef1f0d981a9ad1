"""Let less important pods make way for one that fits nowhere. Kubernetes: DefaultPreemption.

How it is done stands in `scheduler/preemption/`: it takes more than columns. A profile without this plugin evicts
nobody.
"""

from __future__ import annotations

from typing import ClassVar, Self

from pydantic import Field, model_validator

from scheduler.framework import Plugin, PluginArgs


class DefaultPreemptionArgs(PluginArgs):
    """How many nodes are candidates at most: a part of all, but no fewer than so many."""

    min_candidate_nodes_percentage: int = Field(default=10, ge=0, le=100)
    min_candidate_nodes_absolute: int = Field(default=100, ge=0)

    @model_validator(mode="after")
    def _tries_some(self) -> Self:
        if not self.min_candidate_nodes_percentage and not self.min_candidate_nodes_absolute:
            raise ValueError("minCandidateNodesPercentage cannot be zero at the same time as minCandidateNodesAbsolute")
        return self


class DefaultPreemption(Plugin):
    """Have pods of lower priority evicted where that makes room for a pod that found none."""

    order = 2000
    reads: ClassVar[tuple[str, ...]] = ()
    evicts = True
    Args = DefaultPreemptionArgs
