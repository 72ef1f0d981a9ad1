"""What a claim on storage says: in a PersistentVolumeClaim, and in the template a pod carries for its own claims."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from wherry.api.core.resource_rules import check_positive
from wherry.api.meta import Selector
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden, invalid, not_supported, required
from wherry.machinery.meta import ObjectMeta
from wherry.machinery.quantity import Quantity
from wherry.machinery.schema import defaults
from wherry.machinery.validation import check_annotations, check_labels, check_name, check_selector, under
from wherry.machinery.view import View

ACCESS_MODES = {"ReadWriteOnce": "RWO", "ReadOnlyMany": "ROX", "ReadWriteMany": "RWX", "ReadWriteOncePod": "RWOP"}
VOLUME_MODES = ("Block", "Filesystem")

defaults.literal("io.k8s.api.core.v1.PersistentVolumeClaimSpec", volumeMode="Filesystem")


class StorageResources(View):
    """How much storage is wanted."""

    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}


class DataSource(View):
    """What the volume is filled with at first."""

    api_group: str = ""
    kind: str = ""
    name: str = ""
    namespace: str = ""


class PersistentVolumeClaimSpec(View):
    """How much, how it is used, and which volume it got."""

    access_modes: tuple[str, ...] = ()
    resources: StorageResources = StorageResources()
    selector: Selector | None = None
    # None means the default class, an empty name no class at all.
    storage_class_name: str | None = None
    volume_mode: str = "Filesystem"
    volume_name: str = ""
    volume_attributes_class_name: str | None = None
    data_source: DataSource | None = None
    data_source_ref: DataSource | None = None


def access_mode_text(modes: Iterable[str]) -> str:
    """The modes as `kubectl get` shows them: RWO,ROX."""
    given = set(modes)
    return ",".join(short for mode, short in ACCESS_MODES.items() if mode in given)


def check_access_modes(modes: tuple[str, ...]) -> Iterator[FieldError]:
    """Known modes; ReadWriteOncePod stands alone."""
    for mode in modes:
        if mode not in ACCESS_MODES:
            yield not_supported("accessModes", mode, ACCESS_MODES)
    if "ReadWriteOncePod" in modes and any(mode in ACCESS_MODES for mode in set(modes) - {"ReadWriteOncePod"}):
        yield forbidden("accessModes", "may not use ReadWriteOncePod with other access modes")


def check_claim_spec(spec: PersistentVolumeClaimSpec) -> Iterator[FieldError]:
    """Paths begin at the claim's `spec`."""
    if not spec.access_modes:
        yield required("accessModes", "at least 1 access mode is required")
    if spec.selector is not None:
        yield from check_selector("selector", spec.selector.raw)
    yield from check_access_modes(spec.access_modes)
    storage = spec.resources.requests.get("storage")
    if storage is None:
        yield required("resources[storage]")
    else:
        yield from check_positive("resources[storage]", storage)
    if spec.storage_class_name:
        yield from check_name("storageClassName", spec.storage_class_name, names.dns1123_subdomain)
    if spec.volume_mode not in VOLUME_MODES:
        yield not_supported("volumeMode", spec.volume_mode, VOLUME_MODES)
    yield from _check_sources(spec.data_source, spec.data_source_ref)
    if spec.volume_attributes_class_name:
        yield from check_name("volumeAttributesClassName", spec.volume_attributes_class_name, names.dns1123_subdomain)


def _check_sources(source: DataSource | None, ref: DataSource | None) -> Iterator[FieldError]:
    if source:
        yield from under("dataSource", _check_source(source))
    if ref:
        yield from under("dataSourceRef", _check_source(ref))
    if source and ref:
        if ref.namespace:
            yield invalid("", "dataSource", "may not be specified when dataSourceRef.namespace is specified")
        elif source.replace(namespace="") != ref:
            yield invalid("", "dataSource", "must match dataSourceRef")


def _check_source(source: DataSource) -> Iterator[FieldError]:
    if not source.name:
        yield required("name")
    if not source.kind:
        yield required("kind")
    if source.api_group:
        yield from check_name("apiGroup", source.api_group, names.dns1123_subdomain)
    elif source.kind != "PersistentVolumeClaim":
        yield invalid("", source.kind, "must be 'PersistentVolumeClaim' when referencing the default apiGroup")
    if source.namespace:
        yield from check_name("namespace", source.namespace, names.dns1123_label)


def check_claim_template(template: dict[str, Any]) -> Iterator[FieldError]:
    """A claim made together with its pod: of the metadata only labels and annotations count."""
    metadata: dict[str, Any] = template.get("metadata") or {}
    meta = ObjectMeta.read(metadata)
    yield from check_annotations("metadata.annotations", meta.annotations)
    yield from check_labels("metadata.labels", meta.labels)
    for field, value in metadata.items():
        if value and field not in ("annotations", "labels"):
            yield forbidden(f"metadata.{field}", "cannot be set")
    yield from under("spec", check_claim_spec(PersistentVolumeClaimSpec.read(template.get("spec") or {})))
