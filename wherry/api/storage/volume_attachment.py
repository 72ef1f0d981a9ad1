"""VolumeAttachment: the wish to have a volume attached to a node, and whether it is. Served by storage drivers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from wherry.api.core.pod.validation.volumes import check_driver_name
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden, immutable, required, too_long
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_name, under
from wherry.machinery.view import Verbatim, View

MAX_MESSAGE = 1024 * 1024
MAX_METADATA_BYTES = 256 * 1024
_EXACTLY_ONE = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"


class VolumeAttachmentSource(View):
    """A volume by name, or written out."""

    persistent_volume_name: str | None = None
    inline_volume_spec: Verbatim | None = None


class VolumeAttachmentSpec(View):
    """Who attaches which volume to which node."""

    attacher: str = ""
    source: VolumeAttachmentSource = VolumeAttachmentSource()
    node_name: str = ""


class VolumeError(View):
    """What went wrong, and when."""

    time: datetime | None = None
    message: str = ""
    error_code: int | None = None


class VolumeAttachmentStatus(View):
    """Whether it is attached, and what went wrong."""

    attached: bool = False
    attachment_metadata: dict[str, str] = {}
    attach_error: VolumeError | None = None
    detach_error: VolumeError | None = None


class VolumeAttachment(Resource, group="storage.k8s.io", version="v1", scope="Cluster", subresources=("status",)):
    """The wish to have a volume attached to a node."""

    spec: VolumeAttachmentSpec = VolumeAttachmentSpec()
    status: VolumeAttachmentStatus = VolumeAttachmentStatus()

    delete_returns_object = True
    unconditional_update = False
    columns = (
        Column("Attacher", lambda attachment: attachment.spec.attacher),
        Column("PV", lambda attachment: attachment.spec.source.persistent_volume_name or ""),
        Column("Node", lambda attachment: attachment.spec.node_name),
        Column("Attached", lambda attachment: attachment.status.attached, type="boolean"),
        AGE,
    )

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """Nothing is attached yet."""
        draft["status"] = {"attached": False}

    def validate(self, old: VolumeAttachment | None) -> Iterator[FieldError]:
        """Every broken rule; what is wanted is for life."""
        yield from under("spec", _check_spec(self.spec))
        if old is not None and self.spec != old.spec:
            yield immutable("spec", self.spec.to_wire())

    def validate_status(self, old: VolumeAttachment) -> Iterator[FieldError]:
        """Every broken rule of a driver's report."""
        status = self.status
        for field, error in (("attachError", status.attach_error), ("detachError", status.detach_error)):
            if error is not None and len(error.message) > MAX_MESSAGE:
                yield too_long(f"status.{field}.message", MAX_MESSAGE)
        size = sum(len(key) + len(value) for key, value in status.attachment_metadata.items())
        if size > MAX_METADATA_BYTES:
            yield too_long("status.attachmentMetadata", MAX_METADATA_BYTES)


def _check_spec(spec: VolumeAttachmentSpec) -> Iterator[FieldError]:
    yield from check_driver_name("attacher", spec.attacher)
    name, inline = spec.source.persistent_volume_name, spec.source.inline_volume_spec
    if name is None and inline is None:
        yield required("source", _EXACTLY_ONE)
    elif name is not None and inline is not None:
        yield forbidden("source", _EXACTLY_ONE)
    elif name == "":
        yield required("source.persistentVolumeName", "must specify non empty persistentVolumeName")
    elif name is not None:
        yield from check_name("source.persistentVolumeName", name, names.dns1123_subdomain)
    yield from check_name("nodeName", spec.node_name, names.dns1123_subdomain)
