"""Delete certificate signing requests that nobody needs any more. Kubernetes: the csrcleaner.

A decided one goes an hour after the last word on it, or when its certificate has expired; one that nobody decides on
goes after a day.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterator
from datetime import datetime, timedelta

from cryptography import x509

from wherry.api.certificates.certificate_signing_request import CertificateSigningRequest
from wherry.client.controller import controller
from wherry.client.plan import CheckAgain, Delete, Plan
from wherry.client.world import World

DECIDED, PENDING = timedelta(hours=1), timedelta(hours=24)


@controller(CertificateSigningRequest)
def plan(csr: CertificateSigningRequest, world: World) -> Plan:
    """Delete it when its time has come."""
    ends_at = min(_ends(csr), default=None)
    if ends_at is None or csr.metadata.deleted_at is not None:
        return
    if ends_at <= world.now:
        yield Delete(csr)
    else:
        yield CheckAgain((ends_at - world.now).total_seconds())


def _ends(csr: CertificateSigningRequest) -> Iterator[datetime]:
    said = [condition.last_update_time for condition in csr.status.conditions if condition.last_update_time]
    if said:
        yield max(said) + DECIDED
    elif csr.metadata.created_at is not None:
        yield csr.metadata.created_at + PENDING
    if csr.status.certificate:
        yield from _expiry(csr.status.certificate)


def _expiry(encoded: str) -> Iterator[datetime]:
    try:
        yield x509.load_pem_x509_certificate(b64decode(encoded)).not_valid_after_utc
    except ValueError:
        return  # another signer's, and not ours to judge
