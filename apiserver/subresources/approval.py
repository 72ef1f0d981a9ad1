"""`certificatesigningrequests/approval`: somebody says yes or no. Kubernetes: ApprovalREST."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from apiserver import resources
from apiserver.request import Answer, Request
from apiserver.subresources.base import subresource
from apiserver.writing.rest import Write
from wherry.api.certificates.certificate_signing_request import CertificateSigningRequest
from wherry.machinery.errors import invalid_object
from wherry.machinery.resource import Resource
from wherry.machinery.time import time_text

if TYPE_CHECKING:
    from apiserver.server import Server

Draft = dict[str, Any]
_TAKEN_ALONG = ("annotations", "finalizers", "labels", "managedFields", "ownerReferences", "resourceVersion")


@subresource("certificatesigningrequests.certificates.k8s.io/approval", verbs=("get", "patch", "update"))
async def approval(server: Server, request: Request, cls: type[Resource]) -> Answer:
    """GET, PUT and PATCH; of spec and status only the conditions count."""
    if request.verb == "get":
        return await resources.get(server, request, cls)
    write = resources.write_of(request, cls, "UPDATE")
    change = await resources.asked_change(request, cls, write)

    now = time_text(server.now())

    def decided(current: Draft) -> Draft:
        return _with_decision(current, change(current), now, write)

    return resources.respond(server, request, cls, await server.rest(cls).update(decided, write))


def _with_decision(current: Draft, wanted: Draft, now: str, write: Write) -> Draft:
    status, before = wanted.get("status") or {}, current.get("status") or {}
    conditions = [_dated(condition, now) for condition in status.get("conditions") or []]
    result: Draft = {**current, "status": {**before, "conditions": conditions}}
    errors = list(CertificateSigningRequest.read(result).validate_approval(CertificateSigningRequest.read(current)))
    if errors:
        raise invalid_object(CertificateSigningRequest.kind.qualified, write.name, errors)
    metadata = {key: value for key, value in current["metadata"].items() if key not in _TAKEN_ALONG}
    result["metadata"] = metadata | {key: value for key, value in wanted["metadata"].items() if key in _TAKEN_ALONG}
    return result


def _dated(condition: Draft, now: str) -> Draft:
    times = {field: now for field in ("lastUpdateTime", "lastTransitionTime") if not condition.get(field)}
    return {**condition, **times}
