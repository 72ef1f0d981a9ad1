"""Prefer nodes whose resources would be used more evenly. Kubernetes: NodeResourcesBalancedAllocation."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from scheduler.columns import Columns, FloatArray
from scheduler.framework import HIGHEST_SCORE, Plugin, PluginArgs
from scheduler.pods import PodView
from scheduler.strategies import CPU_AND_MEMORY, WeightedResource


class NodeResourcesBalancedAllocationArgs(PluginArgs):
    """Which resources should be in balance; weights do not matter."""

    resources: tuple[WeightedResource, ...] = CPU_AND_MEMORY


class NodeResourcesBalancedAllocation(Plugin):
    """Prefer nodes where the pod brings the used shares of the resources closer together, or least apart.

    A pod that asks for none of them has no opinion. A resource that a node does not offer is left out of its balance.
    Kubernetes: so it is since 1.36; before, how close together they would be was all that counted.
    """

    order = 70
    reads = ("requests",)
    Args = NodeResourcesBalancedAllocationArgs

    def score(self, pod: PodView, nodes: Columns) -> FloatArray | None:
        wanted = {resource.name: pod.requests.get(resource.name, 0) for resource in self.args.resources}
        if not any(wanted.values()):
            return None
        wanted = {name: size for name, size in wanted.items() if size or name in ("cpu", "memory")}
        better = _deviation(dict.fromkeys(wanted, 0), nodes) - _deviation(wanted, nodes)
        return HIGHEST_SCORE / 2 + (HIGHEST_SCORE / 2 + better * HIGHEST_SCORE) / 2


def _deviation(wanted: Mapping[str, int], nodes: Columns) -> FloatArray:
    """How far apart the used shares are with so much more, as a standard deviation: 0 to 1/2."""
    count, total, squares = np.zeros(len(nodes)), np.zeros(len(nodes)), np.zeros(len(nodes))
    for name, size in wanted.items():
        offered = nodes.allocatable(name)
        is_offered = offered > 0
        share = np.minimum((nodes.requested(name) + size) / np.maximum(offered, 1), 1.0) * is_offered
        count += is_offered
        total += share
        squares += share * share
    count = np.maximum(count, 1)
    mean = total / count
    deviation: FloatArray = np.sqrt(np.maximum(squares / count - mean * mean, 0.0))
    return deviation
