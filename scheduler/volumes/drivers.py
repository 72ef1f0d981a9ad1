"""Drivers: which volume of which CSI driver a claim has, or will have, and an attachment is for.

Kubernetes: getCSIDriverInfo and getNodeVolumeAttachmentInfo.
"""

from __future__ import annotations

from scheduler.pods.attachable import DRIVERS, Attachable, taken_over
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.storage.storage_class import StorageClass
from wherry.api.storage.volume_attachment import VolumeAttachment
from wherry.client.world import Shelf


def volume_of(
    claim: PersistentVolumeClaim, volumes: Shelf[PersistentVolume], classes: Shelf[StorageClass]
) -> Attachable | None:
    """None if the volume is of no driver. A claim without a volume goes by its class."""
    volume = volumes.get(claim.spec.volume_name) if claim.spec.volume_name else None
    if volume is not None:
        found = _of_driver(volume)
        return found or next(filter(None, (taken_over(*source) for source in volume.spec.sources.items())), None)
    kind = classes.get(claim.spec.storage_class_name or "")
    if kind is None:
        return None
    plugin = kind.provisioner if kind.provisioner in DRIVERS else ""
    # No volume of a driver is called so, as claims are.
    return Attachable(DRIVERS.get(plugin, kind.provisioner), f"claim {claim.key}", plugin)


def attached_by(attachment: VolumeAttachment, volumes: Shelf[PersistentVolume]) -> Attachable | None:
    """None if it is for no volume of a driver."""
    volume = volumes.get(attachment.spec.source.persistent_volume_name or "")
    found = _of_driver(volume) if volume is not None else None
    return found._replace(driver=attachment.spec.attacher) if found and attachment.spec.attacher else None


def _of_driver(volume: PersistentVolume) -> Attachable | None:
    raw = volume.spec.csi.raw if volume.spec.csi is not None else None
    return Attachable(str(raw.get("driver", "")), str(raw.get("volumeHandle", ""))) if raw is not None else None
