"""Keep pods in the zones and regions that the labels of their volumes name. Kubernetes: VolumeZone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from scheduler.columns import Columns, Mask
from scheduler.framework import Plugin, Verdict
from scheduler.pods import PodView
from scheduler.pods.volumes import ZONE_KEYS
from scheduler.triggers import Added, Changed
from wherry.api.core.node import Node
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim

ELSEWHERE = "node(s) had no available volume zone"


class VolumeZone(Plugin):
    """A pod goes where its bound volumes are; a node that names no zone and no region takes every volume."""

    order = 95
    reads = ("volumes",)
    retry_when = (
        *(Added(Node), Changed(Node, "metadata.labels"), Added(PersistentVolume), Added(PersistentVolumeClaim)),
        *(Changed(PersistentVolume, "metadata.labels"), Changed(PersistentVolumeClaim, "spec")),
    )

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        if not pod.volumes.zones:
            return
        unbound: Mask = np.logical_and.reduce([nodes.label(key).is_in([None]) for key in ZONE_KEYS])
        for key, values in pod.volumes.zones:
            yield Verdict(unbound | nodes.label(key).is_in(values), ELSEWHERE)
