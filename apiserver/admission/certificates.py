"""Certificate signing requests: whose they are, who may approve them, who may sign them, and what none may ask for."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from apiserver.access.rbac import MASTERS, Attributes
from apiserver.access.reviews import user_fields
from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.certificates.certificate_signing_request import FAILED, CertificateSigningRequest
from wherry.api.certificates.request import requested
from wherry.machinery.errors import forbidden

if TYPE_CHECKING:
    from apiserver.server import Server

RESOURCE = CertificateSigningRequest.kind.resource
API_CLIENT = "kubernetes.io/kube-apiserver-client"
_IDENTITY = ("username", "uid", "groups", "extra")


class CertificateRequestor(AdmissionPlugin):
    """Who asks is what the server knows, whatever the request says. Kubernetes: the strategy of the kind."""

    kinds: ClassVar[tuple[str, ...]] = (RESOURCE,)
    operations: ClassVar[tuple[str, ...]] = ("CREATE",)
    order = 0

    async def mutate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        spec = draft.setdefault("spec", {})
        for field in _IDENTITY:
            spec.pop(field, None)
        spec |= user_fields(write.user)


class CertificateApproval(AdmissionPlugin):
    """Kubernetes: CertificateApproval. The verb is `approve`, on `signers` by name or by domain (`example.com/*`)."""

    kinds: ClassVar[tuple[str, ...]] = (RESOURCE,)
    operations: ClassVar[tuple[str, ...]] = ("UPDATE",)

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        if write.subresource == "approval":
            _check_signer(self.server, draft, write, "approve")


class CertificateSigning(AdmissionPlugin):
    """Kubernetes: CertificateSigning. The verb is `sign`."""

    kinds: ClassVar[tuple[str, ...]] = (RESOURCE,)
    operations: ClassVar[tuple[str, ...]] = ("UPDATE",)

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        if write.subresource == "status" and _outcome(draft) != _outcome(old or {}):
            _check_signer(self.server, draft, write, "sign")


class CertificateSubjectRestriction(AdmissionPlugin):
    """Kubernetes: CertificateSubjectRestriction. Nobody gets past authorization for ever by way of a certificate."""

    kinds: ClassVar[tuple[str, ...]] = (RESOURCE,)
    operations: ClassVar[tuple[str, ...]] = ("CREATE",)

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        spec = draft["spec"]
        if spec.get("signerName") == API_CLIENT and MASTERS in requested(spec["request"]).organizations:
            why = f"use of {API_CLIENT} signer with {MASTERS} group is not allowed"
            raise forbidden(RESOURCE, write.name, why)


def _outcome(draft: Draft) -> tuple[str, bool]:
    status = draft.get("status") or {}
    has_failed = any(condition.get("type") == FAILED for condition in status.get("conditions") or [])
    return status.get("certificate") or "", has_failed


def _check_signer(server: Server, draft: Draft, write: Write, verb: str) -> None:
    signer = draft["spec"]["signerName"]
    group = CertificateSigningRequest.kind.group
    for name in (signer, f"{signer.partition('/')[0]}/*"):
        if server.authorizer.decide(write.user, Attributes(verb, group, "signers", "", name)).allowed:
            return
    raise forbidden(RESOURCE, write.name, f'user not permitted to {verb} requests with signerName "{signer}"')
