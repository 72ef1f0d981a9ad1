"""A door in front of the Docker daemon that can be shut: how tests make the engine hang or go away for one client."""

import asyncio
import contextlib
from pathlib import Path

ENGINE = "/var/run/docker.sock"


class EngineProxy:
    """Passes bytes both ways; `hang` lets nothing through for a while, `cut` drops every connection."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "docker.sock"
        self.url = f"unix://{self.path}"
        self._open = asyncio.Event()
        self._open.set()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_unix_server(self._connected, self.path)

    def hang(self) -> None:
        self._open.clear()

    def resume(self) -> None:
        self._open.set()

    async def cut(self) -> None:
        """The daemon goes away: no new connections, the old ones broken."""
        if self._server is not None:
            self._server.close()
        self.path.unlink(missing_ok=True)
        for writer in list(self._writers):
            writer.transport.abort()

    async def stop(self) -> None:
        self.resume()
        await self.cut()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        engine_reader, engine_writer = await asyncio.open_unix_connection(ENGINE)
        pair = {writer, engine_writer}
        self._writers |= pair
        try:
            await asyncio.gather(self._copy(reader, engine_writer), self._copy(engine_reader, writer))
        finally:
            self._writers -= pair
            for side in pair:
                side.transport.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await self._open.wait()
                writer.write(data)
                await writer.drain()
            if writer.can_write_eof():
                writer.write_eof()
