"""Docker calls that stream: a fresh connection each, on asyncio, with nothing between us and the socket.

The SDK needs a thread per stream and cannot end input while output goes on. Here one connection is one stream:
`write_eof` ends the input, and there is no pool whose limit a hundred log followers could reach.

Differs: `unix://` and plain `tcp://` engines only; TLS to a remote engine serves the plain calls alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

from kubelet.runtime.base import STDOUT, Missing, NotRunning, RuntimeFailure, RuntimeUnavailable

_CHUNK = 64 * 1024
_LIMIT = 2**20
# The engine answers before there is anything to stream; one that hangs must not hold a pod.
_HEAD_SECONDS = 30.0
_CANNOT_EXEC = b"OCI runtime exec failed"


class Connection:
    """One HTTP exchange with the engine, its answer's head read."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.status = 0
        self.headers: dict[str, str] = {}

    async def read_head(self) -> None:
        """Read status line and headers."""
        line = await self.reader.readline()
        if not line:
            raise RuntimeUnavailable("the engine closed the connection without an answer")
        self.status = int(line.split()[1])
        while (line := await self.reader.readline()) not in (b"\r\n", b""):
            name, _, value = line.decode("latin-1").partition(":")
            self.headers[name.strip().lower()] = value.strip()

    async def body(self) -> AsyncIterator[bytes]:
        """The answer's body, piece by piece, as it comes."""
        if self.headers.get("transfer-encoding") == "chunked":
            while size := int((await self.reader.readline()).strip() or b"0", 16):
                yield await self.reader.readexactly(size)
                await self.reader.readexactly(2)
        elif "content-length" in self.headers:
            yield await self.reader.readexactly(int(self.headers["content-length"]))
        else:
            while piece := await self.reader.read(_CHUNK):
                yield piece

    async def raise_for_status(self) -> None:
        """Turn an error answer into the exception it stands for."""
        if self.status < 400:
            return
        text = b"".join([piece async for piece in self.body()]).decode(errors="replace")
        self.close()
        try:
            message = json.loads(text).get("message", text)
        except ValueError:
            message = text
        raise failure_for(self.status, message)

    def close(self) -> None:
        """Cut the connection."""
        self.writer.close()


def failure_for(status: int, message: str) -> RuntimeFailure:
    """The exception for an HTTP status of the engine."""
    if status == 404:
        return Missing(message)
    return NotRunning(message) if status == 409 and "not running" in message else RuntimeFailure(message)


async def open_stream(engine: str, method: str, path: str, *, body: Any = None, upgrade: bool = False) -> Connection:
    """Send a request; the connection stands at the answer's body, or at the raw stream after an upgrade."""
    is_open = False
    connection = await _connect(engine)
    try:
        payload = b"" if body is None else json.dumps(body).encode()
        lines = [f"{method} {path} HTTP/1.1", "Host: docker", f"Content-Length: {len(payload)}"]
        lines += ["Content-Type: application/json"]
        lines += ["Connection: Upgrade", "Upgrade: tcp"] if upgrade else ["Connection: close"]
        connection.writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)
        async with asyncio.timeout(_HEAD_SECONDS):
            await connection.read_head()
            await connection.raise_for_status()
        is_open = True
        return connection
    except TimeoutError as error:
        raise RuntimeUnavailable(f"the engine at {engine} gives no answer within {_HEAD_SECONDS:g} s") from error
    except (OSError, EOFError, ValueError, IndexError) as error:
        raise RuntimeUnavailable(f"the engine at {engine} breaks off its answer: {error}") from error
    finally:
        if not is_open:
            connection.close()


async def _connect(engine: str) -> Connection:
    parts = urlsplit(engine)
    try:
        if parts.scheme in ("unix", "http+unix"):
            return Connection(*await asyncio.open_unix_connection(parts.path, limit=_LIMIT))
        return Connection(*await asyncio.open_connection(parts.hostname, parts.port or 2375, limit=_LIMIT))
    except OSError as error:
        raise RuntimeUnavailable(f"cannot reach the engine at {engine}: {error}") from error


async def frames(connection: Connection) -> AsyncIterator[tuple[int, bytes]]:
    """Output of a container without a terminal: pieces, each with the stream it came from."""
    pending = bytearray()
    async for piece in connection.body():
        pending += piece
        while len(pending) >= 8 and len(pending) >= 8 + (size := int.from_bytes(pending[4:8], "big")):
            yield pending[0], bytes(pending[8 : 8 + size])
            del pending[: 8 + size]


def query(path: str, **parameters: Any) -> str:
    """A path with a query string; None leaves a parameter out, booleans are 1 and 0."""
    given = {
        key: int(value) if isinstance(value, bool) else value for key, value in parameters.items() if value is not None
    }
    return f"{path}?{urlencode(given)}" if given else path


class DockerSession:
    """The hijacked streams of an exec or attach. Implements `Session`."""

    def __init__(
        self,
        connection: Connection,
        *,
        tty: bool,
        resize: Callable[[int, int], Awaitable[None]],
        exit_code: Callable[[], Awaitable[int]],
    ) -> None:
        self._connection = connection
        self._tty = tty
        self._resize = resize
        self._exit_code = exit_code
        self._is_first = True

    async def read(self) -> tuple[int, bytes] | None:
        """The next piece of output; RuntimeFailure if the command could not be started at all."""
        frame = await self._read_raw() if self._tty else await self._read_frame()
        if self._is_first and frame is not None:
            self._is_first = False
            if frame[1].startswith(_CANNOT_EXEC):
                raise RuntimeFailure(frame[1].decode(errors="replace").strip())
        return frame

    async def _read_raw(self) -> tuple[int, bytes] | None:
        try:
            piece = await self._connection.reader.read(_CHUNK)
        except OSError:
            return None
        return (STDOUT, piece) if piece else None

    async def _read_frame(self) -> tuple[int, bytes] | None:
        try:
            head = await self._connection.reader.readexactly(8)
            return head[0], await self._connection.reader.readexactly(int.from_bytes(head[4:], "big"))
        except (asyncio.IncompleteReadError, OSError):
            return None

    async def write(self, data: bytes) -> None:
        """More input; what the command no longer reads is dropped."""
        try:
            self._connection.writer.write(data)
            await self._connection.writer.drain()
        except OSError:
            return

    async def end_input(self) -> None:
        """Half-close: the command sees the end of its input, its output still arrives."""
        if self._connection.writer.can_write_eof():
            self._connection.writer.write_eof()

    async def resize(self, width: int, height: int) -> None:
        """Zero sizes, which some terminals report, are not passed on."""
        if width > 0 and height > 0:
            with contextlib.suppress(RuntimeFailure):  # the command may just have ended
                await self._resize(width, height)

    async def exit_code(self) -> int:
        """How the command ended."""
        return await self._exit_code()

    async def close(self) -> None:
        """Cut the connection; a command that still runs goes on."""
        self._connection.close()
