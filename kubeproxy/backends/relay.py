"""Carrying bytes between a client and the target chosen for it: streams for TCP, remembered conversations for UDP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import structlog

from kubeproxy.backends.balance import Balancer
from kubeproxy.backends.network import Network
from kubeproxy.rules import Frontend, Route, Target

_log = structlog.get_logger()
_CONNECT_SECONDS = 5
# As long as the kernel remembers a UDP flow that goes both ways. Linux: nf_conntrack_udp_timeout_stream.
_UDP_IDLE_SECONDS = 120
_MOST_UDP_CLIENTS = 4096
_CHUNK_BYTES = 65536


class TcpRelay:
    """A listening socket and the connections that came through it. Established ones outlive a change of `route`."""

    def __init__(self, frontend: Frontend, route: Route, network: Network) -> None:
        self.route = route
        self._frontend = frontend
        self._network = network
        self._balancer = Balancer()
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    async def open(self, listener: socket.socket) -> None:
        """Accept clients on a bound socket, which is ours from now on."""
        self._server = await asyncio.start_server(self._accept, sock=listener)

    def stop_listening(self) -> None:
        """Accept nobody any more."""
        if self._server is not None:
            self._server.close()

    async def close(self) -> None:
        """Accept nobody any more, and end what runs."""
        self.stop_listening()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    @property
    def is_busy(self) -> bool:
        """Whether connections run through it."""
        return bool(self._serving)

    def route_changed(self, route: Route) -> None:
        """New connections follow `route` from now on."""
        self.route = route

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream = await self._reach(writer.get_extra_info("peername")[0])
            if upstream is None:
                return
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(_pump(reader, upstream[1]))
                    group.create_task(_pump(upstream[0], writer))
            finally:
                upstream[1].close()
        finally:
            writer.close()

    async def _reach(self, client: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        """A connection to the first target that takes it."""
        loop = asyncio.get_running_loop()
        for target in self._balancer.choose(self.route, self._frontend, client, loop.time()):
            upstream = self._network.socket(socket.AF_INET, socket.SOCK_STREAM)
            upstream.setblocking(False)
            try:
                async with asyncio.timeout(_CONNECT_SECONDS):
                    await loop.sock_connect(upstream, target)
                self._balancer.remember(self.route, client, target, loop.time())
                return await asyncio.open_connection(sock=upstream)
            except (OSError, TimeoutError) as error:
                upstream.close()
                _log.warning("target does not answer", service=self.route.service, target=str(target), error=str(error))
        return None


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Carry one direction to its end; the other goes on."""
    try:
        while data := await source.read(_CHUNK_BYTES):
            sink.write(data)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()
    except OSError:
        # One side is gone without a word: so must the other be, or its client would wait for ever.
        sink.transport.abort()


class UdpRelay(asyncio.DatagramProtocol):
    """A socket for the clients, and one more towards the target for each of them."""

    def __init__(self, frontend: Frontend, route: Route, network: Network) -> None:
        self.route = route
        self._frontend = frontend
        self._network = network
        self._balancer = Balancer()
        self._transport: asyncio.DatagramTransport | None = None
        # Least recently used first.
        self._clients: dict[tuple[str, int], _Conversation] = {}

    async def open(self, listener: socket.socket) -> None:
        """Serve clients on a bound socket, which is ours from now on."""
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: self, sock=listener)

    async def close(self) -> None:
        """End everything."""
        self.stop_listening()

    def stop_listening(self) -> None:
        """End everything, because a conversation needs the socket that its client knows."""
        if self._transport is not None:
            self._transport.abort()
        for client in list(self._clients):
            self._clients.pop(client).close()

    def route_changed(self, route: Route) -> None:
        """Follow `route`; who talks to a target that is gone gets another one with the next packet."""
        self.route = route
        targets = route.targets(self._frontend)
        for client in [c for c, conversation in self._clients.items() if conversation.target not in targets]:
            self._clients.pop(client).close()

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        now = asyncio.get_running_loop().time()
        conversation = self._clients.pop(client, None) or self._begin(client, now)
        if conversation is not None:
            self._clients[client] = conversation
            conversation.send(data, now)
        self._forget_idle(now)

    def _begin(self, client: tuple[str, int], now: float) -> _Conversation | None:
        for target in self._balancer.choose(self.route, self._frontend, client[0], now):
            self._balancer.remember(self.route, client[0], target, now)
            upstream = self._network.socket(socket.AF_INET, socket.SOCK_DGRAM)
            upstream.setblocking(False)
            try:
                upstream.connect(target)
            except OSError:
                upstream.close()
                continue
            return _Conversation(upstream, target, lambda data: self._answer(data, client))
        return None

    def _answer(self, data: bytes, client: tuple[str, int]) -> None:
        if self._transport is not None:
            self._transport.sendto(data, client)

    def _forget_idle(self, now: float) -> None:
        while self._clients:
            oldest = next(iter(self._clients))
            if len(self._clients) <= _MOST_UDP_CLIENTS and now - self._clients[oldest].used_at < _UDP_IDLE_SECONDS:
                return
            self._clients.pop(oldest).close()


class _Conversation:
    """One client's packets to one target and back."""

    def __init__(self, upstream: socket.socket, target: Target, answer: Callable[[bytes], None]) -> None:
        self.target = target
        self.used_at = 0.0
        self._upstream = upstream
        self._answer = answer
        asyncio.get_running_loop().add_reader(upstream, self._receive)

    def send(self, data: bytes, now: float) -> None:
        """A full or refusing socket loses the packet, as networks do."""
        self.used_at = now
        try:
            self._upstream.send(data)
        except OSError as error:
            _log.debug("packet lost", target=str(self.target), error=str(error))

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._upstream)
        self._upstream.close()

    def _receive(self) -> None:
        try:
            self._answer(self._upstream.recv(_CHUNK_BYTES))
        except OSError as error:
            _log.debug("no answer", target=str(self.target), error=str(error))
