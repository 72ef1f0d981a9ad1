"""Keep a pod from a claim or a disk that only one pod may use while another does. Kubernetes: VolumeRestrictions."""

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

NO_DISK = "node(s) had no available disk"
IN_USE = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"


class VolumeRestrictions(Plugin):
    """A pod whose claim is for one pod alone goes nowhere while another uses it; nor where its disk is in use."""

    order = 80
    reads = ("volumes",)
    retry_when = (Added(Node), Deleted(Pod), Changed(PersistentVolumeClaim, "spec"))

    def looks_around(self, pod: PodView, nodes: Columns) -> bool:
        return bool(pod.volumes.exclusive)

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        for claim in pod.volumes.exclusive:
            is_free, used_here = nodes.claim_is_free(claim)
            yield Verdict(np.full(len(nodes), is_free), IN_USE, may_yield=used_here)
        for disk in pod.volumes.disks:
            yield Verdict(nodes.claims_missing(disk.in_the_way) == len(disk.in_the_way), NO_DISK, may_yield=True)
