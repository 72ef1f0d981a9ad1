"""Attachments: tells the snapshot of which driver each claim's volume is, and how many of it each node takes.

Kubernetes: what the NodeVolumeLimits plugin reads. Differs: a volume counts where pods use it; one that is still
attached after its last pod went does not.
"""

from __future__ import annotations

from collections import Counter

from scheduler.snapshot import Snapshot
from scheduler.volumes.drivers import driver_of
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.storage.csi_node import CSINode
from wherry.api.storage.storage_class import StorageClass
from wherry.client.informer import Change
from wherry.client.world import Shelf


class Attachments:
    """See the module. The shelves are current when a change is told; `limited` says how many nodes limit a driver."""

    def __init__(
        self,
        snapshot: Snapshot,
        claims: Shelf[PersistentVolumeClaim],
        volumes: Shelf[PersistentVolume],
        classes: Shelf[StorageClass],
    ) -> None:
        self._snapshot, self._claims, self._volumes, self._classes = snapshot, claims, volumes, classes
        self.limited: Counter[str] = Counter()

    def claim_changed(self, change: Change[PersistentVolumeClaim]) -> None:
        """A claim is there, has got its volume, or is gone."""
        before, after = change
        if after is not None:
            self._snapshot.set_driver(after.key, driver_of(after, self._volumes, self._classes))
        elif before is not None:
            self._snapshot.set_driver(before.key, "")

    def volume_changed(self, change: Change[PersistentVolume]) -> None:
        """A volume may be heard of after its claim."""
        seen = change.after or change.before
        holder = seen.spec.claim_ref if seen is not None else None
        claim = self._claims.get(f"{holder.namespace}/{holder.name}") if holder is not None else None
        if claim is not None:
            self.claim_changed(Change(None, claim))

    def class_changed(self, change: Change[StorageClass]) -> None:
        """A class may be heard of after the claims that name it."""
        seen = change.after or change.before
        for claim in self._claims.all():
            if seen is not None and claim.spec.storage_class_name == seen.metadata.name:
                self.claim_changed(Change(None, claim))

    def node_changed(self, change: Change[CSINode]) -> None:
        """A node says which drivers it has, and how many volumes each takes."""
        before, after = (_limits(node) if node is not None else {} for node in change)
        self.limited.subtract(before.keys())
        self.limited.update(after.keys())
        seen = change.after or change.before
        if seen is not None:
            self._snapshot.set_volume_limits(seen.metadata.name, after)


def _limits(node: CSINode) -> dict[str, int]:
    counts = {driver.name: driver.allocatable.count for driver in node.spec.drivers if driver.allocatable is not None}
    return {name: count for name, count in counts.items() if count is not None}
