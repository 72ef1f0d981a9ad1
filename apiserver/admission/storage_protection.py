"""StorageObjectInUseProtection: new claims and volumes are kept, when deleted, until nobody uses them."""

from __future__ import annotations

from typing import ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.core import persistent_volume, persistent_volume_claim

_FINALIZERS = {
    "persistentvolumes": persistent_volume.IN_USE,
    "persistentvolumeclaims": persistent_volume_claim.IN_USE,
}


class StorageObjectInUseProtection(AdmissionPlugin):
    """Kubernetes: StorageObjectInUseProtection. Controllers take the finalizers off."""

    kinds: ClassVar[tuple[str, ...]] = tuple(_FINALIZERS)
    operations: ClassVar[tuple[str, ...]] = ("CREATE",)

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        finalizer, metadata = _FINALIZERS[write.cls.kind.resource], draft["metadata"]
        if finalizer not in (metadata.get("finalizers") or ()):
            metadata["finalizers"] = [*(metadata.get("finalizers") or ()), finalizer]
