"""Who is asking? A client certificate, a bearer token, or nobody. Kubernetes: WithAuthentication."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509.oid import NameOID

from apiserver.access.bootstrap_tokens import user_of_token
from apiserver.request import ANONYMOUS, Answer, Request, User
from wherry.machinery.errors import Unauthorized

if TYPE_CHECKING:
    from apiserver.pipeline import Proceed
    from apiserver.server import Server

AUTHENTICATED = "system:authenticated"
CREDENTIAL = "authentication.kubernetes.io/credential-id"


async def authenticate(server: Server, request: Request, proceed: Proceed) -> Answer:
    """Fill in `request.user`; wrong credentials are a 401 even where nobody would have been let in."""
    try:
        request.user = who_is(server, request)
    except Unauthorized as error:
        user = await _vouched_for(server, request)
        if user is not None:
            request.user = user
            return await proceed(server, request)
        record = server.audit.record_of(server, request) if server.audit is not None else None
        if record is not None:
            record.failed(error)
        raise
    return await proceed(server, request)


def who_is(server: Server, request: Request) -> User:
    """The user behind a request; raises Unauthorized."""
    certificate = (request.scope.get("extensions") or {}).get("tls", {}).get("client_cert_der")
    if certificate:
        return user_of_certificate(certificate)
    header = request.header(b"authorization")
    if not header:
        anonymous = server.settings.anonymous
        if anonymous is not None and not anonymous.admits(request.path):
            raise Unauthorized()
        return ANONYMOUS
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise Unauthorized()
    return user_of_token(server, token.strip())


async def _vouched_for(server: Server, request: Request) -> User | None:
    """The user in whose name a trusted issuer has signed the token."""
    scheme, _, token = request.header(b"authorization").partition(" ")
    if server.issuers is None or scheme.lower() != "bearer":
        return None
    return await server.issuers.user_of(token.strip())


@lru_cache(maxsize=4096)
def user_of_certificate(der: bytes) -> User:
    """Common name and organisations of a certificate that TLS has already verified against our CA."""
    subject = x509.load_der_x509_certificate(der).subject
    names = subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if not names:
        raise Unauthorized()
    groups = tuple(str(each.value) for each in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME))
    credential = "X509SHA256=" + hashlib.sha256(der).hexdigest()
    return User(str(names[0].value), (*groups, AUTHENTICATED), extra=((CREDENTIAL, (credential,)),))
