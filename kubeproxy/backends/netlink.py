"""Two small conversations with the kernel for which there is no command on every machine: generations and UDP flows.

The rule set's *generation* changes with every transaction of anyone, so one cheap question tells whether there is
anything to look at. A *flow* is a conntrack entry: UDP has no end of connection, so a client that keeps talking to a
pod that is gone would do so for ever, unless its entry is deleted. Kubernetes: `conntrack -D` in pkg/proxy/conntrack.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from kubeproxy.rules import Target

# Family, type and protocol of the sockets for this.
NETFILTER = (socket.AF_NETLINK, socket.SOCK_RAW, 12)
_REQUEST, _ACK, _DUMP = 0x1, 0x4, 0x300
_DONE, _ERROR = 3, 2
# (subsystem << 8) | message, of linux/netfilter/nfnetlink_conntrack.h and nf_tables.h
_CONNTRACK_GET, _CONNTRACK_DELETE, _GENERATION_GET = 0x101, 0x102, 0xA10
_ORIGINAL, _REPLY = 1, 2
_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_UDP = 17


class Flow(NamedTuple):
    """A UDP client's conversation. Who answers is what was dialled, unless translated; `key` is the kernel's."""

    dialled: Target
    answers: Target
    key: bytes


def generation(netlink: socket.socket) -> int:
    """The number of the rule set in force; 0 if the kernel does not say."""
    for attributes in _ask(netlink, _GENERATION_GET, _REQUEST, socket.AF_UNSPEC):
        return int.from_bytes(attributes.get(1, b""), "big")
    return 0


def forget_flows(netlink: socket.socket, is_stale: Callable[[Flow], bool]) -> None:
    """Delete the UDP flows that are stale."""
    for flow in [flow for flow in _flows(netlink) if is_stale(flow)]:
        for _ in _ask(netlink, _CONNTRACK_DELETE, _REQUEST | _ACK, socket.AF_INET, flow.key):
            pass


def _flows(netlink: socket.socket) -> Iterator[Flow]:
    for attributes in _ask(netlink, _CONNTRACK_GET, _REQUEST | _DUMP, socket.AF_INET):
        original, reply = _attributes(attributes.get(_ORIGINAL, b"")), _attributes(attributes.get(_REPLY, b""))
        ports, answering = _attributes(original.get(2, b"")), _attributes(reply.get(2, b""))
        if ports.get(1) == bytes([_UDP]):
            dialled = _target(_attributes(original[1])[2], ports[3])
            answers = _target(_attributes(reply[1])[1], answering[2])
            yield Flow(dialled, answers, _attribute(_ORIGINAL | 0x8000, attributes[_ORIGINAL]))


def _target(address: bytes, port: bytes) -> Target:
    return Target(socket.inet_ntoa(address), int.from_bytes(port, "big"))


def _ask(netlink: socket.socket, type: int, flags: int, family: int, body: bytes = b"") -> Iterator[dict[int, bytes]]:
    """Send a question; the attributes of each message of the answer."""
    netlink.settimeout(5)
    payload = struct.pack("=BBH", family, 0, 0) + body
    netlink.send(_HEADER.pack(_HEADER.size + len(payload), type, flags, 1, 0) + payload)
    while True:
        for kind, content in _messages(netlink.recv(1 << 18)):
            if kind in (_DONE, _ERROR):
                return
            yield _attributes(content[4:])
        if flags == _REQUEST:
            return


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= _HEADER.size:
        length, kind, *_ = _HEADER.unpack_from(data)
        yield kind, data[_HEADER.size : length]
        data = data[max((length + 3) & ~3, _HEADER.size) :]


def _attributes(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while len(data) >= _ATTRIBUTE.size:
        length, kind = _ATTRIBUTE.unpack_from(data)
        found[kind & 0x3FFF] = data[_ATTRIBUTE.size : length]
        data = data[max((length + 3) & ~3, _ATTRIBUTE.size) :]
    return found


def _attribute(kind: int, value: bytes) -> bytes:
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + b"\0" * (-len(value) % 4)
