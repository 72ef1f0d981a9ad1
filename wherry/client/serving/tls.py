"""The TLS side of a component's own port: its certificate, and whose clients' certificates are believed."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import web


class Tls(NamedTuple):
    """Files: our certificate and key, and the CA that clients' certificates must be signed by."""

    cert: Path
    key: Path
    client_ca: Path


def context_of(tls: Tls) -> ssl.SSLContext:
    """Clients may come without a certificate, never with one of another authority."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tls.client_ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_cert_chain(tls.cert, tls.key)
    return context


def certificate_of(request: web.Request) -> dict[str, Any] | None:
    """The certificate that a client showed, and TLS found good."""
    tls = request.transport.get_extra_info("ssl_object") if request.transport else None
    return tls.getpeercert() if tls else None
