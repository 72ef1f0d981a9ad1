"""DefaultStorageClass: a claim that names no class gets the default one."""

from __future__ import annotations

from typing import ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.storage.storage_class import StorageClass, default_class


class DefaultStorageClass(AdmissionPlugin):
    """Kubernetes: DefaultStorageClass. Of several default classes the newest counts."""

    kinds: ClassVar[tuple[str, ...]] = ("persistentvolumeclaims",)
    operations: ClassVar[tuple[str, ...]] = ("CREATE",)

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        spec = draft.setdefault("spec", {})
        if "storageClassName" in spec:
            return
        chosen = default_class(
            StorageClass.read(stored.item) for stored in self.server.cache.of(StorageClass).objects()
        )
        if chosen is not None:
            spec["storageClassName"] = chosen.metadata.name
