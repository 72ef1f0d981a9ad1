"""Calls to one server: `channel = Channel("https://etcd-1:2379", tls)`, then `await channel.ask(path, message, …)`.

The connection is made for the first call that needs it and again when it was lost, once for all calls that wait.
"""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

from wherry.client.grpc import frames
from wherry.client.grpc.connection import Connection
from wherry.client.grpc.stream import LONGEST, NoAnswer, Stream

Headers = tuple[tuple[str, str], ...]
_MOST_BLOCKS = 64
_CLOSED = "the channel was closed"


class Answers:
    """The answers to one question, as they come."""

    def __init__(self, connection: Connection, stream: Stream) -> None:
        self._connection, self._stream = connection, stream

    async def read(self) -> bytes:
        """The next one, however long it takes. Raises CallError, at the end of the stream too."""
        while (answer := self._stream.message()) is None:
            self._connection.read_on(self._stream)
            await self._stream.news()
        return answer

    def give_up(self, why: str) -> None:
        """Let who reads know that there will be no more."""
        self._stream.fail(why)

    def close(self) -> None:
        """No more are wanted."""
        self._connection.forget(self._stream)


class Channel:
    """One server, at `url`: https, http or unix. All waiting is bounded by `seconds`: for a connection, for the turn
    to ask, and for the answer to a question, which has `longest` bytes at most.
    """

    def __init__(
        self, url: str, tls: ssl.SSLContext | None, *, seconds: float, agent: str = "wherry", longest: int = LONGEST
    ) -> None:
        self._url, self._tls, self._seconds, self._agent = urlsplit(url), tls, seconds, agent
        self._longest = longest
        self._connection: Connection | None = None
        self._connecting: asyncio.Task[Connection] | None = None
        self._blocks: dict[tuple[str, Headers, bool], bytes] = {}

    async def ask(self, path: str, message: bytes, headers: Headers = ()) -> bytes:
        """The one answer to a question. Raises CallError."""
        connection = await self._connected()
        block = self._block(path, headers, is_unary=True)
        stream = await connection.open(block, message, is_unary=True, seconds=self._seconds)
        stream.longest = self._longest
        timer = asyncio.get_running_loop().call_later(self._seconds, self._late, stream)
        try:
            while (answer := stream.message()) is None:
                await stream.news()
            return answer
        finally:
            timer.cancel()
            connection.forget(stream)

    async def listen(self, path: str, message: bytes, headers: Headers = ()) -> Answers:
        """Ask what has many answers. The caller closes the result. Raises NoAnswer."""
        connection = await self._connected()
        block = self._block(path, headers, is_unary=False)
        stream = await connection.open(block, message, is_unary=False, seconds=self._seconds)
        return Answers(connection, stream)

    async def close(self) -> None:
        """End the connection and all calls on it."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._connection is not None:
            self._connection.close()
            await asyncio.sleep(0)

    def _late(self, stream: Stream) -> None:
        stream.fail(f"no answer within {self._seconds:g} s")

    def _block(self, path: str, headers: Headers, *, is_unary: bool) -> bytes:
        known = self._blocks.get((path, headers, is_unary))
        if known is None:
            if len(self._blocks) >= _MOST_BLOCKS:
                self._blocks.clear()
            scheme = "https" if self._tls else "http"
            fixed = [
                (":method", "POST"),
                (":scheme", scheme),
                (":path", path),
                (":authority", self._url.netloc if self._url.port else "localhost"),
            ]
            fixed += [("te", "trailers"), ("content-type", "application/grpc"), ("user-agent", self._agent)]
            if is_unary:
                # The server need not finish what nobody waits for any more.
                fixed.append(("grpc-timeout", f"{round(1000 * self._seconds)}m"))
            known = self._blocks[path, headers, is_unary] = frames.header_block([*fixed, *headers])
        return known

    async def _connected(self) -> Connection:
        connection = self._connection
        if connection is not None and connection.is_usable:
            return connection
        if self._connecting is None:
            self._connecting = asyncio.ensure_future(self._connect())
            self._connecting.add_done_callback(self._is_decided)
        connecting = self._connecting
        try:
            return await asyncio.shield(connecting)
        except asyncio.CancelledError:
            asker = asyncio.current_task()
            if not connecting.cancelled() or (asker is not None and asker.cancelling()):
                raise
            # By `close`, before it could begin.
            raise NoAnswer(f"failed to connect: {_CLOSED}") from None
        except TimeoutError:
            raise NoAnswer(f"failed to connect within {self._seconds:g} s") from None
        except OSError as error:
            raise NoAnswer(f"failed to connect: {error}") from error

    async def _connect(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._seconds):
                if self._url.scheme == "unix":
                    return await self._connect_to_socket()
                transport, connection = await loop.create_connection(
                    Connection, self._url.hostname or "", self._url.port or 443, ssl=self._tls
                )
        except asyncio.CancelledError:
            # By `close`: those who wait are not cancelled themselves.
            raise ConnectionError(_CLOSED) from None
        if self._tls and transport.get_extra_info("ssl_object").selected_alpn_protocol() != "h2":
            connection.close()
            raise ConnectionError("the server does not speak HTTP/2")
        self._connection = connection
        return connection

    async def _connect_to_socket(self) -> Connection:
        # gRPC: `unix:///run/a.sock`, or `unix://@name` for one that is no file.
        name = self._url.path or "\0" + self._url.netloc.removeprefix("@")
        _, self._connection = await asyncio.get_running_loop().create_unix_connection(Connection, name)
        return self._connection

    def _is_decided(self, connecting: asyncio.Task[Connection]) -> None:
        self._connecting = None
        if not connecting.cancelled():
            connecting.exception()
