"""Prefer nodes that have the images of a pod already, the larger the better. Kubernetes: ImageLocality."""

from __future__ import annotations

import numpy as np

from scheduler.columns import Columns, FloatArray
from scheduler.framework import HIGHEST_SCORE, Plugin
from scheduler.pods import PodView

# Images below this do not count, and more than this for each container is no better.
LEAST_BYTES = 23 * 1024 * 1024
MOST_BYTES = 1000 * 1024 * 1024


class ImageLocality(Plugin):
    """Prefer nodes with the pod's images; an image that few nodes have counts less, lest all its pods meet there."""

    order = 120
    reads = ("images",)

    def score(self, pod: PodView, nodes: Columns) -> FloatArray | None:
        found = [sizes for image in pod.images if (sizes := nodes.image_sizes(image)) is not None]
        if not found:
            return None
        total = np.zeros(len(nodes.names))
        for sizes in found:
            total += np.floor(sizes * (np.count_nonzero(sizes) / len(sizes)))
        most = MOST_BYTES * len(pod.images)
        share = (np.clip(total, LEAST_BYTES, most) - LEAST_BYTES) / (most - LEAST_BYTES)
        return nodes.here(share * HIGHEST_SCORE)
