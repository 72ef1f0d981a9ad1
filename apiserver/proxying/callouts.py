"""Questions to servers that a configuration names: a URL, or a service of the cluster, over TLS and with a time limit.

Webhooks are asked like this. The server is on the machine, not in the pod network, so a service is asked at one of its
endpoints; its certificate must be for `name.namespace.svc`. Kubernetes: apiserver/pkg/util/webhook.ClientManager.
"""

from __future__ import annotations

import asyncio
import os
import ssl
from base64 import b64decode
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from apiserver.proxying.forwarding import whole_body
from apiserver.proxying.places import Asked, place_behind
from apiserver.tracing.trace import propagated
from wherry.api.admission.webhooks import ServiceReference, WebhookClientConfig
from wherry.api.core.service import Service
from wherry.machinery.errors import ApiError

if TYPE_CHECKING:
    import aiohttp

    from apiserver.server import Server

_KEPT_SECONDS = 90.0
_SHOWN_BYTES = 1024


class CallFailed(Exception):
    """Why there is no answer, in the words of Kubernetes."""


class Way(NamedTuple):
    """How a server is reached: where to connect, under which name, whom to believe; `shown` is for messages."""

    url: str
    shown: str
    server_name: str | None
    tls: ssl.SSLContext


class Callouts:
    """Asks, and reads the answers."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._kept: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Let go of every connection."""
        if self._kept is not None:
            await self._kept.close()

    async def post(self, client: WebhookClientConfig, question: Any, seconds: int) -> Any:
        """The JSON answer to a JSON question; raises CallFailed."""
        import aiohttp

        shown = _shown(client)
        if seconds:
            shown += f"?timeout={seconds}s"
        try:
            async with asyncio.timeout(seconds or None):
                way = self._way(client)
                url = way.url + (f"?timeout={seconds}s" if seconds else "")
                status, body = await self._exchange(way, url, orjson.dumps(question))
        except TimeoutError:
            raise CallFailed(f'Post "{shown}": context deadline exceeded') from None
        except (aiohttp.ClientError, OSError, ApiError, ValueError) as error:
            raise CallFailed(f'Post "{shown}": {_words(error)}') from None
        if status != 200:
            raise CallFailed(_refusal(status, body))
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise CallFailed(f"the answer is not JSON: {error}") from None

    async def _exchange(self, way: Way, url: str, body: bytes) -> tuple[int, bytes]:
        import aiohttp

        if self._kept is None:
            connector = aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEPT_SECONDS)
            self._kept = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        headers = {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "User-Agent": "kube-apiserver-admission",
            **propagated(),
        }
        if way.server_name:
            headers["Host"] = way.server_name
        asked = self._kept.post(
            url, data=body, headers=headers, ssl=way.tls, server_hostname=way.server_name, allow_redirects=False
        )
        async with asked as answer:
            return answer.status, await whole_body(answer)

    def _way(self, client: WebhookClientConfig) -> Way:
        tls, shown = trusting(client.ca_bundle), _shown(client)
        if client.service is None:
            return Way(shown, shown, None, tls)
        service = client.service
        root = self._root_of(service)
        return Way(root + _path(service), shown, f"{service.name}.{service.namespace}.svc", tls)

    def _root_of(self, reference: ServiceReference) -> str:
        return place_of_reference(self._server, reference)


def place_of_reference(server: Server, reference: ServiceReference) -> str:
    """The root of a URL at which a service answers; raises ApiError."""
    stored = server.cache.of(Service).get(reference.namespace, reference.name)
    if stored is None:
        raise CallFailed(f'service "{reference.name}" not found')
    service = Service.read(stored.item)
    if service.spec.type == "ExternalName":
        return f"https://{service.spec.external_name}:{reference.port}"
    asked = Asked("https", reference.name, str(reference.port))
    return place_behind(server, service, asked, only_pods=False).url


def _shown(client: WebhookClientConfig) -> str:
    service = client.service
    if service is None:
        return client.url or ""
    return f"https://{service.name}.{service.namespace}.svc:{service.port}{_path(service)}"


def _path(service: ServiceReference) -> str:
    path = service.path or ""
    return path if path.startswith("/") or not path else f"/{path}"


@lru_cache(maxsize=256)
def trusting(ca_bundle: str) -> ssl.SSLContext:
    """TLS that believes this bundle (base64 of PEM), or without one whom the machine believes."""
    if not ca_bundle:
        return ssl.create_default_context()
    try:
        return ssl.create_default_context(cadata=b64decode(ca_bundle).decode("ascii"))
    except (ssl.SSLError, ValueError):
        raise CallFailed("unable to load root certificates: unable to parse bytes as PEM block") from None


def _words(error: Exception) -> str:
    """What went wrong, as Go would say it where it can be told."""
    import aiohttp

    if isinstance(error, ApiError):
        return error.message
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", "") or str(error.certificate_error)
        return f"tls: failed to verify certificate: x509: {why}"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"dial tcp: lookup {error.host}: no such host"
    if isinstance(error, aiohttp.ClientConnectorError):
        number = error.os_error.errno
        why = os.strerror(number).lower() if number else str(error.os_error)
        return f"dial tcp {error.host}:{error.port}: connect: {why}"
    if isinstance(error, aiohttp.ServerDisconnectedError):
        return "EOF"
    return str(error) or type(error).__name__


def _refusal(status: int, body: bytes) -> str:
    """A failure by its status, as client-go tells it."""
    text = body[:_SHOWN_BYTES].decode("utf-8", "replace").strip()
    known = {
        400: "the server rejected our request for an unknown reason",
        401: "the server has asked for the client to provide credentials",
        403: "forbidden: " + text,
        404: "the server could not find the requested resource",
        405: "the server does not allow this method on the requested resource",
        429: "the server has received too many requests and has asked us to try again later",
        503: "the server is currently unable to handle the request",
    }
    if status in known:
        return known[status]
    if status >= 500:
        return f'an error on the server ("{text or "unknown"}") has prevented the request from succeeding'
    return f"the server responded with the status code {status} but did not return more information"
