"""DefaultStorageClass: a claim that names no class gets the default one."""

from __future__ import annotations

from typing import ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.storage.storage_class import IS_DEFAULT, StorageClass


class DefaultStorageClass(AdmissionPlugin):
    """Kubernetes: DefaultStorageClass. Of several default classes the newest counts."""

    kinds: ClassVar[tuple[str, ...]] = ("persistentvolumeclaims",)
    operations: ClassVar[tuple[str, ...]] = ("CREATE",)

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        spec = draft.setdefault("spec", {})
        if "storageClassName" in spec:
            return
        classes = [stored.draft(StorageClass.kind) for stored in self.server.cache.of(StorageClass).objects()]
        defaults = [each for each in classes if (each["metadata"].get("annotations") or {}).get(IS_DEFAULT) == "true"]
        if defaults:
            newest = max(defaults, key=lambda each: (each["metadata"]["creationTimestamp"], each["metadata"]["name"]))
            spec["storageClassName"] = newest["metadata"]["name"]
