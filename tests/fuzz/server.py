"""A whole API server that is spoken to in bytes, as it reads them from a connection, without a socket.

server = BytesServer()
server.answer(b"GET /version HTTP/1.1\r\nHost: a\r\n\r\n")     # what it writes
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from apiserver.protocols.http import HttpProtocol
from tests.apiserver.local_api import CORE, Api, certificate_of, running_api
from tests.make import a_deployment, to_json

# Requests that wait for something (a version to come, a watch) are given up after this many seconds.
PATIENCE = 0.01


class _Certified:
    def getpeercert(self, binary_form: bool) -> bytes:
        return certificate_of("admin", ("system:masters",))


class _Wire(asyncio.Transport):
    """The server's side of a connection to an administrator."""

    def __init__(self) -> None:
        super().__init__({"ssl_object": _Certified(), "sslcontext": True, "peername": ("10.0.0.9", 40000)})
        self.written = bytearray()
        self._is_closing = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self._is_closing

    def close(self) -> None:
        self._is_closing = True

    abort = close

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return _Socket() if name == "socket" else super().get_extra_info(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Nothing waits here."""

    def pause_reading(self) -> None:
        """It has all been read."""

    def resume_reading(self) -> None:
        """Nothing more will come."""

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Who takes the connection over hears no more."""


class _Socket:
    def setsockopt(self, *_: int) -> None:
        """There is no kernel between."""

    def getpeername(self) -> tuple[str, int]:
        return "10.0.0.9", 40000

    def getsockname(self) -> tuple[str, int]:
        return "10.0.0.1", 6443


class BytesServer:
    """One server for all inputs; what is written should be dry runs, so that inputs do not depend on each other."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._stack = AsyncExitStack()
        self.faults: list[BaseException] = []
        self._loop.set_exception_handler(self._remember)
        self._api: Api = self._loop.run_until_complete(self._stack.enter_async_context(running_api()))
        self._config = uvicorn.Config(self._api.app, http=HttpProtocol, ws="none", lifespan="off", log_config=None)
        self._config.server_header, self._config.proxy_headers = False, False
        self._config.load()
        self._state = ServerState()
        self._loop.run_until_complete(self._furnish())

    def answer(self, data: bytes) -> bytes:
        """Everything that the server writes when it reads this in two pieces, and then nothing more."""
        written = self._loop.run_until_complete(self._converse(data))
        if self.faults:
            raise self.faults.pop()
        return written

    def close(self) -> None:
        """End the server."""
        self._loop.run_until_complete(self._stack.aclose())
        self._loop.close()

    async def _furnish(self) -> None:
        await self._api.made(f"{CORE}/configmaps", {"metadata": {"name": "kept"}, "data": {"a": "1"}})
        web = {"metadata": {"name": "web"}, "spec": to_json(a_deployment("web"))["spec"]}
        await self._api.made("/apis/apps/v1/namespaces/default/deployments", web)

    async def _converse(self, data: bytes) -> bytes:
        wire = _Wire()
        protocol = HttpProtocol(self._config, self._state, {}, self._loop)
        protocol.connection_made(wire)
        cut = len(data) * 2 // 3
        for piece in (data[:cut], data[cut:]):
            if piece and not wire.is_closing():
                protocol.data_received(piece)
                await asyncio.sleep(0)
        if self._state.tasks:
            await asyncio.wait(set(self._state.tasks), timeout=PATIENCE)
        protocol.connection_lost(None)
        if self._state.tasks:
            await asyncio.wait(set(self._state.tasks), timeout=PATIENCE)
        await asyncio.sleep(0)
        written = bytes(wire.written)
        for task in set(self._state.tasks):  # of requests that wait for others, whose answers nobody reads
            task.cancel()
            await asyncio.wait({task})
        return written

    def _remember(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.faults.append(error if isinstance(error, BaseException) else RuntimeError(context["message"]))
