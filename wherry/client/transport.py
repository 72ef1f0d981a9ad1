"""Transport: how requests travel. The one over HTTP/1.1 is used everywhere but in the simulator, which brings its own.

What is answered whole goes over `wires`, what streams over aiohttp.

Kubernetes: client-go `rest` and `transport`. Connections stay open, dead peers are noticed within half a minute by TCP
keep-alive, and open watches take no place away from other requests.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

import aiohttp
import orjson

from wherry.client.kubeconfig import Connection
from wherry.client.wires.pool import CONNECT_SECONDS, Wires, header_lines, lasting_socket, no_text
from wherry.machinery.errors import ApiError, Timeout, Unavailable, from_status

# The server gives up on a request after 60 s; it should be the one who says so.
REQUEST_SECONDS = 65.0
CONCURRENT_REQUESTS = 64
TOKEN_SECONDS = 60.0
# The status of a request without an answer, where answers are counted.
NO_ANSWER = "<error>"


class Answer(NamedTuple):
    """A whole HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Transport(Protocol):
    """The seam between the client and the network; raises `Unavailable` or `Timeout` when no answer comes."""

    async def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> Answer | tuple[int, Mapping[str, str], bytes]:
        """Send a request; any status is an answer."""
        ...

    def stream(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[bytes]:
        """The lines of an answer as they come; a status of 400 or more is raised (`error_from`)."""
        ...


def error_from(status: int, headers: Mapping[str, str], body: bytes) -> ApiError:
    """The error that an answer stands for, whether or not its body is a `Status`."""
    try:
        content = orjson.loads(body)
    except orjson.JSONDecodeError:
        content = None
    if not isinstance(content, dict) or content.get("kind") != "Status":
        content = {"message": body[:200].decode(errors="replace").strip()}
    error = from_status(content, status)
    retry_after = headers.get("Retry-After") or headers.get("retry-after") or ""
    if retry_after.isdigit() and error.retry_after_seconds is None:
        error.details = {**(error.details or {}), "retryAfterSeconds": int(retry_after)}
    return error


class HttpTransport:
    """HTTP/1.1 over TLS. Opens its connections on first use, inside the running loop."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._tls = tls_context(connection)
        self._wires = Wires(connection.server, self._tls, connection.server_name)
        self._session: aiohttp.ClientSession | None = None
        self._places = asyncio.Semaphore(CONCURRENT_REQUESTS)
        self._token, self._token_until = "", -1.0
        self.answered: Counter[tuple[str, str]] = Counter()  # requests, by method and status

    async def close(self) -> None:
        """Hang up."""
        self._wires.close()
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def request(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        """See `Transport`."""
        with self._counted(method, path) as answered:
            async with self._places, asyncio.timeout(REQUEST_SECONDS):
                answer = Answer(*await self._wires.exchange(method, path, query, self._signed(headers), body))
            answered(answer.status)
        return answer

    async def stream(
        self, method: str, path: str, query: Mapping[str, str], headers: Mapping[str, str], body: bytes | None
    ) -> AsyncIterator[bytes]:
        """See `Transport`. The stream ends when the server ends it; a broken one raises `Unavailable`."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        with self._counted(method, path) as answered:
            async with self._send(method, path, query, headers, body, timeout) as response:
                answered(response.status)
                if response.status >= 400:
                    raise error_from(response.status, response.headers, await response.read())
                async for line in _lines(response.content):
                    yield line

    def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: bytes | None,
        timeout: aiohttp.ClientTimeout,
    ) -> Any:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=0, ssl=self._tls or True, socket_factory=lasting_socket)
            self._session = aiohttp.ClientSession(connector=connector, auto_decompress=True)
        sent = self._signed(headers)
        try:
            (path + header_lines(method, path, sent)).encode()  # aiohttp raises ValueError
        except UnicodeEncodeError as error:
            raise no_text(method, path, error) from error
        url = self._connection.server + path
        name = self._connection.server_name or None
        return self._session.request(
            method, url, params=query, headers=sent, data=body, timeout=timeout, server_hostname=name
        )

    def _signed(self, headers: Mapping[str, str]) -> Mapping[str, str]:
        token = self._current_token()
        return {**headers, "Authorization": f"Bearer {token}"} if token else headers

    def _current_token(self) -> str:
        now = asyncio.get_running_loop().time()
        if now >= self._token_until:
            self._token, self._token_until = self._connection.current_token(), now + TOKEN_SECONDS
        return self._token

    @contextlib.contextmanager
    def _counted(self, method: str, path: str) -> Iterator[Callable[[int], None]]:
        """Count a request once: when its status is told, or else by what keeps it from an answer, which is raised."""
        is_told = False

        def answered(status: int) -> None:
            nonlocal is_told
            is_told = True
            self.answered[method, str(status)] += 1

        try:
            yield answered
        except (aiohttp.ClientError, OSError) as error:  # a timeout is one as well
            if not is_told:
                self.answered[method, NO_ANSWER] += 1
            raise self._problem(method, path, error) from error

    def _problem(self, method: str, path: str, error: Exception) -> ApiError:
        server = self._connection.server
        what = f"{method} {without_password(server)}{path}"
        if isinstance(error, aiohttp.ServerTimeoutError):
            return Unavailable(f"{what}: no connection in time")
        if isinstance(error, TimeoutError):
            return Timeout(f"{what}: no answer within {REQUEST_SECONDS:g} s")
        why = str(error).replace(server, without_password(server)) or type(error).__name__
        return Unavailable(f"{what}: {why}")


def without_password(url: str) -> str:
    """A URL as it may be told to everybody.

    >>> without_password("https://user:secret@api.example:6443/base")
    'https://api.example:6443/base'
    """
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Lines of any length: `StreamReader.readline` has a limit that a large object exceeds."""
    rest: list[bytes] = []
    async for chunk in content.iter_any():
        *whole, tail = chunk.split(b"\n")
        for line in whole:
            yield b"".join((*rest, line))
            rest.clear()
        rest.append(tail)


def tls_context(connection: Connection) -> ssl.SSLContext | None:
    """TLS as the connection asks for it; None if it asks for none."""
    if not connection.server.startswith("https:"):
        return None
    context = ssl.create_default_context(cadata=connection.ca_data.decode() if connection.ca_data else None)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if connection.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if connection.cert_data and connection.key_data:
        _load_certificate(context, connection.cert_data + b"\n" + connection.key_data)
    return context


def _load_certificate(context: ssl.SSLContext, pem: bytes) -> None:
    # The ssl module reads certificates from files only; this one is ours alone and gone at once.
    with tempfile.NamedTemporaryFile() as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(pem)
        file.flush()
        context.load_cert_chain(file.name)
