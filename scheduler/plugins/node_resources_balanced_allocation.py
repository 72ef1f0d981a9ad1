"""Prefer nodes whose resources would be used evenly. Kubernetes: NodeResourcesBalancedAllocation."""

from __future__ import annotations

import numpy as np

from scheduler.columns import Columns, FloatArray
from scheduler.framework import HIGHEST_SCORE, Plugin, PluginArgs
from scheduler.pods import PodView
from scheduler.strategies import CPU_AND_MEMORY, WeightedResource


class NodeResourcesBalancedAllocationArgs(PluginArgs):
    """Which resources should be in balance; weights do not matter."""

    resources: tuple[WeightedResource, ...] = CPU_AND_MEMORY


class NodeResourcesBalancedAllocation(Plugin):
    """Prefer nodes where, with this pod, the used shares of the resources lie close together.

    A pod that asks for none of them has no opinion. A resource that a node does not offer is left out of its balance.
    """

    order = 70
    reads = ("requests",)
    Args = NodeResourcesBalancedAllocationArgs

    def score(self, pod: PodView, nodes: Columns) -> FloatArray | None:
        names = [resource.name for resource in self.args.resources]
        if not any(pod.requests.get(name) for name in names):
            return None
        count, total, squares = np.zeros(len(nodes)), np.zeros(len(nodes)), np.zeros(len(nodes))
        for name in names:
            wanted = pod.requests.get(name, 0)
            if wanted or name in ("cpu", "memory"):
                offered = nodes.allocatable(name)
                is_offered = offered > 0
                share = np.minimum((nodes.requested(name) + wanted) / np.maximum(offered, 1), 1.0) * is_offered
                count += is_offered
                total += share
                squares += share * share
        count = np.maximum(count, 1)
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean * mean, 0.0))
        return (1.0 - deviation) * HIGHEST_SCORE
