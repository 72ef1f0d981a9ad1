"""Fill the nodes whose GPUs are used already, so that others stay whole; or spread over them, if so asked.

Parts of cards go where a card has so much memory left, and first to those that are in parts already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import numpy as np

from scheduler.columns import Columns, FloatArray
from scheduler.explaining.text import amount_text
from scheduler.framework import HIGHEST_SCORE, Plugin, PluginArgs, Verdict
from scheduler.pods import PodView
from scheduler.triggers import Added, Changed, Deleted
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.resource.gpu import RESOURCE
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.resource.resource_slice import ResourceSlice


class GpuPackingArgs(PluginArgs):
    """What pods get that do not say it themselves."""

    placement: Literal["pack", "spread"] = "pack"


class GpuPacking(Plugin):
    """The share of a node's GPUs that would be in use with the pod, whether it counts them or has a claim on them; the
    other way round for those that spread.
    """

    weight = 5
    reads = ("requests", "gpu_placement", "devices")
    Args = GpuPackingArgs

    def score(self, pod: PodView, nodes: Columns) -> FloatArray | None:
        wanted = pod.requests.get(RESOURCE, 0) + pod.devices.cards
        if not wanted:
            return None
        used = nodes.requested(RESOURCE) + wanted
        share: FloatArray = np.clip(used / np.maximum(nodes.allocatable(RESOURCE), 1), 0.0, 1.0)
        spreads = (pod.gpu_placement or self.args.placement) == "spread"
        return (1.0 - share if spreads else share) * HIGHEST_SCORE


class GpuShare(Plugin):
    """A node with a fitting card in parts is best; else the one of whose cards most are in use."""

    order = 65
    weight = 10
    reads = ("devices", "gpu_share", "requests")
    retry_when = (
        *(Added(kind) for kind in (Node, ResourceSlice)),
        *(Deleted(kind) for kind in (Pod, ResourceClaim)),
        Changed(ResourceSlice, "spec"),
        Changed(ResourceClaim, "status"),
    )

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        if pod.devices.sharing is not None:
            size = amount_text("memory", pod.gpu_share)
            left = amount_text("memory", pod.devices.largest)
            reason = f"no card with {size} of memory left (the largest part left is {left})"
            yield Verdict(nodes.name.is_in(pod.devices.sharing), reason)

    def score(self, pod: PodView, nodes: Columns) -> FloatArray | None:
        if pod.devices.sharing is None:
            return None
        used = np.clip(nodes.requested(RESOURCE) / np.maximum(nodes.allocatable(RESOURCE), 1), 0.0, 1.0)
        return np.where(nodes.name.is_in(pod.devices.shared), HIGHEST_SCORE, used * HIGHEST_SCORE / 2)
