"""The head of an answer and the beginning of its body are written together."""

import asyncio
from typing import cast

from apiserver.protocols.together import RECORD_BYTES, Together


class Wire:
    """A transport that keeps what is written."""

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.is_closed = False

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed


def together(wire: Wire) -> Together:
    return Together(cast("asyncio.Transport", wire), asyncio.get_running_loop())


async def test_a_head_and_a_short_body_are_one_write() -> None:
    wire = Wire()
    transport = together(wire)

    for head, body in ((b"head 1,", b"body 1"), (b"head 2,", b"body 2")):
        transport.expect_head()
        transport.write(head)
        transport.write(body)
    transport.write(b"more")

    assert wire.written == [b"head 1,body 1", b"head 2,body 2", b"more"]


async def test_a_head_whose_body_takes_its_time_goes_by_itself() -> None:
    wire = Wire()
    transport = together(wire)

    transport.expect_head()
    transport.write(b"head")
    at_first = list(wire.written)
    await asyncio.sleep(0)

    assert (at_first, wire.written) == ([], [b"head"])


async def test_a_long_body_is_not_copied_to_its_head() -> None:
    wire, body = Wire(), bytes(RECORD_BYTES)
    transport = together(wire)

    transport.expect_head()
    transport.write(b"head")
    transport.write(body)

    assert wire.written == [b"head", body]
    assert wire.written[1] is body


async def test_a_head_is_written_before_its_connection_closes() -> None:
    wire = Wire()
    transport = together(wire)

    transport.expect_head()
    transport.write(b"head")
    transport.close()

    assert (wire.written, transport.is_closing()) == ([b"head"], True)
