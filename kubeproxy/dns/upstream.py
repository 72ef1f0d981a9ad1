"""Names that are not the cluster's, asked of the resolvers that the machine itself uses.

Each question goes out from a socket of its own with a number of its own, and only an answer that repeats both counts.
There is no cache: what the machine's resolvers remember is enough. Without resolvers the answer is a quick SERVFAIL.

A resolver that sends our questions back to us would make a loop. Our own addresses are left out; for longer ways round,
the bounds on time and on questions under way keep it small.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Collection
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.name
import structlog

from kubeproxy.dns.responder import UDP_BYTES, Elsewhere

_log = structlog.get_logger()
_PORT = 53
# glibc asks again after 5 s; both of two resolvers get their chance before that.
_ANSWER_SECONDS = 2.0
_MOST_UNDER_WAY = 256
# glibc reads no more (MAXNS).
_MOST_RESOLVERS = 3


class Upstream:
    """Asks the resolvers in `resolv_conf`, in order, but never `ourselves`."""

    def __init__(self, resolv_conf: Path, ourselves: Collection[str] = ()) -> None:
        self._path = resolv_conf
        self._ourselves = frozenset(ourselves)
        self._read_at = 0
        self._resolvers: tuple[tuple[str, int], ...] = ()
        self._under_way = 0

    async def ask(self, elsewhere: Elsewhere, *, tcp: bool) -> dns.message.Message | None:
        """The first answer that any resolver gives; None if there is none in time or too much is asked at once."""
        if self._under_way >= _MOST_UNDER_WAY:
            return None
        self._under_way += 1
        try:
            for resolver in self.resolvers():
                try:
                    async with asyncio.timeout(_ANSWER_SECONDS):
                        return await _ask(resolver, elsewhere, tcp)
                except (OSError, TimeoutError, dns.exception.DNSException, EOFError) as error:
                    _log.debug("resolver gives no answer", resolver=resolver[0], error=repr(error))
            return None
        finally:
            self._under_way -= 1

    def resolvers(self) -> tuple[tuple[str, int], ...]:
        """Whom to ask; read anew when the file changes, as it does when a laptop changes networks."""
        try:
            changed_at = self._path.stat().st_mtime_ns
            if changed_at != self._read_at:
                self._resolvers = parse_resolvers(self._path.read_text(errors="replace"), self._ourselves)
                self._read_at = changed_at
        except OSError:
            self._resolvers, self._read_at = (), 0
        return self._resolvers


def parse_resolvers(text: str, ourselves: Collection[str]) -> tuple[tuple[str, int], ...]:
    """The `nameserver` lines of a resolv.conf.

    >>> parse_resolvers("search x\\nnameserver 192.0.2.53\\nnameserver 10.96.0.10", {"10.96.0.10"})
    (('192.0.2.53', 53),)
    """
    words = (line.split() for line in text.splitlines())
    found = [line[1] for line in words if len(line) > 1 and line[0] == "nameserver"]
    return tuple((address, _PORT) for address in found if address not in ourselves)[:_MOST_RESOLVERS]


async def _ask(resolver: tuple[str, int], elsewhere: Elsewhere, tcp: bool) -> dns.message.Message:
    question = elsewhere.query.question[0]
    query = dns.message.make_query(elsewhere.name, question.rdtype, question.rdclass, use_edns=0, payload=UDP_BYTES)
    if not elsewhere.query.flags & dns.flags.RD:
        query.flags &= ~dns.flags.RD
    answer = await (_over_tcp if tcp else _over_udp)(resolver, query)
    if not tcp and answer.flags & dns.flags.TC:
        # Whether the client can take it all is decided later; cut answers carry nothing to decide on.
        answer = await _over_tcp(resolver, query)
    return answer


async def _over_udp(resolver: tuple[str, int], query: dns.message.Message) -> dns.message.Message:
    loop = asyncio.get_running_loop()
    with _socket(resolver[0], socket.SOCK_DGRAM) as asking:
        asking.connect(resolver)
        await loop.sock_sendall(asking, query.to_wire())
        while True:
            packet = await loop.sock_recv(asking, 65535)
            try:
                answer = dns.message.from_wire(packet, ignore_trailing=True)
            except dns.exception.DNSException:
                continue
            # Anyone can send us a packet; only one who saw the question knows its number.
            if query.is_response(answer):
                return answer


async def _over_tcp(resolver: tuple[str, int], query: dns.message.Message) -> dns.message.Message:
    reader, writer = await asyncio.open_connection(*resolver)
    try:
        writer.write(query.to_wire(prepend_length=True))
        packet = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
        answer = dns.message.from_wire(packet, ignore_trailing=True)
        if not query.is_response(answer):
            raise OSError("the answer belongs to another question")
        return answer
    finally:
        writer.close()


def _socket(address: str, type: int) -> socket.socket:
    made = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, type)
    made.setblocking(False)
    return made
