"""One connection, many of them together, and how an administrator gets one."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple


class Connection:
    """One keep-alive connection that sends one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, tls: ssl.SSLContext) -> Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls, limit=2**26))

    async def request(self, method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> bytes:
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\n"
        self.writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        content = await self.reader.readexactly(length)
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {content[:300].decode()}")
        return content


async def together(
    connections: list[Connection], count: int, work: Callable[[Connection, int], Awaitable[Any]]
) -> float:
    """Requests per second, `count` of them spread over the connections."""
    numbers = iter(range(count))

    async def one(connection: Connection) -> None:
        for number in numbers:
            await work(connection, number)

    begun = time.perf_counter()
    await asyncio.gather(*(one(connection) for connection in connections))
    return count / (time.perf_counter() - begun)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Access(NamedTuple):
    """How an administrator reaches the API server; other processes may be told it."""

    port: int
    ca_file: str
    certificate: str
    key: str

    async def connect(self) -> Connection:
        return await Connection.open(self.port, self.tls())

    def tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.ca_file)
        context.load_cert_chain(self.certificate, self.key)
        return context
