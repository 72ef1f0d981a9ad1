"""Prefer nodes whose resources would be used more evenly. Kubernetes: NodeResourcesBalancedAllocation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from scheduler.columns import Columns, FloatArray, IntArray
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
        offered = [nodes.allocatable(name) for name in wanted]
        used = [nodes.requested(name) for name in wanted]
        later = [before + size for before, size in zip(used, wanted.values(), strict=True)]
        better = _deviation(used, offered) - _deviation(later, offered)
        return HIGHEST_SCORE / 2 + (HIGHEST_SCORE / 2 + better * HIGHEST_SCORE) / 2


def _deviation(used: Sequence[IntArray], offered: Sequence[IntArray]) -> FloatArray:
    """How far apart the used shares are, as a standard deviation: 0 to 1/2."""
    shares = [np.minimum(much / np.maximum(of, 1), 1.0) for much, of in zip(used, offered, strict=True)]
    deviation: FloatArray
    if len(shares) == 2:  # as it mostly is, and this is a quarter of the work
        deviation = np.abs(shares[0] - shares[1]) / 2
        deviation[(offered[0] <= 0) | (offered[1] <= 0)] = 0.0
        return deviation
    is_offered = np.array(offered) > 0
    count = np.maximum(is_offered.sum(axis=0), 1)
    counted = np.array(shares) * is_offered
    mean = counted.sum(axis=0) / count
    deviation = np.sqrt(np.maximum((counted * counted).sum(axis=0) / count - mean * mean, 0.0))
    return deviation
