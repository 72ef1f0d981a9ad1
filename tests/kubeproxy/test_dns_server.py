"""The sockets of cluster DNS, and the resolvers behind it."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import dns.asyncquery
import dns.message
import dns.rcode
import dns.rrset
import pytest
from make import a_service

from kubeproxy.dns import upstream as upstream_module
from kubeproxy.dns.responder import Responder
from kubeproxy.dns.server import DnsServer
from kubeproxy.dns.upstream import Upstream, parse_resolvers
from kubeproxy.dns.zone import Zone
from kubeproxy.rules import Target

WEB = "web.default.svc.cluster.local."


def free_port() -> int:
    with socket.socket() as tcp:
        tcp.bind(("127.0.0.1", 0))
        return int(tcp.getsockname()[1])


@asynccontextmanager
async def serving(resolv_conf: Path) -> AsyncIterator[Target]:
    bind = Target("127.0.0.1", free_port())
    responder = Responder(Zone([a_service("web", cluster_ip="10.96.0.7")]))
    server = DnsServer(responder, Upstream(resolv_conf), (bind,))
    running = asyncio.create_task(server.run())
    await server.listening()
    yield bind
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Target]:
    async with serving(tmp_path / "resolv.conf") as bind:
        yield bind


class Resolver(asyncio.DatagramProtocol):
    """A resolver that knows example.com, and lies first."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, client: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        reply = dns.message.make_response(query)
        reply.answer.append(dns.rrset.from_text(query.question[0].name, 60, "IN", "A", "192.0.2.7"))
        forged = dns.message.from_wire(reply.to_wire())
        forged.id ^= 1
        for packet in (b"junk", forged.to_wire(), reply.to_wire()):
            self.transport.sendto(packet, client)


@pytest.fixture
async def resolver(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Resolver, local_addr=("127.0.0.1", 0))
    monkeypatch.setattr(upstream_module, "_PORT", transport.get_extra_info("sockname")[1])
    yield
    transport.close()


@pytest.mark.parametrize("ask", [dns.asyncquery.udp, dns.asyncquery.tcp])
async def test_names_are_answered_over_udp_and_tcp(server: Target, ask: Any):
    reply = await ask(dns.message.make_query(WEB, "A"), server.address, port=server.port, timeout=5)

    assert reply.answer[0][0].to_text() == "10.96.0.7"


async def test_several_questions_fit_in_one_connection(server: Target):
    reader, writer = await asyncio.open_connection(*server)
    query = dns.message.make_query(WEB, "A")
    writer.write(query.to_wire(prepend_length=True) * 2)

    answers = [await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big")) for _ in range(2)]
    writer.close()

    assert answers[0] == answers[1]


async def test_without_resolvers_other_names_fail_at_once(server: Target):
    query = dns.message.make_query("example.com.", "A")

    reply = await dns.asyncquery.udp(query, server.address, port=server.port, timeout=1)

    assert reply.rcode() == dns.rcode.SERVFAIL


async def test_other_names_are_asked_of_the_machines_resolver(tmp_path: Path, resolver: None):
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    query = dns.message.make_query("example.com.", "A")

    async with serving(tmp_path / "resolv.conf") as bind:
        reply = await dns.asyncquery.udp(query, bind.address, port=bind.port, timeout=5)

    assert reply.answer[0][0].to_text() == "192.0.2.7"


async def test_half_a_question_over_tcp_harms_nobody_else(server: Target):
    _, writer = await asyncio.open_connection(*server)
    writer.write(b"\x00\xff half")
    writer.write_eof()

    reply = await dns.asyncquery.tcp(dns.message.make_query(WEB, "A"), server.address, port=server.port, timeout=5)
    writer.close()

    assert reply.rcode() == dns.rcode.NOERROR


def test_a_resolver_that_is_ourselves_is_left_out():
    text = "# local\nsearch x\nnameserver 10.96.0.10\nnameserver 192.0.2.1\nnameserver\n"

    assert parse_resolvers(text, {"10.96.0.10"}) == (("192.0.2.1", 53),)


def test_a_changed_resolv_conf_is_read_again(tmp_path: Path):
    path = tmp_path / "resolv.conf"
    upstream = Upstream(path)
    assert upstream.resolvers() == ()

    path.write_text("nameserver 192.0.2.1\n")

    assert upstream.resolvers() == (("192.0.2.1", 53),)
