"""Keep pods where their volumes can be reached, and where claims without one can get it. Kubernetes: VolumeBinding."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from pydantic import Field

from scheduler.columns import Columns, Mask
from scheduler.columns.node_selectors import matching_any
from scheduler.framework import Plugin, PluginArgs, Verdict, where_reached
from scheduler.pods import PodView
from scheduler.pods.volumes import Unbound
from scheduler.triggers import Added, Changed, Deleted
from wherry.api.core.node import Node
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod.spec import NodeSelector
from wherry.api.storage.csi_driver import CSIDriver
from wherry.api.storage.csi_storage_capacity import CSIStorageCapacity
from wherry.api.storage.storage_class import StorageClass

CONFLICT = "node(s) had volume node affinity conflict"
NONE_LEFT = "node(s) didn't find available persistent volumes to bind"
NO_ROOM = "node(s) did not have enough free storage"


class VolumeBindingArgs(PluginArgs):
    """For how many seconds a pod that has its node waits for its volumes."""

    bind_timeout_seconds: int = Field(default=600, ge=0)


class VolumeBinding(Plugin):
    """A pod whose claims wait for something goes nowhere; others go where all their volumes are, or can be."""

    order = 90
    reads = ("volumes",)
    retry_when = (
        *(Added(kind) for kind in (Node, PersistentVolume, PersistentVolumeClaim, StorageClass, CSIStorageCapacity)),
        Changed(Node, "metadata.labels"),
        Changed(PersistentVolume, "spec", "metadata.deleted_at"),
        Changed(PersistentVolumeClaim, "spec", "metadata.annotations"),
        Changed(StorageClass, "allowed_topologies"),
        Changed(CSIStorageCapacity, "capacity", "maximum_volume_size"),
        *(Changed(CSIDriver, "spec"), Deleted(CSIDriver)),
        Deleted(PersistentVolumeClaim),
    )
    Args = VolumeBindingArgs

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        needs = pod.volumes
        yield from where_reached(needs.problem, needs.reachable, nodes, CONFLICT)
        taken: dict[str, Mask] = {}
        for claim in needs.unbound:
            found = _found(claim, nodes, taken)
            if claim.selected or not claim.makes:
                yield Verdict(found, NONE_LEFT)
                continue
            may_be_made = _where(claim.where, nodes)
            yield Verdict(found | may_be_made, NONE_LEFT)
            if claim.room is not None:
                yield Verdict(found | ~may_be_made | _where(claim.room, nodes), NO_ROOM)


def _found(claim: Unbound, nodes: Columns, taken: dict[str, Mask]) -> Mask:
    """Where there is a volume for the claim; of two claims the first takes the smallest that both could have."""
    if claim.selected:
        return nodes.name.is_in([claim.selected])
    found = np.zeros(len(nodes), dtype=np.bool_)
    for volume, reachable in claim.candidates:
        fits = _where(reachable, nodes) & ~found & ~taken.get(volume, np.zeros(len(nodes), dtype=np.bool_))
        taken[volume] = taken[volume] | fits if volume in taken else fits
        found |= fits
    return found


def _where(selector: NodeSelector | None, nodes: Columns) -> Mask:
    return np.ones(len(nodes), dtype=np.bool_) if selector is None else matching_any(selector, nodes)
