"""ResourceClaim: devices that somebody wants, and which ones were given."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.core.pod.spec import NodeSelector
from wherry.api.core.pod.validation.scheduling import check_node_selector
from wherry.api.core.pod.validation.volumes import check_driver_name
from wherry.api.resource.device_claim import (
    GROUP,
    DeviceToleration,
    RequestNames,
    ResourceClaimSpec,
    at_most,
    check_claim_spec,
    check_request_references,
    distinct,
    request_names,
)
from wherry.machinery.field_errors import FieldError, forbidden, immutable, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import each, under
from wherry.machinery.view import View

MAX_RESERVATIONS = 256
DELETE_PROTECTION = "resource.kubernetes.io/delete-protection"


class DeviceRequestAllocationResult(View):
    """A device that was given for a request."""

    request: str = ""
    driver: str = ""
    pool: str = ""
    device: str = ""
    # Whether the claim only looks at a device that somebody else has, or may get.
    admin_access: bool = False
    tolerations: tuple[DeviceToleration, ...] = ()


class DeviceAllocationResult(View):
    """The devices that were given."""

    results: tuple[DeviceRequestAllocationResult, ...] = ()

    @property
    def held(self) -> tuple[DeviceRequestAllocationResult, ...]:
        """Those that nobody else gets meanwhile."""
        return tuple(result for result in self.results if not result.admin_access)


class AllocationResult(View):
    """The devices that were given, and where they can be used."""

    devices: DeviceAllocationResult = DeviceAllocationResult()
    node_selector: NodeSelector | None = None


class ResourceClaimConsumerReference(View):
    """Somebody who uses the claim, as a rule a pod."""

    api_group: str = ""
    resource: str = ""
    name: str = ""
    uid: str = ""


class ResourceClaimStatus(View):
    """What was given, and who uses it."""

    allocation: AllocationResult | None = None
    reserved_for: tuple[ResourceClaimConsumerReference, ...] = ()


class ResourceClaim(Resource, group=GROUP, version="v1", subresources=("status",)):
    """Devices that somebody wants."""

    spec: ResourceClaimSpec = ResourceClaimSpec()
    status: ResourceClaimStatus = ResourceClaimStatus()

    columns = (Column("State", lambda claim: ",".join(claim.states)), AGE)

    @property
    def states(self) -> tuple[str, ...]:
        """How far it is, as kubectl says it."""
        deleted = ("deleted",) if self.metadata.deleted_at else ()
        if self.status.allocation is None:
            return deleted or ("pending",)
        return (*deleted, "allocated", *(("reserved",) if self.status.reserved_for else ()))

    def validate(self, old: ResourceClaim | None) -> Iterator[FieldError]:
        """Every broken rule; what is wanted is for life."""
        if old is None:
            yield from under("spec", check_claim_spec(self.spec))
        elif self.spec != old.spec:
            yield immutable("spec", self.spec.to_wire())

    def validate_status(self, old: ResourceClaim) -> Iterator[FieldError]:
        """Every broken rule of what was given, and to whom."""
        return under("status", self._check_status(old))

    def _check_status(self, old: ResourceClaim) -> Iterator[FieldError]:
        status, before = self.status, old.status
        yield from at_most("reservedFor", status.reserved_for, MAX_RESERVATIONS)
        yield from each("reservedFor", status.reserved_for, _check_consumer)
        yield from distinct("reservedFor", "uid", (consumer.uid for consumer in status.reserved_for))
        if status.reserved_for and status.allocation is None:
            yield forbidden("reservedFor", "may not be specified when `allocated` is not set")
        added = set(status.reserved_for) - set(before.reserved_for)
        if status.allocation is not None and self.metadata.deleted_at and added:
            why = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
            yield forbidden("reservedFor", why)
        if status.allocation is None:
            return
        if before.allocation is not None:
            if status.allocation != before.allocation:
                yield immutable("allocation", status.allocation.to_wire())
        else:
            yield from under("allocation", _check_allocation(status.allocation, request_names(self.spec.devices)))


def _check_consumer(consumer: ResourceClaimConsumerReference) -> Iterator[FieldError]:
    for field, value in (("resource", consumer.resource), ("name", consumer.name), ("uid", consumer.uid)):
        if not value:
            yield required(field)


def _check_allocation(allocation: AllocationResult, known: RequestNames) -> Iterator[FieldError]:
    for index, result in enumerate(allocation.devices.results):
        path = f"devices.results[{index}]"
        problems = check_request_references("", (result.request,), known)
        yield from (problem._replace(field=f"{path}.request") for problem in problems)
        yield from check_driver_name(f"{path}.driver", result.driver)
        for field, value in (("pool", result.pool), ("device", result.device)):
            if not value:
                yield required(f"{path}.{field}")
    if allocation.node_selector is not None:
        yield from under("nodeSelector", check_node_selector(allocation.node_selector))
