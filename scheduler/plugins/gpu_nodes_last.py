"""Keep pods that want no GPU off the nodes that have some, while others have room."""

from __future__ import annotations

import numpy as np

from scheduler.columns import Columns, FloatArray
from scheduler.framework import HIGHEST_SCORE, Plugin
from scheduler.pods import PodView
from wherry.api.resource.gpu import RESOURCE


class GpuNodesLast(Plugin):
    """Nodes without GPUs score high. It weighs more than all other scores together, for a card costs more than they.

    In a cluster without GPUs it has no opinion; the snapshot begins anew when the first one comes.
    """

    weight = 20
    reads = ("requests", "gpu_share")

    def score(self, pod: PodView, nodes: Columns) -> FloatArray | None:
        if RESOURCE in pod.requests or pod.gpu_share or not nodes.everywhere.allocatable(RESOURCE).any():
            return None
        return np.where(nodes.allocatable(RESOURCE) > 0, 0.0, HIGHEST_SCORE)
