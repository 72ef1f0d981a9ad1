"""The sockets of cluster DNS: UDP and TCP on each address it was told to use."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import cast

import structlog

from kubeproxy.dns.responder import TCP_BYTES, Elsewhere, Responder, with_aliases
from kubeproxy.dns.upstream import Upstream
from kubeproxy.rules import Target

_log = structlog.get_logger()
# RFC 7766 lets a server close what is idle for a few seconds.
_IDLE_SECONDS = 10.0
_MOST_CONNECTIONS = 256
# A bridge may come up after us.
_BIND_AGAIN_SECONDS = 2.0


class DnsServer:
    """Answers until `run` is cancelled."""

    def __init__(self, responder: Responder, upstream: Upstream, binds: tuple[Target, ...]) -> None:
        self._responder = responder
        self._upstream = upstream
        self._binds = binds
        self._connections = 0
        self._bound = {bind: asyncio.Event() for bind in binds}

    async def run(self) -> None:
        """Listen on every address; one that is not there yet is tried again."""
        async with asyncio.TaskGroup() as group:
            for bind in self._binds:
                group.create_task(self._serve(bind, group))

    async def listening(self) -> None:
        """Return when every address is served."""
        for event in self._bound.values():
            await event.wait()

    async def _serve(self, bind: Target, group: asyncio.TaskGroup) -> None:
        complained = False
        while True:
            try:
                async with AsyncExitStack() as stack:
                    await self._listen(bind, group, stack)
                    self._bound[bind].set()
                    _log.info("dns listens", address=str(bind))
                    await asyncio.Event().wait()
            except OSError as error:
                if not complained:
                    _log.warning("dns cannot listen, will try again", address=str(bind), error=str(error))
                complained = True
                await asyncio.sleep(_BIND_AGAIN_SECONDS)

    async def _listen(self, bind: Target, group: asyncio.TaskGroup, stack: AsyncExitStack) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _UdpQuestions(self, group), local_addr=bind)
        stack.callback(transport.close)

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            group.create_task(self._converse(reader, writer))

        server = await asyncio.start_server(accept, bind.address, bind.port)
        stack.callback(server.close)

    def answer_now(self, packet: bytes) -> bytes | Elsewhere | None:
        """The answer over UDP, if it can be given without asking anyone."""
        return self._responder.respond(packet)

    async def answer_later(self, elsewhere: Elsewhere, *, tcp: bool) -> bytes:
        """The answer that others have."""
        try:
            return with_aliases(elsewhere, await self._upstream.ask(elsewhere, tcp=tcp))
        except Exception as error:
            # A resolver's strange answer costs this client its name, and nobody else anything.
            _log.warning("answer of a resolver not understood", name=str(elsewhere.name), error=repr(error))
            return with_aliases(elsewhere, None)

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One TCP connection: questions one after the other, until the client is silent or gone."""
        self._connections += 1
        try:
            while self._connections <= _MOST_CONNECTIONS:
                async with asyncio.timeout(_IDLE_SECONDS):
                    packet = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                answer = self._responder.respond(packet, tcp=True)
                if isinstance(answer, Elsewhere):
                    answer = await self.answer_later(answer, tcp=True)
                if answer is None:
                    return
                writer.write(len(answer).to_bytes(2, "big") + answer[:TCP_BYTES])
                async with asyncio.timeout(_IDLE_SECONDS):
                    await writer.drain()
        except (OSError, EOFError, TimeoutError):
            return
        finally:
            self._connections -= 1
            writer.close()


class _UdpQuestions(asyncio.DatagramProtocol):
    """Answers what it can on the spot; the rest in a task each, as many as `Upstream` allows."""

    def __init__(self, server: DnsServer, group: asyncio.TaskGroup) -> None:
        self._server = server
        self._group = group

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        answer = self._server.answer_now(data)
        if isinstance(answer, Elsewhere):
            self._group.create_task(self._answer_later(answer, client))
        elif answer is not None:
            self._transport.sendto(answer, client)

    async def _answer_later(self, elsewhere: Elsewhere, client: tuple[str, int]) -> None:
        answer = await self._server.answer_later(elsewhere, tcp=False)
        if not self._transport.is_closing():
            self._transport.sendto(answer, client)
