"""Certificate signing requests: which ones are approved without asking anybody, and which ones are signed.

Pure; `shells/certifying.py` asks the server whether a requestor may have what it asks for, and holds the authority's
key. Kubernetes: the csrapproving and csrsigning controllers. Differs: kubernetes.io/legacy-unknown, which v1 of the API
refuses to take, is not signed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from wherry.api.certificates.certificate_signing_request import (
    APPROVED,
    DENIED,
    FAILED,
    CertificateSigningRequest,
    RequestCondition,
)
from wherry.api.certificates.request import Requested, requested
from wherry.client.plan import Plan, SetStatus, Update

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
SIGNERS = (CLIENT, KUBELET_CLIENT, KUBELET_SERVING)
# A certificate lives at most so long, and less if the request or the authority's own end says so.
LONGEST = timedelta(days=365)
# Clocks of other machines may be behind ours.
BACKDATED = timedelta(minutes=5)

_NODES, _NODE = ("system:nodes",), "system:node:"
_COMMON_USAGES = {"digital signature", "key encipherment"}


class Recognition(NamedTuple):
    """A request of a known kind; approved if its author may `create` certificatesigningrequests/PERMISSION."""

    permission: str
    message: str


def recognitions(csr: CertificateSigningRequest) -> list[Recognition]:
    """What an undecided request may be: a node's renewal of its own certificate, or a node's first one."""
    if csr.decisions & {APPROVED, DENIED} or csr.spec.signer_name != KUBELET_CLIENT or refusal(csr):
        return []
    text = "Auto approving {}kubelet client certificate after SubjectAccessReview."
    first = Recognition("nodeclient", text.format(""))
    if requested(csr.spec.request).common_name != csr.spec.username:
        return [first]
    return [Recognition("selfnodeclient", text.format("self ")), first]


def approved(csr: CertificateSigningRequest, message: str, now: datetime) -> Plan:
    """Say yes."""
    yes = RequestCondition(
        type=APPROVED, status="True", reason="AutoApproved", message=message, last_update_time=now
    ).to_wire()
    conditions = [*(condition.to_wire() for condition in csr.status.conditions), yes]
    yield Update(csr, {"status": {"conditions": conditions}}, "approval")


def is_to_be_signed(csr: CertificateSigningRequest) -> bool:
    """Whether it is approved, ours to sign, and nothing came of it yet."""
    is_ours = csr.spec.signer_name in SIGNERS and not csr.status.certificate
    return is_ours and APPROVED in csr.decisions and not csr.decisions & {DENIED, FAILED}


def issued(csr: CertificateSigningRequest, certificate: str) -> Plan:
    """Hand over the certificate (base64 of PEM)."""
    yield SetStatus(csr.with_status(certificate=certificate))


def failed(csr: CertificateSigningRequest, why: str, now: datetime) -> Plan:
    """Say why there will be none."""
    no = RequestCondition(
        type=FAILED, status="True", reason="SignerValidationFailure", message=why, last_update_time=now
    )
    yield SetStatus(csr.with_status(conditions=(*csr.status.conditions, no)))


def lifetime(csr: CertificateSigningRequest, now: datetime, authority_ends_at: datetime) -> tuple[datetime, datetime]:
    """From when until when the certificate is valid."""
    seconds = csr.spec.expiration_seconds
    wanted = LONGEST if seconds is None else min(timedelta(seconds=seconds), LONGEST)
    return now - BACKDATED, min(now + wanted, authority_ends_at)


def refusal(csr: CertificateSigningRequest) -> str:
    """Why the signer does not sign this; empty if it does."""
    try:
        wanted = requested(csr.spec.request)
    except ValueError as error:
        return f"unable to parse csr: {error}"
    needed = {"server auth"} if csr.spec.signer_name == KUBELET_SERVING else {"client auth"}
    usages = set(csr.spec.usages)
    if csr.spec.signer_name != CLIENT:
        needed.add("digital signature")
        if why := _not_a_node(wanted) or _wrong_names(wanted, csr.spec.signer_name):
            return why
    if not needed <= usages or usages - needed - _COMMON_USAGES:
        return f"usages did not match {sorted(needed | _COMMON_USAGES)}"
    return ""


def _not_a_node(wanted: Requested) -> str:
    if wanted.organizations != _NODES:
        return "subject organization is not system:nodes"
    return "" if wanted.common_name.startswith(_NODE) else "subject common name does not begin with system:node:"


def _wrong_names(wanted: Requested, signer: str) -> str:
    if signer == KUBELET_CLIENT:
        return "subjectAltNames are not allowed" if wanted.has_alternative_names else ""
    if wanted.email_addresses or wanted.uris:
        return "email and URI subjectAltNames are not allowed"
    return "" if wanted.dns_names or wanted.ip_addresses else "DNS or IP subjectAltName is required"
