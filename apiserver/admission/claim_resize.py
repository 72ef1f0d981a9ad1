"""PersistentVolumeClaimResize: a claim may ask for more only where its storage class says that volumes can grow."""

from __future__ import annotations

from typing import ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.storage.storage_class import StorageClass
from wherry.machinery.errors import forbidden
from wherry.machinery.quantity import Quantity


class PersistentVolumeClaimResize(AdmissionPlugin):
    """Kubernetes: PersistentVolumeClaimResize."""

    kinds: ClassVar[tuple[str, ...]] = ("persistentvolumeclaims",)
    operations: ClassVar[tuple[str, ...]] = ("UPDATE",)

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        claim, before = PersistentVolumeClaim.read(draft), PersistentVolumeClaim.read(old or {})
        if not _size(before) < _size(claim):
            return
        if before.status.phase != "Bound":
            why = "Only bound persistent volume claims can be expanded"
            raise forbidden(write.cls.kind.resource, write.name, why)
        if not self._may_grow(claim, before):
            why = "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
            raise forbidden(write.cls.kind.resource, write.name, f"{why}support resize")

    def _may_grow(self, claim: PersistentVolumeClaim, before: PersistentVolumeClaim) -> bool:
        name = before.spec.storage_class_name
        if not name or claim.spec.storage_class_name != name:
            return False
        stored = self.server.cache.of(StorageClass).get("", name)
        return stored is not None and bool(StorageClass.read(stored.item).allow_volume_expansion)


def _size(claim: PersistentVolumeClaim) -> Quantity:
    return claim.spec.resources.requests.get("storage", Quantity())
