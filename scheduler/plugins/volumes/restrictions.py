"""Keep a pod from a claim that only one pod may use while another does. Kubernetes: VolumeRestrictions.

Differs: it is about ReadWriteOncePod only, and not about the disks of cloud providers.
"""

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

IN_USE = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"


class VolumeRestrictions(Plugin):
    """A pod whose claim is for one pod alone goes nowhere while another pod uses it."""

    order = 80
    reads = ("volumes",)
    retry_when = (Added(Node), Deleted(Pod), Changed(PersistentVolumeClaim, "spec"))

    def looks_around(self, pod: PodView, nodes: Columns) -> bool:
        return bool(pod.volumes.exclusive)

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        for claim in pod.volumes.exclusive:
            is_free, used_here = nodes.claim_is_free(claim)
            yield Verdict(np.full(len(nodes), is_free), IN_USE, may_yield=used_here)
