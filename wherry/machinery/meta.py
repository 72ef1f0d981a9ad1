"""ObjectMeta: what every object has. Kubernetes: metav1.ObjectMeta."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from wherry.machinery.view import View


class OwnerReference(View):
    """Who this object belongs to; when the last owner is gone, so is the object."""

    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool = False
    block_owner_deletion: bool = False


class ObjectMeta(View):
    """Name, identity, version, labels and owners of an object.

    `generation` rises when the desired state changes; `resource_version` on every write. `deleted_at` is set while the
    object waits for its finalizers or, for pods, its grace period.
    """

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    created_at: datetime | None = msgspec.field(name="creationTimestamp", default=None)
    deleted_at: datetime | None = msgspec.field(name="deletionTimestamp", default=None)
    deletion_grace_seconds: int | None = msgspec.field(name="deletionGracePeriodSeconds", default=None)
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()
    finalizers: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """`namespace/name`, or `name` for objects without a namespace."""
        return f"{self.namespace}/{self.name}" if self.namespace else self.name

    @property
    def controller(self) -> OwnerReference | None:
        """The one owner that manages this object, if there is one."""
        return next((owner for owner in self.owner_references if owner.controller), None)


def controller_reference(owner: Any) -> dict[str, Any]:
    """The `ownerReferences` entry, as JSON, that makes `owner` (a Resource) the controller of a new object."""
    return {
        "apiVersion": owner.kind.api_version,
        "kind": owner.kind.name,
        "name": owner.metadata.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
