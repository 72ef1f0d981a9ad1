"""DeviceAdminAccess: only namespaces that an administrator has marked may look at devices that others have.

Kubernetes: AuthorizedForAdmin, which the registry asks about claims, their templates and what was given to them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.core.namespace import Namespace
from wherry.api.resource.device_claim import ADMIN_ACCESS, DeviceRequest
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.resource.resource_claim_template import ResourceClaimTemplate
from wherry.machinery.errors import invalid_object
from wherry.machinery.field_errors import FieldError, forbidden

_WHY = f"admin access to devices requires the `{ADMIN_ACCESS}: true` label on the containing namespace"


class DeviceAdminAccess(AdmissionPlugin):
    """See the module. What was allowed once stays, also where the namespace's label goes."""

    kinds: ClassVar[tuple[str, ...]] = (ResourceClaim.kind.resource, ResourceClaimTemplate.kind.resource)

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        wishes = list(_new_wishes(draft, old, write))
        if wishes and not self._is_marked(write.namespace):
            raise invalid_object(write.cls.kind.qualified, write.name, wishes[:1])

    def _is_marked(self, namespace: str) -> bool:
        stored = self.server.cache.of(Namespace).get("", namespace)
        return stored is not None and stored.labels.get(ADMIN_ACCESS) == "true"


def _new_wishes(draft: Draft, old: Draft | None, write: Write) -> Iterator[FieldError]:
    if write.subresource == "status":
        claim, before = ResourceClaim.read(draft), ResourceClaim.read(old or {})
        known = set(before.status.allocation.devices.results) if before.status.allocation else set()
        for index, result in enumerate(claim.status.allocation.devices.results if claim.status.allocation else ()):
            if result.admin_access and result not in known:
                yield forbidden(f"status.allocation.devices.results[{index}].adminAccess", _WHY)
    elif old is None:
        for index, request in enumerate(_requests(draft, write)):
            if request.exactly is not None and request.exactly.admin_access:
                yield forbidden(f"spec.devices.requests[{index}].adminAccess", _WHY)


def _requests(draft: Draft, write: Write) -> tuple[DeviceRequest, ...]:
    if write.cls is ResourceClaimTemplate:
        return ResourceClaimTemplate.read(draft).spec.spec.devices.requests
    return ResourceClaim.read(draft).spec.devices.requests
