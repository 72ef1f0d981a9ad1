"""PersistentVolume: a piece of storage. Claimed by persistent_volume_claim.py, mounted by wherry/volumes."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import msgspec

from wherry.api.core.claim_spec import (
    VOLUME_MODES,
    PersistentVolumeClaimSpec,
    access_mode_text,
    check_access_modes,
)
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim, PersistentVolumeClaimStatus
from wherry.api.core.pod.spec import NodeSelector
from wherry.api.core.pod.validation.paths import check_no_backsteps
from wherry.api.core.pod.validation.scheduling import check_node_selector
from wherry.api.core.pod.validation.volumes import SOURCES, check_driver_name, check_host_path
from wherry.api.core.resource_rules import check_positive
from wherry.api.filling import fill_empty
from wherry.api.meta import ObjectReference
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden, invalid, not_supported, required
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_name, unchanged, under
from wherry.machinery.view import Verbatim, View

__all__ = [
    "PersistentVolume",
    "PersistentVolumeClaim",
    "PersistentVolumeClaimSpec",
    "PersistentVolumeClaimStatus",
    "PersistentVolumeSpec",
    "PersistentVolumeStatus",
]

SPEC = "io.k8s.api.core.v1.PersistentVolumeSpec"
# The finalizer of a volume that a claim may be bound to.
IN_USE = "kubernetes.io/pv-protection"
RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")

fill_empty(SPEC, persistentVolumeReclaimPolicy="Retain")
defaults.literal(SPEC, volumeMode="Filesystem")


class HostPathSource(View):
    """A directory of the node."""

    path: str = ""
    type: str = ""


class LocalSource(View):
    """A directory of one node, which `node_affinity` names."""

    path: str = ""
    fs_type: str = ""


class VolumeNodeAffinity(View):
    """Where the volume can be reached from."""

    required: NodeSelector | None = None


class PersistentVolumeSpec(View):
    """What the storage is, how much, and which claim has it.

    All sources of the schema are here, because a volume's source must not change.
    """

    capacity: dict[str, Quantity] = {}
    access_modes: tuple[str, ...] = ()
    storage_class_name: str = ""
    volume_mode: str = "Filesystem"
    persistent_volume_reclaim_policy: str = "Retain"
    mount_options: tuple[str, ...] = ()
    claim_ref: ObjectReference | None = None
    node_affinity: VolumeNodeAffinity = VolumeNodeAffinity()
    volume_attributes_class_name: str = ""
    host_path: HostPathSource | None = None
    local: LocalSource | None = None
    csi: Verbatim | None = None
    nfs: Verbatim | None = None
    iscsi: Verbatim | None = None
    fc: Verbatim | None = None
    rbd: Verbatim | None = None
    cephfs: Verbatim | None = None
    cinder: Verbatim | None = None
    glusterfs: Verbatim | None = None
    flocker: Verbatim | None = None
    quobyte: Verbatim | None = None
    storageos: Verbatim | None = None
    flex_volume: Verbatim | None = None
    portworx_volume: Verbatim | None = None
    vsphere_volume: Verbatim | None = None
    photon_persistent_disk: Verbatim | None = None
    azure_disk: Verbatim | None = None
    azure_file: Verbatim | None = None
    gce_persistent_disk: Verbatim | None = None
    aws_elastic_block_store: Verbatim | None = None
    scale_io: Verbatim | None = msgspec.field(name="scaleIO", default=None)

    @property
    def sources(self) -> dict[str, Any]:
        """The sources that are set, JSON key to JSON value; a sound volume has one."""
        wire = self.to_wire()
        given = {key: wire[key] for key in ("hostPath", "local") if key in wire}
        return given | {key: wire[key] for key in SOURCES if key in wire and key not in given}


class PersistentVolumeStatus(View):
    """Available, Bound, Released or Failed."""

    phase: str = ""
    reason: str = ""
    message: str = ""
    last_phase_transition_time: datetime | None = None


class PersistentVolume(Resource, version="v1", scope="Cluster", short=("pv",), subresources=("status",)):
    """A piece of storage."""

    spec: PersistentVolumeSpec = PersistentVolumeSpec()
    status: PersistentVolumeStatus = PersistentVolumeStatus()

    delete_returns_object = True
    columns = (
        Column("Capacity", lambda volume: str(volume.spec.capacity.get("storage", ""))),
        Column("Access Modes", lambda volume: access_mode_text(volume.spec.access_modes)),
        Column("Reclaim Policy", lambda volume: volume.spec.persistent_volume_reclaim_policy),
        Column("Status", lambda volume: "Terminating" if volume.metadata.deleted_at else volume.status.phase),
        Column("Claim", lambda volume: _claim_text(volume.spec.claim_ref)),
        Column("StorageClass", lambda volume: volume.spec.storage_class_name),
        Column("VolumeAttributesClass", lambda volume: volume.spec.volume_attributes_class_name or "<unset>"),
        Column("Reason", lambda volume: volume.status.reason),
        AGE,
        Column("VolumeMode", lambda volume: volume.spec.volume_mode or "<unset>", priority=1),
    )

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """A new volume waits to be looked at."""
        draft["status"] = {"phase": "Pending"}

    def validate(self, old: PersistentVolume | None) -> Iterator[FieldError]:
        """Every broken rule; where the storage is, is settled for good."""
        yield from under("spec", _check_spec(self.spec))
        if old is not None:
            yield from _check_update(self.spec, old.spec)


def _claim_text(claim: ObjectReference | None) -> str:
    return f"{claim.namespace}/{claim.name}" if claim else ""


def _check_spec(spec: PersistentVolumeSpec) -> Iterator[FieldError]:
    if not spec.access_modes:
        yield required("accessModes")
    yield from check_access_modes(spec.access_modes)
    yield from _check_capacity(spec.capacity)
    if spec.persistent_volume_reclaim_policy not in RECLAIM_POLICIES:
        yield not_supported("persistentVolumeReclaimPolicy", spec.persistent_volume_reclaim_policy, RECLAIM_POLICIES)
    if spec.node_affinity.required is not None:
        yield from under("nodeAffinity.required", check_node_selector(spec.node_affinity.required))
    yield from _check_source(spec)
    is_root = spec.host_path is not None and posixpath.normpath(spec.host_path.path) == "/"
    if is_root and spec.persistent_volume_reclaim_policy == "Recycle":
        yield forbidden("persistentVolumeReclaimPolicy", "may not be 'recycle' for a hostPath mount of '/'")
    if spec.storage_class_name:
        yield from check_name("storageClassName", spec.storage_class_name, names.dns1123_subdomain)
    if spec.volume_mode not in VOLUME_MODES:
        yield not_supported("volumeMode", spec.volume_mode, VOLUME_MODES)
    if spec.volume_attributes_class_name:
        yield from check_name("volumeAttributesClassName", spec.volume_attributes_class_name, names.dns1123_subdomain)
        if spec.csi is None:
            yield required("csi", "has to be specified when using volumeAttributesClassName")


def _check_capacity(capacity: dict[str, Quantity]) -> Iterator[FieldError]:
    if not capacity:
        yield required("capacity")
    if list(capacity) != ["storage"]:
        yield not_supported("capacity", {name: str(amount) for name, amount in capacity.items()}, ("storage",))
    for name, amount in capacity.items():
        yield from check_positive(f"capacity[{name}]", amount)


def _check_source(spec: PersistentVolumeSpec) -> Iterator[FieldError]:
    sources = spec.sources
    if not sources:
        yield required("", "must specify a volume type")
    for index, (key, source) in enumerate(sources.items()):
        if index:
            yield forbidden(key, "may not specify more than 1 volume type")
        elif key == "hostPath":
            yield from under(key, check_host_path(source))
        elif key == "local":
            yield from _check_local(spec)
        elif key == "csi":
            yield from check_driver_name("csi.driver", source.get("driver", ""))
            if not source.get("volumeHandle"):
                yield required("csi.volumeHandle")
        else:
            yield from under(key, SOURCES[key](source))


def _check_local(spec: PersistentVolumeSpec) -> Iterator[FieldError]:
    path = spec.local.path if spec.local else ""
    if not path:
        yield required("local.path")
    yield from check_no_backsteps("local.path", path)
    if spec.node_affinity.required is None:
        yield required("nodeAffinity", "Local volume requires node affinity")


def _check_update(spec: PersistentVolumeSpec, old: PersistentVolumeSpec) -> Iterator[FieldError]:
    if spec.sources != old.sources:
        yield forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation")
    # Kubernetes names these two without `spec`.
    yield from unchanged("volumeMode", spec.volume_mode, old.volume_mode)
    if old.node_affinity.required is not None and spec.node_affinity != old.node_affinity:
        why = "field is immutable, except for updating from beta label to GA"
        yield invalid("nodeAffinity", spec.node_affinity.to_wire(), why)
    if old.volume_attributes_class_name and not spec.volume_attributes_class_name:
        yield forbidden("spec.volumeAttributesClassName", "update from non-nil value to nil is forbidden")
