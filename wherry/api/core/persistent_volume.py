"""PersistentVolume: a piece of storage, and PersistentVolumeClaim: the wish for one."""

from __future__ import annotations

from wherry.api.core.pod.container import Resources
from wherry.api.core.pod.spec import NodeSelector
from wherry.api.meta import Conditions, ObjectReference, Selector
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Resource
from wherry.machinery.view import View


class HostPathSource(View):
    """A directory of the node."""

    path: str = ""
    type: str = ""


class LocalSource(View):
    """A directory of one node, which `node_affinity` names."""

    path: str = ""


class VolumeNodeAffinity(View):
    """Where the volume can be reached from."""

    required: NodeSelector | None = None


class PersistentVolumeSpec(View):
    """What the storage is, how much, and which claim has it."""

    capacity: dict[str, Quantity] = {}
    access_modes: tuple[str, ...] = ()
    storage_class_name: str = ""
    volume_mode: str = "Filesystem"
    persistent_volume_reclaim_policy: str = "Retain"
    claim_ref: ObjectReference | None = None
    node_affinity: VolumeNodeAffinity = VolumeNodeAffinity()
    host_path: HostPathSource | None = None
    local: LocalSource | None = None
    volume_attributes_class_name: str = ""


class PersistentVolumeStatus(View):
    """Available, Bound, Released or Failed."""

    phase: str = ""
    reason: str = ""
    message: str = ""


class PersistentVolume(Resource, version="v1", scope="Cluster", short=("pv",), subresources=("status",)):
    """A piece of storage."""

    spec: PersistentVolumeSpec = PersistentVolumeSpec()
    status: PersistentVolumeStatus = PersistentVolumeStatus()

    delete_returns_object = True


class PersistentVolumeClaimSpec(View):
    """How much, how it is used, and which volume it got."""

    access_modes: tuple[str, ...] = ()
    resources: Resources = Resources()
    selector: Selector | None = None
    storage_class_name: str | None = None
    volume_mode: str = "Filesystem"
    volume_name: str = ""


class PersistentVolumeClaimStatus(View):
    """Pending, Bound or Lost."""

    phase: str = ""
    access_modes: tuple[str, ...] = ()
    capacity: dict[str, Quantity] = {}
    conditions: Conditions = ()
    current_volume_attributes_class_name: str = ""


class PersistentVolumeClaim(Resource, version="v1", short=("pvc",), subresources=("status",)):
    """The wish for a piece of storage."""

    spec: PersistentVolumeClaimSpec = PersistentVolumeClaimSpec()
    status: PersistentVolumeClaimStatus = PersistentVolumeClaimStatus()

    delete_returns_object = True
