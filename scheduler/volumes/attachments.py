"""Attachments: tells the snapshot which volume each claim has, which are attached where, and how many each node takes.

Kubernetes: what the NodeVolumeLimits plugin reads.
"""

from __future__ import annotations

from collections import Counter

from scheduler.pods.attachable import Attachable
from scheduler.snapshot import Snapshot
from scheduler.volumes.drivers import attached_by, volume_of
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.storage.csi_node import CSINode
from wherry.api.storage.storage_class import StorageClass
from wherry.api.storage.volume_attachment import VolumeAttachment
from wherry.client.informer import Change
from wherry.client.world import Shelf

# The annotation in which a CSINode lists the plugins that drivers took over from there.
TAKEN_OVER = "storage.alpha.kubernetes.io/migrated-plugins"


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
        # By the volume's name and their own: attachments, and what is counted for each on its node.
        self._attachments: dict[str, dict[str, VolumeAttachment]] = {}
        self._counted: dict[str, tuple[str, Attachable]] = {}

    def claim_changed(self, change: Change[PersistentVolumeClaim]) -> None:
        """A claim is there, has got its volume, or is gone."""
        before, after = change
        if after is not None:
            self._snapshot.set_volume(after.key, volume_of(after, self._volumes, self._classes))
        elif before is not None:
            self._snapshot.set_volume(before.key, None)

    def volume_changed(self, change: Change[PersistentVolume]) -> None:
        """A volume may be heard of after its claim, and after an attachment."""
        seen = change.after or change.before
        if seen is None:
            return
        holder = seen.spec.claim_ref
        claim = self._claims.get(f"{holder.namespace}/{holder.name}") if holder is not None else None
        if claim is not None:
            self.claim_changed(Change(None, claim))
        for attachment in self._attachments.get(seen.metadata.name, {}).values():
            self._count(attachment)

    def class_changed(self, change: Change[StorageClass]) -> None:
        """A class may be heard of after the claims that name it."""
        seen = change.after or change.before
        for claim in self._claims.all():
            if seen is not None and claim.spec.storage_class_name == seen.metadata.name:
                self.claim_changed(Change(None, claim))

    def attachment_changed(self, change: Change[VolumeAttachment]) -> None:
        """A volume is to be attached to a node, or is no longer; what is wanted never changes."""
        before, after = change
        seen = after or before
        volume = seen.spec.source.persistent_volume_name if seen is not None else None
        if seen is None or not volume:
            return
        of_volume = self._attachments.setdefault(volume, {})
        if after is not None:
            of_volume[after.metadata.name] = after
            self._count(after)
            return
        self._forget(seen.metadata.name)
        of_volume.pop(seen.metadata.name, None)
        if not of_volume:
            del self._attachments[volume]

    def node_changed(self, change: Change[CSINode]) -> None:
        """A node says which drivers it has, and how many volumes each takes."""
        before, after = (_limits(node) if node is not None else {} for node in change)
        self.limited.subtract(before.keys())
        self.limited.update(after.keys())
        seen = change.after or change.before
        if seen is not None:
            plugins = seen.metadata.annotations.get(TAKEN_OVER, "") if change.after is not None else ""
            self._snapshot.set_volume_limits(seen.metadata.name, after, frozenset(filter(None, plugins.split(","))))

    def _count(self, attachment: VolumeAttachment) -> None:
        name, volume = attachment.metadata.name, attached_by(attachment, self._volumes)
        counted = (attachment.spec.node_name, volume) if volume is not None else None
        if counted == self._counted.get(name):
            return
        self._forget(name)
        if counted is not None:
            self._counted[name] = counted
            self._snapshot.attach(*counted, 1)

    def _forget(self, name: str) -> None:
        counted = self._counted.pop(name, None)
        if counted is not None:
            self._snapshot.attach(*counted, -1)


def _limits(node: CSINode) -> dict[str, int]:
    counts = {driver.name: driver.allocatable.count for driver in node.spec.drivers if driver.allocatable is not None}
    return {name: count for name, count in counts.items() if count is not None}
