"""Fill the nodes whose GPUs are used already, so that others stay whole; or spread over them, if so asked."""

from __future__ import annotations

from typing import Literal

import numpy as np

from scheduler.columns import Columns, FloatArray
from scheduler.framework import HIGHEST_SCORE, Plugin, PluginArgs
from scheduler.pods import PodView
from wherry.api.resource.gpu import RESOURCE


class GpuPackingArgs(PluginArgs):
    """What pods get that do not say it themselves."""

    placement: Literal["pack", "spread"] = "pack"


class GpuPacking(Plugin):
    """The share of a node's GPUs that would be in use with the pod; the other way round for those that spread."""

    weight = 5
    reads = ("requests", "gpu_placement")
    Args = GpuPackingArgs

    def score(self, pod: PodView, nodes: Columns) -> FloatArray | None:
        wanted = pod.requests.get(RESOURCE, 0)
        if not wanted:
            return None
        used = nodes.requested(RESOURCE) + wanted
        share: FloatArray = np.clip(used / np.maximum(nodes.allocatable(RESOURCE), 1), 0.0, 1.0)
        spreads = (pod.gpu_placement or self.args.placement) == "spread"
        return (1.0 - share if spreads else share) * HIGHEST_SCORE
