"""CertificateSigningRequest: please sign this, for this use. Approved by people or controllers, then signed.

Behaviour: controllers/access/, controllers/shells/certifying.py; who may approve and sign is decided in
apiserver/admission/certificates.py.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from wherry.api.certificates.request import requested
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, duplicate, forbidden, invalid, not_supported, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.time import duration_text
from wherry.machinery.validation import under
from wherry.machinery.view import View

APPROVED, DENIED, FAILED = "Approved", "Denied", "Failed"
LEGACY = "kubernetes.io/legacy-unknown"
MIN_SECONDS = 600
USAGES = frozenset(
    {
        *("signing", "digital signature", "content commitment", "key encipherment", "key agreement"),
        *("data encipherment", "cert sign", "crl sign", "encipher only", "decipher only", "any", "server auth"),
        *("client auth", "code signing", "email protection", "s/mime", "ipsec end system", "ipsec tunnel"),
        *("ipsec user", "timestamping", "ocsp signing", "microsoft sgc", "netscape sgc"),
    }
)
_MAX_SIGNER = 571


class CertificateSigningRequestSpec(View):
    """What is to be signed, by whom and for what; and who asks, which the server fills in."""

    request: str = ""
    signer_name: str = ""
    expiration_seconds: int | None = None
    usages: tuple[str, ...] = ()
    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, tuple[str, ...]] = {}


class RequestCondition(View):
    """Approved, Denied or Failed; true for ever."""

    type: str = ""
    status: str = ""
    reason: str = ""
    message: str = ""
    last_update_time: datetime | None = None
    last_transition_time: datetime | None = None


class CertificateSigningRequestStatus(View):
    """What was decided, and the certificate (base64 of PEM)."""

    conditions: tuple[RequestCondition, ...] = ()
    certificate: str = ""


class CertificateSigningRequest(
    Resource,
    group="certificates.k8s.io",
    version="v1",
    scope="Cluster",
    short=("csr",),
    subresources=("approval", "status"),
):
    """Please sign this, for this use."""

    spec: CertificateSigningRequestSpec = CertificateSigningRequestSpec()
    status: CertificateSigningRequestStatus = CertificateSigningRequestStatus()

    selectable = {"spec.signerName": lambda request: request.spec.signer_name}
    columns = (
        AGE,
        Column("SignerName", lambda request: request.spec.signer_name or "<none>"),
        Column("Requestor", lambda request: request.spec.username),
        Column("RequestedDuration", lambda request: _duration(request.spec.expiration_seconds)),
        Column("Condition", lambda request: _condition(request)),
    )

    @property
    def decisions(self) -> set[str]:
        """Which conditions hold."""
        return {condition.type for condition in self.status.conditions}

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """Nothing is decided yet."""
        draft["status"] = {}

    @classmethod
    def prepare_update(cls, draft: dict[str, Any], old: dict[str, Any]) -> None:
        """What is asked for stays as it was asked."""
        draft.pop("spec", None)
        if "spec" in old:
            draft["spec"] = old["spec"]

    def validate(self, old: CertificateSigningRequest | None) -> Iterator[FieldError]:
        """Every broken rule of a request."""
        yield from under("spec", _check_spec(self.spec))
        yield from under("status.conditions", _check_conditions(self.status.conditions))

    def validate_status(self, old: CertificateSigningRequest) -> Iterator[FieldError]:
        """The signer's report: a certificate once, and nothing about approval."""
        yield from under("status.conditions", _check_conditions(self.status.conditions))
        for type in sorted({APPROVED, DENIED} & (self.decisions - old.decisions)):
            yield forbidden("status.conditions", f'updates may not add a condition of type "{type}"')
        yield from self.check_kept(old)
        if self.status.certificate != old.status.certificate:
            if old.status.certificate:
                yield forbidden("status.certificate", "updates may not modify existing certificate content")
            elif b"-----BEGIN CERTIFICATE-----" not in b64decode(self.status.certificate):
                why = "must contain at least one CERTIFICATE PEM block"
                yield invalid("status.certificate", "<certificate data>", why)

    def validate_approval(self, old: CertificateSigningRequest) -> Iterator[FieldError]:
        """A decision is for ever, and whether signing failed is for the signer to say."""
        yield from under("status.conditions", _check_conditions(self.status.conditions))
        if FAILED in self.decisions - old.decisions:
            yield forbidden("status.conditions", f'updates may not add a condition of type "{FAILED}"')
        yield from self.check_kept(old)

    def check_kept(self, old: CertificateSigningRequest) -> Iterator[FieldError]:
        """What was decided is not taken back."""
        for type in sorted({APPROVED, DENIED, FAILED} & (old.decisions - self.decisions)):
            yield forbidden("status.conditions", f'updates may not remove a condition of type "{type}"')


def _duration(seconds: int | None) -> str:
    return "<none>" if seconds is None else duration_text(seconds)


def _condition(request: CertificateSigningRequest) -> str:
    decided = request.decisions
    words = ["Denied" if DENIED in decided else "Approved" if APPROVED in decided else "Pending"]
    if FAILED in decided:
        words.append("Failed")
    if request.status.certificate:
        words.append("Issued")
    return ",".join(words)


def _check_spec(spec: CertificateSigningRequestSpec) -> Iterator[FieldError]:
    if not spec.request:
        yield required("request")
    else:
        try:
            requested(spec.request)
        except ValueError as error:
            yield invalid("request", spec.request, str(error))
    if not spec.usages:
        yield required("usages")
    yield from _check_usages(spec.usages)
    if spec.signer_name == LEGACY:
        yield invalid("signerName", LEGACY, "the legacy signerName is not allowed via this API version")
    else:
        yield from _check_signer(spec.signer_name)
    if spec.expiration_seconds is not None and spec.expiration_seconds < MIN_SECONDS:
        why = f"may not specify a duration less than {MIN_SECONDS} seconds (10 minutes)"
        yield invalid("expirationSeconds", spec.expiration_seconds, why)


def _check_usages(usages: Iterable[str]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, usage in enumerate(usages):
        if usage not in USAGES:
            yield not_supported(f"usages[{index}]", usage, USAGES)
        elif usage in seen:
            yield duplicate(f"usages[{index}]", usage)
        seen.add(usage)


def _check_signer(name: str) -> Iterator[FieldError]:
    """A domain and a path: `kubernetes.io/kube-apiserver-client`."""
    domain, slash, path = name.partition("/")
    if not name:
        yield required("signerName")
        return
    if not slash or "." not in domain or not path or "/" in path:
        why = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        yield invalid("signerName", name, why)
        return
    for part in domain.split("."):
        for problem in names.dns1123_label(part):
            yield invalid("signerName", name, f'validating label "{part}": {problem}')
    for problem in names.dns1123_subdomain(path):
        yield invalid("signerName", name, f'validating path "{path}": {problem}')
    if len(name) > _MAX_SIGNER:
        yield invalid("signerName", name, f"must be no more than {_MAX_SIGNER} characters")


def _check_conditions(conditions: Iterable[RequestCondition]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        type, status = condition.type, condition.status
        if not type:
            yield required(f"[{index}].type")
        elif type in seen:
            yield duplicate(f"[{index}].type", type)
        elif {APPROVED: DENIED, DENIED: APPROVED}.get(type) in seen:
            yield invalid(f"[{index}].type", type, "Approved and Denied conditions are mutually exclusive")
        seen.add(type)
        allowed = ("True",) if type in (APPROVED, DENIED, FAILED) else ("True", "False", "Unknown")
        if not status:
            yield required(f"[{index}].status")
        elif status not in allowed:
            yield not_supported(f"[{index}].status", status, allowed)
