"""Keep pods off nodes that cannot hold their requests; spread or pack the others. Kubernetes: NodeResourcesFit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

import numpy as np
from pydantic import Field

from scheduler.columns import Columns, FloatArray
from scheduler.columns.spot import Spot
from scheduler.framework import HIGHEST_SCORE, Plugin, PluginArgs, Verdict
from scheduler.pods import PodView
from scheduler.strategies import ScoringStrategy
from scheduler.triggers import Added, Changed, Deleted, Freed
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.resource.resource_claim import ResourceClaim


class NodeResourcesFitArgs(PluginArgs):
    """How to score the nodes that fit, and which extended resources, by name or domain, somebody else accounts for."""

    scoring_strategy: ScoringStrategy = ScoringStrategy()
    ignored_resources: tuple[str, ...] = ()
    ignored_resource_groups: tuple[Annotated[str, Field(pattern="^[^/]+$")], ...] = ()

    def ignores(self, resource: str) -> bool:
        """Whether it does not matter how much of it a node has left."""
        domain, slash, _ = resource.partition("/")
        is_ignored = resource in self.ignored_resources or domain in self.ignored_resource_groups
        return bool(slash) and domain != "kubernetes.io" and is_ignored


class NodeResourcesFit(Plugin):
    """Keep a pod off nodes that cannot hold its requests; score what would be left, or used, with it."""

    order = 60
    reads = ("requests", "estimates")
    judges_one_by_one = True
    retry_when = (
        *(Added(Node), Changed(Node, "status.allocatable")),
        *(Changed(Pod, "spec.containers", "resizing"), Deleted(Pod)),
        Freed(ResourceClaim),
    )
    Args = NodeResourcesFitArgs

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        for resource, wanted in self.least(pod).items():
            free = nodes.free(resource)
            reason = "Too many pods" if resource == "pods" else f"Insufficient {resource}"
            could_ever = nodes.allocatable(resource) >= wanted
            yield Verdict(free >= wanted, reason, wanted, free, may_yield=could_ever)

    def rules_out(self, pod: PodView, spot: Spot) -> bool:
        if spot.has_below(pod.spec.priority):
            return super().rules_out(pod, spot)
        # The same in plain numbers: thousands of pods may wait that differ.
        return any(spot.free(name) < wanted for name, wanted in self.least(pod).items())

    def least(self, pod: PodView) -> Mapping[str, int]:
        return {name: wanted for name, wanted in pod.requests.items() if not self.args.ignores(name)}

    def score(self, pod: PodView, nodes: Columns) -> FloatArray:
        strategy = self.args.scoring_strategy
        total = np.zeros(len(nodes))
        weights = np.zeros(len(nodes))
        for resource in strategy.resources:
            wanted = pod.estimates.get(resource.name) or pod.requests.get(resource.name, 0)
            if not wanted and resource.name not in pod.estimates:
                continue  # a GPU that a pod does not want says nothing about where it belongs
            offered = nodes.allocatable(resource.name)
            used = nodes.estimated(resource.name) + wanted
            share = np.minimum(used / np.maximum(offered, 1), 1.0)
            weight = resource.weight * (offered > 0)
            worth = strategy.worth(share)
            total += weight * worth
            weights += weight * (worth > 0) if strategy.requested_to_capacity_ratio else weight
        return total * HIGHEST_SCORE / np.maximum(weights, 1)
