"""A request passed on to who answers for its group, in the name of who asks.

The other server knows by a client certificate of the front proxy's authority that it may believe the headers.
Kubernetes: kube-aggregator's proxyHandler.
"""

from __future__ import annotations

import ssl
from base64 import b64decode
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from apiserver.proxying.forwarding import Onward
from apiserver.proxying.places import Asked, Place, place_behind
from apiserver.request import Answer, Request, Response, User
from apiserver.tracing.trace import part, propagated
from wherry.api.apiregistration.api_service import HTTPS_PORT, APIService
from wherry.api.core.service import Service
from wherry.machinery.errors import Unavailable

if TYPE_CHECKING:
    from apiserver.aggregation.remotes import Remote
    from apiserver.server import Server

AGGREGATOR = User("system:kube-aggregator", ("system:masters",))
_UNAVAILABLE = Response(503, b"service unavailable\n", b"text/plain; charset=utf-8")


async def pass_on(server: Server, request: Request, remote: Remote) -> Answer:
    """Let the other server answer; a 503 says that it does not."""
    if not remote.is_available:
        return _UNAVAILABLE
    try:
        place = place_of(server, remote.service)
        raw = (request.scope.get("raw_path") or request.path.encode()).partition(b"?")[0].decode("latin-1")
        with part("aggregated server"):
            headers = (*identity_of(request.user), *propagated().items())
            return await server.forwarding.answer(request, Onward(place, raw, more_headers=headers))
    except Unavailable:
        return _UNAVAILABLE


async def ask(server: Server, service: APIService, path: str, accept: str, seconds: float) -> bytes:
    """The body of a GET by this server itself; raises ApiError, OSError."""
    return await server.forwarding.read(place_of(server, service), path, accept, identity_of(AGGREGATOR), seconds)


def identity_of(user: User) -> tuple[tuple[str, str], ...]:
    """The headers that say who asks."""
    headers = [("X-Remote-User", user.name)]
    if user.uid:
        headers.append(("X-Remote-Uid", user.uid))
    headers += [("X-Remote-Group", group) for group in user.groups]
    for key, values in user.extra:
        headers += [(f"X-Remote-Extra-{quote(key, safe='')}", value) for value in values]
    return tuple(headers)


def place_of(server: Server, service: APIService) -> Place:
    """Where it answers; raises Unavailable."""
    reference, spec = service.spec.service, service.spec
    if reference is None:
        raise Unavailable("it is answered here")
    stored = server.cache.of(Service).get(reference.namespace, reference.name)
    if stored is None:
        raise Unavailable(f'service "{reference.name}" not found')
    found = Service.read(stored.item)
    port = reference.port or HTTPS_PORT
    if found.spec.type == "ExternalName":
        url = f"https://{found.spec.external_name}:{port}"
    else:
        url = place_behind(server, found, Asked("https", reference.name, str(port)), only_pods=False).url
    settings = server.settings
    trust = "-" if spec.insecure_skip_tls_verify else spec.ca_bundle
    tls = _trusting(trust, settings.proxy_client_cert, settings.proxy_client_key)
    return Place(url, tls, f"{reference.name}.{reference.namespace}.svc")


@lru_cache(maxsize=64)
def _trusting(ca_bundle: str, cert_file: Path | None, key_file: Path | None) -> ssl.SSLContext:
    """TLS that believes this bundle (base64 of PEM; `-` everybody), with the front proxy's certificate."""
    try:
        data = b64decode(ca_bundle).decode("ascii") if ca_bundle not in ("", "-") else None
        context = ssl.create_default_context(cadata=data)
    except (ssl.SSLError, ValueError):
        raise Unavailable("unable to load root certificates: unable to parse bytes as PEM block") from None
    if ca_bundle == "-":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if cert_file is not None and key_file is not None:
        context.load_cert_chain(cert_file, key_file)
    return context
