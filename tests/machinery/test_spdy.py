"""SPDY frames: what one side writes, the other reads, however the bytes are cut."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wherry.machinery.spdy import MAX_FRAME_BYTES, Data, Opened, Ping, Reset, Spdy, SpdyError

HEADERS = {"streamtype": "data", "port": "80", "requestid": "0"}


def test_headers_are_compressed_over_the_whole_connection():
    client, server = Spdy(), Spdy()

    first, second = client.open(1, HEADERS), client.open(3, HEADERS, is_last=True)

    assert list(server.feed(first + second)) == [Opened(1, HEADERS, False), Opened(3, HEADERS, True)]
    assert len(second) < len(first)


def test_names_of_headers_are_lower_case_here():
    assert list(Spdy().feed(Spdy().open(1, {"StreamType": "Data"}))) == [Opened(1, {"streamtype": "Data"}, False)]


@given(st.lists(st.integers(1, 64)), st.binary(max_size=100))
def test_bytes_may_be_cut_anywhere(lengths: list[int], data: bytes):
    client, server = Spdy(), Spdy()
    sent = client.open(1, HEADERS) + client.data(1, data) + client.pong(Ping(7)) + client.reset(1)

    pieces = []
    for length in (*lengths, len(sent)):
        pieces.append(sent[:length])
        sent = sent[length:]

    frames = [frame for piece in pieces for frame in server.feed(piece)]
    assert frames == [Opened(1, HEADERS, False), Data(1, data, False), Ping(7), Reset(1)]


def test_a_reply_and_what_has_no_meaning_here_are_read_over():
    settings, goaway = struct.pack(">II", 0x80030004, 4) + bytes(4), struct.pack(">II", 0x80030007, 8) + bytes(8)

    assert list(Spdy().feed(Spdy().reply(1) + settings + goaway + Spdy().data(1, b"", is_last=True))) == [
        Data(1, b"", True)
    ]


def too_long_a_frame() -> bytes:
    return struct.pack(">II", 1, MAX_FRAME_BYTES)


def another_version() -> bytes:
    return struct.pack(">II", 0x80020001, 0)


def no_zlib() -> bytes:
    return struct.pack(">II", 0x80030001, 14) + bytes(10) + b"abcd"


def too_many_headers() -> bytes:
    return Spdy().open(1, {"bomb": "x" * 100_000})


def a_word_beyond_the_end() -> bytes:
    block = Spdy()._pack
    headers = block.compress(struct.pack(">II", 1, 1 << 31)) + block.flush(2)
    return struct.pack(">II", 0x80030001, 10 + len(headers)) + bytes(10) + headers


@pytest.mark.parametrize("wrong", [too_long_a_frame, another_version, no_zlib, too_many_headers, a_word_beyond_the_end])
def test_what_is_not_spdy_is_refused(wrong):
    with pytest.raises(SpdyError):
        list(Spdy().feed(wrong()))


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(noise: bytes):
    try:
        list(Spdy().feed(noise))
    except SpdyError:
        return
