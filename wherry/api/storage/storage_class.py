"""StorageClass: a kind of storage to be had on request."""

from __future__ import annotations

from wherry.machinery.resource import Resource

IS_DEFAULT = "storageclass.kubernetes.io/is-default-class"


class StorageClass(Resource, group="storage.k8s.io", version="v1", scope="Cluster", short=("sc",)):
    """A kind of storage to be had on request."""

    provisioner: str = ""
    parameters: dict[str, str] = {}
    reclaim_policy: str = "Delete"
    volume_binding_mode: str = "Immediate"
    allow_volume_expansion: bool | None = None
    mount_options: tuple[str, ...] = ()
