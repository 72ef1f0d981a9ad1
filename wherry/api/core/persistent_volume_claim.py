"""PersistentVolumeClaim: the wish for a piece of storage. Behaviour: controllers/volumes/volume_binding.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.api.core.claim_spec import PersistentVolumeClaimSpec, access_mode_text, check_claim_spec
from wherry.api.core.resource_rules import check_amount
from wherry.api.meta import Conditions
from wherry.machinery.field_errors import FieldError, forbidden
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import unchanged, under
from wherry.machinery.view import View

# The finalizer of a claim that pods may have mounted.
IN_USE = "kubernetes.io/pvc-protection"
_IMMUTABLE = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


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
    columns = (
        Column("Status", lambda claim: "Terminating" if claim.metadata.deleted_at else claim.status.phase),
        Column("Volume", lambda claim: claim.spec.volume_name),
        Column("Capacity", lambda claim: _if_bound(claim, str(claim.status.capacity.get("storage", "")))),
        Column("Access Modes", lambda claim: _if_bound(claim, access_mode_text(claim.status.access_modes))),
        Column("StorageClass", lambda claim: claim.spec.storage_class_name or ""),
        Column("VolumeAttributesClass", lambda claim: claim.spec.volume_attributes_class_name or "<unset>"),
        AGE,
        Column("VolumeMode", lambda claim: claim.spec.volume_mode or "<unset>", priority=1),
    )

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """A new claim waits for its volume."""
        draft["status"] = {"phase": "Pending"}

    def validate(self, old: PersistentVolumeClaim | None) -> Iterator[FieldError]:
        """Every broken rule; a claim grows, and otherwise stays what it is."""
        yield from under("spec", check_claim_spec(self.spec))
        if old is not None:
            yield from _check_update(self, old)

    def validate_status(self, old: PersistentVolumeClaim) -> Iterator[FieldError]:
        """Every broken rule of a status report."""
        for name, amount in self.status.capacity.items():
            yield from check_amount(f"status.capacity[{name}]", name, amount)


def _if_bound(claim: PersistentVolumeClaim, text: str) -> str:
    return text if claim.spec.volume_name else ""


def _check_update(claim: PersistentVolumeClaim, old: PersistentVolumeClaim) -> Iterator[FieldError]:
    if _settled(claim, old) != old.spec:
        yield forbidden("spec", _IMMUTABLE)
    now, before = (each.spec.resources.requests.get("storage", Quantity()) for each in (claim, old))
    if now < before and now <= old.status.capacity.get("storage", Quantity()):
        yield forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")
    yield from unchanged("volumeMode", claim.spec.volume_mode, old.spec.volume_mode)
    yield from _check_attributes_class(claim.spec.volume_attributes_class_name, old.spec.volume_attributes_class_name)


def _settled(claim: PersistentVolumeClaim, old: PersistentVolumeClaim) -> PersistentVolumeClaimSpec:
    """The spec with what may change made the same as before."""
    spec, before = claim.spec, old.spec
    changes: dict[str, Any] = {}
    if not before.volume_name:
        changes["volume_name"] = before.volume_name
    if before.storage_class_name is None:
        changes["storage_class_name"] = None
    if claim.status.phase == "Bound":
        requests = {**spec.resources.requests, "storage": before.resources.requests.get("storage", Quantity())}
        changes["resources"] = spec.resources.replace(requests=requests)
        if spec.volume_attributes_class_name is not None:
            changes["volume_attributes_class_name"] = before.volume_attributes_class_name
    return spec.replace(**changes)


def _check_attributes_class(name: str | None, before: str | None) -> Iterator[FieldError]:
    field = "spec.volumeAttributesClassName"
    if before is not None and name is None:
        yield forbidden(field, "update from non-nil value to nil is forbidden")
    elif before and not name:
        yield forbidden(field, "update from non-nil value to an empty string is forbidden")
