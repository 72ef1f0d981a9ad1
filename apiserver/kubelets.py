"""The API server's way to the kubelets: their HTTPS port, with a client certificate, for streams and for usage."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from apiserver.proxying.upgrades import relay_websocket
from apiserver.request import Receive, Scope, Send
from wherry.api.core.node import Node
from wherry.machinery.errors import ApiError, BadRequest, InternalError, from_status

if TYPE_CHECKING:
    import aiohttp

    from apiserver.reading.watch_cache import WatchCache

_ADDRESS_TYPES = ("InternalIP", "Hostname", "ExternalIP")
_CONNECT_SECONDS = 10
_KEPT_SECONDS = 60.0


class Kubelets:
    """Finds the kubelet of a node. Certificates are checked against the cluster's CA."""

    def __init__(self, cache: WatchCache, ca_file: Path | None, cert_file: Path | None, key_file: Path | None) -> None:
        self._nodes = cache.of(Node)
        self._tls: ssl.SSLContext | None = None
        if ca_file and cert_file and key_file:
            self._tls = ssl.create_default_context(cafile=str(ca_file))
            self._tls.load_cert_chain(cert_file, key_file)
        self._session: aiohttp.ClientSession | None = None
        self._lasting: aiohttp.ClientSession | None = None

    async def on(self, node_name: str) -> Kubelet:
        """The kubelet of a node; raises when the node is unknown or has no address."""
        stored = self._nodes.get("", node_name)
        node = Node.read(stored.item) if stored else None
        port = node.status.daemon_endpoints.kubelet_endpoint.port if node else 0
        address = next((a for a in map(node.status.address, _ADDRESS_TYPES) if a), "") if node else ""
        if not address or not port or self._tls is None:
            raise InternalError(f"Internal error occurred: node {node_name} has no kubelet that can be reached")
        import aiohttp  # a quarter of a second, which a server without streams need not spend

        if self._session is None:
            # One connection per stream and no limit: a follower must never wait for another one to finish.
            connector = aiohttp.TCPConnector(limit=0, ssl=self._tls, force_close=True)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
            # Questions that come again every few seconds keep their connection: a handshake costs more than they do.
            lasting = aiohttp.TCPConnector(limit=0, ssl=self._tls, keepalive_timeout=_KEPT_SECONDS)
            self._lasting = aiohttp.ClientSession(connector=lasting, timeout=timeout)
        url = f"https://{address}:{port}"
        return Kubelet(self._session, self._lasting or self._session, url, node_name, self._tls)

    async def close(self) -> None:
        """Let go of every connection."""
        for session in (self._session, self._lasting):
            if session is not None:
                await session.close()


class Kubelet:
    """One node's kubelet."""

    def __init__(
        self, session: aiohttp.ClientSession, lasting: aiohttp.ClientSession, url: str, node: str, tls: ssl.SSLContext
    ) -> None:
        self._session, self._lasting, self._node = session, lasting, node
        self.url, self.tls = url, tls

    async def read(self, path: str) -> bytes:
        """The body of a short GET, whole; raises what the kubelet answers instead."""
        import aiohttp

        try:
            async with self._lasting.get(self.url + path) as response:
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from None
        if response.status >= 400:
            raise _error_of(response.status, body)
        return body

    async def stream(self, path: str) -> AsyncIterator[bytes]:
        """The body of a GET, as it comes; raises what the kubelet answers instead."""
        import aiohttp

        try:
            response = await self._session.get(self.url + path)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from None
        if response.status >= 400:
            raise _error_of(response.status, await response.read())
        return _chunks(response)

    async def _refusal(self, path: str, error: aiohttp.WSServerHandshakeError) -> ApiError:
        """Why the kubelet takes no WebSocket there: its words are in a body, which a handshake does not read."""
        try:
            await self.read(path)
        except ApiError as refusal:
            return refusal
        return from_status({"message": error.message}, error.status)

    def _unreachable(self, error: Exception) -> InternalError:
        return InternalError(f"Internal error occurred: error dialing the kubelet of node {self._node}: {error}")

    async def connect(self, path: str, *protocols: str) -> aiohttp.ClientWebSocketResponse:
        """A WebSocket to the kubelet, in one of these subprotocols; raises what it answers instead."""
        import aiohttp

        try:
            return await self._session.ws_connect(self.url + path, protocols=protocols, max_msg_size=0)
        except aiohttp.WSServerHandshakeError as error:
            raise await self._refusal(path, error) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise self._unreachable(error) from None

    async def tunnel(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Join a client's WebSocket to the kubelet's, message by message, until either side closes."""
        try:
            backend = await self.connect(path, *(scope.get("subprotocols") or ()))
        except ApiError as error:
            await _refuse(send, receive, error)
            return
        await relay_websocket(backend, receive, send)


async def _refuse(send: Send, receive: Receive, error: ApiError) -> None:
    await receive()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "websocket.http.response.start", "status": error.code, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": orjson.dumps(error.to_status())})


async def _chunks(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    import aiohttp

    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except aiohttp.ClientError:
        return  # the node went away in the middle; what came so far is all there is
    finally:
        response.close()


def _error_of(status: int, body: bytes) -> ApiError:
    try:
        decoded = orjson.loads(body)
        if isinstance(decoded, dict):
            return from_status(decoded, status)
    except orjson.JSONDecodeError:
        pass
    text = body.decode("utf-8", "replace").strip() or f"the kubelet answered {status}"
    return BadRequest(text) if status == 400 else from_status({"message": text}, status)
