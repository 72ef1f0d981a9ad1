"""A TCP connection that a test can cut: a proxy on a free loopback port."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

# An HTTP/2 ping, window update or settings acknowledgement is no answer; these are 9 to 17 bytes each.
LARGER_THAN_A_FRAME_OF_HTTP2_ITSELF = 48


class Cable:
    """Leads from `url` to a server, until it is cut; then what is connected is reset and nobody else gets through."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self._wires: set[asyncio.StreamWriter] = set()
        self._is_cut = False
        self._loses_answer = False
        self.url = ""

    def cut(self) -> None:
        self._is_cut = True
        for wire in self._wires:
            wire.transport.abort()

    def lose_next_answer(self) -> None:
        """Let requests through, and reset the connection in place of the next answer. The one after it works."""
        self._loses_answer = True

    def mend(self) -> None:
        self._is_cut = False

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.transport.abort()
            return
        with contextlib.suppress(OSError):
            far_reader, far_writer = await asyncio.open_connection(self._target.hostname, self._target.port)
            await asyncio.gather(self._carry(reader, far_writer), self._carry(far_reader, writer, answers=True))

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool = False
    ) -> None:
        self._wires.add(writer)
        try:
            while data := await reader.read(65536):
                if answers and self._loses_answer and len(data) > LARGER_THAN_A_FRAME_OF_HTTP2_ITSELF:
                    self._loses_answer = False
                    return
                writer.write(data)
                await writer.drain()
        finally:
            self._wires.discard(writer)
            writer.transport.abort()


@contextlib.asynccontextmanager
async def cables(targets: list[str]) -> AsyncIterator[list[Cable]]:
    """One cable to each target URL."""
    async with contextlib.AsyncExitStack() as stack:
        laid = [Cable(target) for target in targets]
        for cable in laid:
            server = await stack.enter_async_context(await asyncio.start_server(cable.connect, "127.0.0.1", 0))
            stack.callback(cable.cut)
            cable.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        yield laid
