"""From packet to packet: what DNS asks in bytes, the zone answers in records.

The hot path is one dictionary: the bytes of a question (all but the two of its number) lead to the bytes of the answer.
Only a question's first time goes through dnspython. The dictionary is thrown away whenever the zone changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import cycle
from typing import NamedTuple

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import structlog

from kubeproxy.dns.zone import Answer, Record, Zone

_log = structlog.get_logger()

TTL_SECONDS = 5
# What fits into one unfragmented packet almost everywhere. DNS flag day 2020.
UDP_BYTES = 1232
PLAIN_UDP_BYTES = 512
TCP_BYTES = 65535
_HEADER_BYTES = 12
_MOST_CACHED = 10_000
# Answers with several addresses are given in so many orders, in turn, so that clients that take the first spread out.
_ORDERS = 8
# An ExternalName may lead to a service that leads on; nobody honest goes deeper.
_MOST_ALIASES = 8


class Elsewhere(NamedTuple):
    """The question, or the end of its chain of aliases `so_far`, belongs to another server: ask it for `name`."""

    query: dns.message.Message
    name: dns.name.Name
    so_far: tuple[Record, ...]
    max_bytes: int


class Responder:
    """Answers packets from the zone of the moment."""

    def __init__(self, zone: Zone) -> None:
        self._zone = zone
        self._known: dict[tuple[bytes, bool], cycle[bytes]] = {}

    def use(self, zone: Zone) -> None:
        """Answer from `zone` from now on."""
        self._zone = zone
        self._known.clear()

    def respond(self, packet: bytes, *, tcp: bool = False) -> bytes | Elsewhere | None:
        """The answer; `Elsewhere` if another server has it; None if the packet deserves none."""
        known = self._known.get((packet[2:], tcp))
        if known is not None:
            return packet[:2] + next(known)
        # No answers to answers: two servers would keep each other busy for ever.
        if len(packet) < _HEADER_BYTES or packet[2] & 0x80:
            return None
        try:
            return self._parse_and_answer(packet, tcp)
        except Exception as error:
            # Whatever a hostile packet managed to break, the next one is served.
            _log.debug("packet not understood", error=repr(error), bytes=len(packet))
            return bare_answer(packet, dns.rcode.FORMERR)

    def _parse_and_answer(self, packet: bytes, tcp: bool) -> bytes | Elsewhere:
        if dns.opcode.from_flags(int.from_bytes(packet[2:4], "big")) != dns.opcode.QUERY:
            return bare_answer(packet, dns.rcode.NOTIMP)
        query = dns.message.from_wire(packet, ignore_trailing=True)
        if len(query.question) != 1:
            return bare_answer(packet, dns.rcode.FORMERR)
        question = query.question[0]
        if query.edns > 0:
            return self._finish(query, NOTHING, max_bytes(query, tcp), dns.rcode.BADVERS)[0]
        if question.rdclass != dns.rdataclass.IN or question.rdtype in _TRANSFERS:
            return self._finish(query, NOTHING, max_bytes(query, tcp), dns.rcode.REFUSED)[0]
        outcome = self._resolve(query, max_bytes(query, tcp))
        if isinstance(outcome, Elsewhere):
            return outcome
        orders = self._finish(query, outcome, max_bytes(query, tcp))
        # A cookie makes each question unlike all others, so remembering it would be in vain.
        if len(packet) <= PLAIN_UDP_BYTES and not query.options:
            if len(self._known) >= _MOST_CACHED:
                self._known.clear()
            self._known[packet[2:], tcp] = cycle([order[2:] for order in orders])
        return orders[0]

    def _resolve(self, query: dns.message.Message, limit: int) -> Answer | Elsewhere:
        """Follow aliases until there is an answer, or until they leave the zone."""
        question = query.question[0]
        type, name = dns.rdatatype.to_text(question.rdtype), question.name
        aliases: tuple[Record, ...] = ()
        for _ in range(_MOST_ALIASES):
            text = name.to_text().lower()
            if not self._zone.owns(text):
                return Elsewhere(query, name, aliases, limit)
            if not aliases and text == f"{self._zone.settings.domain}." and type in ("SOA", "NS", "ANY"):
                return Answer(True, tuple(self._apex(type)))
            answer = self._zone.look_up(text, type)
            last = answer.records[-1] if answer.records else None
            if last is None or last.type != "CNAME" or type in ("CNAME", "ANY"):
                return Answer(answer.is_known or bool(aliases), aliases + answer.records, answer.additional)
            aliases += answer.records
            name = dns.name.from_text(last.data)
        return Answer(True, aliases)

    def _finish(
        self, query: dns.message.Message, answer: Answer, limit: int, rcode: dns.rcode.Rcode | None = None
    ) -> list[bytes]:
        """The whole answer in wire form, in the orders in which it is to be given."""
        if rcode is None:
            rcode = dns.rcode.NOERROR if answer.is_known else dns.rcode.NXDOMAIN
        reply = self._reply(query, rcode)
        _add(reply.answer, answer.records, query)
        _add(reply.additional, answer.additional, query)
        if not answer.records and rcode in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            _add(reply.authority, [self._soa()], query)
        # dnspython shuffles the records each time.
        return [to_wire(reply, limit) for _ in range(_ORDERS if len(answer.records) > 1 else 1)]

    def _reply(self, query: dns.message.Message, rcode: dns.rcode.Rcode) -> dns.message.Message:
        reply = dns.message.make_response(query, recursion_available=True, our_payload=UDP_BYTES)
        reply.flags |= dns.flags.AA
        reply.set_rcode(rcode)
        return reply

    def _apex(self, type: str) -> Iterator[Record]:
        domain = self._zone.settings.domain
        if type != "NS":
            yield self._soa()
        if type != "SOA":
            yield Record(f"{domain}.", "NS", f"ns.dns.{domain}.")

    def _soa(self) -> Record:
        domain = self._zone.settings.domain
        return Record(f"{domain}.", "SOA", f"ns.dns.{domain}. hostmaster.{domain}. 1 7200 1800 86400 {TTL_SECONDS}")


NOTHING = Answer(True)
_TRANSFERS = (dns.rdatatype.AXFR, dns.rdatatype.IXFR)


def max_bytes(query: dns.message.Message, tcp: bool) -> int:
    """How long an answer the client takes."""
    if tcp:
        return TCP_BYTES
    return min(max(query.payload, PLAIN_UDP_BYTES), UDP_BYTES) if query.edns >= 0 else PLAIN_UDP_BYTES


def to_wire(reply: dns.message.Message, limit: int) -> bytes:
    """The packet; what is too long is cut and marked so, and the client comes again over TCP."""
    return reply.to_wire(max_size=limit, prefer_truncation=True)


def bare_answer(packet: bytes, rcode: dns.rcode.Rcode) -> bytes:
    """An answer without a question, for packets that we cannot, or may not, read further than their header."""
    flags = 0x8000 | (int.from_bytes(packet[2:4], "big") & 0x7900) | int(rcode)
    return packet[:2] + flags.to_bytes(2, "big") + bytes(8)


def with_aliases(elsewhere: Elsewhere, reply: dns.message.Message | None) -> bytes:
    """Another server's answer under our aliases; SERVFAIL if it gave none."""
    own = dns.message.make_response(elsewhere.query, recursion_available=True, our_payload=UDP_BYTES)
    _add(own.answer, elsewhere.so_far, elsewhere.query)
    if reply is None:
        own.set_rcode(dns.rcode.SERVFAIL)
    else:
        own.set_rcode(reply.rcode())
        own.answer.extend(reply.answer)
    return to_wire(own, elsewhere.max_bytes)


def _add(section: list[dns.rrset.RRset], records: Iterable[Record], query: dns.message.Message) -> None:
    """Append records; those of the name asked for keep the case in which it was asked (draft-vixie-dnsext-dns0x20)."""
    asked = query.question[0].name
    sets: dict[tuple[str, str], list[str]] = {}
    for record in records:
        sets.setdefault((record.name, record.type), []).append(record.data)
    for (name, type), data in sets.items():
        owner = dns.name.from_text(name)
        section.append(dns.rrset.from_text_list(asked if owner == asked else owner, TTL_SECONDS, "IN", type, data))
