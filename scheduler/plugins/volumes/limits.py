"""Keep a pod off nodes that cannot have so many volumes of a driver. Kubernetes: NodeVolumeLimits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scheduler.columns import Columns
from scheduler.framework import Plugin, Verdict
from scheduler.pods import PodView
from scheduler.triggers import Added, Changed, Deleted
from wherry.api.core.node import Node
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.storage.csi_node import CSINode
from wherry.api.storage.volume_attachment import VolumeAttachment

FULL = "node(s) exceed max volume count"


class NodeVolumeLimits(Plugin):
    """A node takes as many volumes of a driver as its CSINode says; one that it has already costs nothing."""

    order = 85
    reads = ("volumes",)
    retry_when = (
        *(Added(CSINode), Changed(CSINode, "spec", "metadata.annotations"), Deleted(CSINode)),
        *(Added(Node), Deleted(Pod), Deleted(VolumeAttachment)),
        *(Added(PersistentVolumeClaim), Changed(PersistentVolumeClaim, "spec"), Deleted(PersistentVolumeClaim)),
    )

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        for driver, volumes in pod.volumes.limited:
            missing = nodes.volumes_missing(volumes)
            fits = np.equal(missing, 0) | (missing <= nodes.volume_room(driver))
            yield Verdict(fits, FULL, may_yield=True)
