"""Strategies: what it is worth that a node's resources are used, as a configuration says it.

Kubernetes: the arguments of NodeResourcesFit.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from scheduler.columns import FloatArray
from scheduler.framework import PluginArgs


class WeightedResource(PluginArgs):
    """A resource that counts in a score."""

    name: str
    weight: int = Field(default=1, ge=1, le=100)


class ShapePoint(PluginArgs):
    """At so many percent in use, a node is worth so much, from 0 to 10."""

    utilization: int = Field(ge=0, le=100)
    score: int = Field(ge=0, le=10)


class RatioShape(PluginArgs):
    """A line through points; beyond the first and the last it is level."""

    shape: tuple[ShapePoint, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _rises(self) -> Self:
        along = [point.utilization for point in self.shape]
        if any(after <= before for before, after in pairwise(along)):
            raise ValueError("utilization must rise from point to point")
        return self

    def worth(self, share: FloatArray) -> FloatArray:
        """The line's height over this share in use: 0 to 1."""
        worth: FloatArray = np.interp(share * 100, [p.utilization for p in self.shape], [p.score for p in self.shape])
        return worth / 10


CPU_AND_MEMORY = (WeightedResource(name="cpu"), WeightedResource(name="memory"))


class ScoringStrategy(PluginArgs):
    """LeastAllocated spreads pods over the nodes, MostAllocated packs them; or a shape says what is best."""

    type: Literal["LeastAllocated", "MostAllocated", "RequestedToCapacityRatio"] = "LeastAllocated"
    resources: tuple[WeightedResource, ...] = CPU_AND_MEMORY
    requested_to_capacity_ratio: RatioShape | None = None

    @model_validator(mode="after")
    def _has_a_shape_where_it_needs_one(self) -> Self:
        if (self.type == "RequestedToCapacityRatio") != (self.requested_to_capacity_ratio is not None):
            raise ValueError("requestedToCapacityRatio is to be set with the type of that name, and with no other")
        return self

    def worth(self, share: FloatArray) -> FloatArray:
        """What it is worth that this share of a resource is used: 0 to 1."""
        if self.type == "LeastAllocated":
            return 1.0 - share
        return share if self.requested_to_capacity_ratio is None else self.requested_to_capacity_ratio.worth(share)
