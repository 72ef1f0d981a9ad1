"""A request passed on to a backend, and its answer passed back, both as they come. Kubernetes: UpgradeAwareHandler."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from apiserver.proxying import headers as rules
from apiserver.proxying.headers import Headers
from apiserver.proxying.html_links import Links, with_links
from apiserver.proxying.places import Place
from apiserver.proxying.upgrades import ANSWER_SECONDS, CONNECT_SECONDS, Switch, relay_websocket
from apiserver.request import BODY_LIMIT_BYTES, Answer, Receive, Request, Response, Scope, Send, Upgrade
from wherry.machinery.errors import ApiError, BadRequest, Unavailable, from_status

if TYPE_CHECKING:
    import aiohttp

_Answered = TypeVar("_Answered")
_AUTOMATIC = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")


@dataclass(frozen=True, slots=True)
class Onward:
    """Where a request goes: a backend, the path there, and the prefix of ours that stands for its root.

    Without a prefix, links and redirects of the answer are left as they are.
    """

    place: Place
    path: str
    prefix: str = ""
    more_headers: tuple[tuple[str, str], ...] = ()

    def url(self, request: Request) -> str:
        """The whole URL, with the query as the client wrote it."""
        query = request.scope.get("query_string") or b""
        return self.place.url + self.path + (f"?{query.decode('latin-1')}" if query else "")


class Forwarding:
    """Passes requests on. It keeps no cookies, follows no redirects and unpacks nothing."""

    def __init__(self) -> None:
        self._kept: aiohttp.ClientSession | None = None

    @property
    def _session(self) -> aiohttp.ClientSession:
        import aiohttp  # a quarter of a second, which a server that forwards nothing need not spend

        if self._kept is None:
            self._kept = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                skip_auto_headers=_AUTOMATIC,
            )
        return self._kept

    async def close(self) -> None:
        """Let go of every connection."""
        if self._kept is not None:
            await self._kept.close()

    async def read(
        self, place: Place, path: str, accept: str, headers: Iterable[tuple[str, str]], seconds: float
    ) -> bytes:
        """The body of a short GET by the server itself; raises Unavailable."""
        import aiohttp

        sent = [("Accept", accept), *headers]
        try:
            async with (
                asyncio.timeout(seconds),
                self._session.get(
                    place.url + path, headers=sent, ssl=place.tls or True, server_hostname=place.server_name
                ) as answer,
            ):
                body = await whole_body(answer)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(error) from None
        except ValueError as error:
            raise Unavailable(f"{place.url}{path}: {error}") from None
        if not 200 <= answer.status < 300:
            raise Unavailable(f"bad status from {place.url}{path}: {answer.status}")
        return body

    async def answer(self, request: Request, onward: Onward) -> Answer:
        """Pass a request on; raises Unavailable if nobody is there."""
        if request.scope["type"] == "websocket":
            return await self._websocket(request, onward)
        sent = rules.of_request(request.scope, onward.more_headers)
        protocol = request.header(b"upgrade")
        if protocol:
            sent += [("Connection", "Upgrade"), ("Upgrade", protocol)]
            target = onward.url(request).removeprefix(onward.place.url)
            return Upgrade((await Switch.asked(request.method, onward.place, target, sent)).serve)
        return await self._plain(request, onward, sent)

    async def _websocket(self, request: Request, onward: Onward) -> Answer:
        import aiohttp
        from yarl import URL

        sent = rules.of_request(request.scope, onward.more_headers)
        url = URL(onward.url(request), encoded=True)
        offered = request.scope.get("subprotocols") or ()
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                backend = await self._session.ws_connect(
                    url,
                    headers=sent,
                    protocols=offered,
                    max_msg_size=0,
                    ssl=onward.place.tls or True,
                    server_hostname=onward.place.server_name,
                )
        except aiohttp.WSServerHandshakeError as error:
            raise from_status({"message": f"error trying to reach service: {error.message}"}, error.status) from None
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(error) from None

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            await relay_websocket(backend, receive, send)

        return Upgrade(serve)

    async def _plain(self, request: Request, onward: Onward, sent: Headers) -> Answer:
        import aiohttp
        from yarl import URL

        has_body = any(name in request.headers for name in (b"content-length", b"transfer-encoding"))
        client = _Client(request, has_body=has_body)
        asked = self._session.request(
            request.method,
            URL(onward.url(request), encoded=True),
            headers=sent,
            data=client.body() if has_body else None,
            allow_redirects=False,
            ssl=onward.place.tls or True,
            server_hostname=onward.place.server_name,
        )
        try:
            backend = await client.unless_gone(asked)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(error) from None
        links = None
        if onward.prefix:
            hosts = {request.header(b"host"), onward.place.url.partition("://")[2]}
            links = Links(onward.prefix, frozenset(hosts - {""}))
        return Upgrade(_Answer(backend, links, client).serve)


class _Client:
    """The client's side: its body as it comes, and then its going."""

    def __init__(self, request: Request, *, has_body: bool) -> None:
        self.request = request
        self._has_said_all = asyncio.Event()
        if not has_body:
            self._has_said_all.set()
        self._is_gone = False

    async def body(self) -> AsyncIterator[bytes]:
        """Every chunk; raises if the client leaves before the last."""
        try:
            while True:
                message = await self.request.receive()
                if message["type"] != "http.request":
                    self._is_gone = True
                    raise ConnectionResetError("the client closed the connection before the body was complete")
                if message.get("body"):
                    yield message["body"]
                if not message.get("more_body"):
                    return
        finally:
            self._has_said_all.set()

    async def is_gone(self) -> None:
        """Wait until the client has left; it may still be sending."""
        await self._has_said_all.wait()
        while not self._is_gone:
            self._is_gone = (await self.request.receive())["type"] == "http.disconnect"

    async def unless_gone(self, asked: Awaitable[_Answered]) -> _Answered:
        """What comes of it; once the client has left nobody waits for that any more: raises BadRequest."""
        answer, gone = asyncio.ensure_future(asked), asyncio.ensure_future(self.is_gone())
        try:
            await asyncio.wait((answer, gone), return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
            raise BadRequest("the client closed the connection before there was an answer")
        finally:
            answer.cancel()
            gone.cancel()
            await asyncio.gather(answer, gone, return_exceptions=True)


class _Answer:
    """A backend's answer on its way to the client."""

    def __init__(self, backend: aiohttp.ClientResponse, links: Links | None, client: _Client) -> None:
        self._backend, self._links, self._client = backend, links, client
        self._is_head = client.request.method == "HEAD"

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The head, then every chunk as it comes, until the backend has said all or the client is gone."""
        import aiohttp

        gone, pump = asyncio.ensure_future(self._client.is_gone()), asyncio.ensure_future(self._pump(send))
        try:
            await asyncio.wait((gone, pump), return_when=asyncio.FIRST_COMPLETED)
            if pump.done():
                pump.result()
        except aiohttp.ClientError:
            # The backend broke off. The client must not take what it has for the whole.
            self._client.request.abort()
        finally:
            self._backend.close()
            gone.cancel()
            pump.cancel()
            await asyncio.gather(gone, pump, return_exceptions=True)

    async def _pump(self, send: Send) -> None:
        chunks, headers = self._rewritten()
        start = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        await send({"type": "http.response.start", "status": self._backend.status, "headers": start})
        if not self._is_head:
            await send({"type": "http.response.body", "body": b"", "more_body": True})
            async for chunk in chunks:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    def _rewritten(self) -> tuple[AsyncIterator[bytes], Headers]:
        """The body and its headers, with links that lead through the proxy."""
        headers = rules.of_answer(rules.decoded(self._backend.raw_headers))
        chunks: AsyncIterator[bytes] = self._backend.content.iter_any()
        named = {name.lower(): value for name, value in headers}
        links = self._links
        if links is None:
            return chunks, headers
        if "location" in named:
            moved = links.moved(named["location"])
            return chunks, [(name, moved if name.lower() == "location" else value) for name, value in headers]
        encoding = named.get("content-encoding", "").lower()
        is_page = named.get("content-type", "").partition(";")[0].strip().lower() == "text/html"
        if not is_page or encoding not in ("", "gzip") or self._is_head:
            return chunks, headers
        changed = ("content-length", "content-encoding")
        return with_links(chunks, encoding, links), [each for each in headers if each[0].lower() not in changed]


async def whole_body(answer: aiohttp.ClientResponse) -> bytes:
    """What another server answered to us; raises ValueError when it does not come to an end."""
    told = await answer.content.read(BODY_LIMIT_BYTES + 1)
    while told and len(told) <= BODY_LIMIT_BYTES and (more := await answer.content.read(BODY_LIMIT_BYTES)):
        told += more
    if len(told) > BODY_LIMIT_BYTES:
        raise ValueError(f"the answer is longer than {BODY_LIMIT_BYTES} bytes")
    return told


def _unreachable(error: Exception) -> ApiError:
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorError):
        why = os.strerror(error.os_error.errno).lower() if error.os_error.errno else str(error.os_error)
        return Unavailable(f"error trying to reach service: dial tcp {error.host}:{error.port}: connect: {why}")
    return Unavailable(f"error trying to reach service: {error or 'timed out'}")


def redirect_to_root(request: Request) -> Response | None:
    """A page asked for at the root without a slash: its relative links would lead astray."""
    if request.method not in ("GET", "HEAD"):
        return None
    query = request.scope.get("query_string") or b""
    location = request.path + "/" + (f"?{query.decode('latin-1')}" if query else "")
    return Response(301, b"", b"text/html; charset=utf-8", ((b"location", location.encode()),))
