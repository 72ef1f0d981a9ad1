"""Calls over HTTP/2 against another implementation of it, which also does what servers rarely do."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from grpc_server import MANY, Heard, dumb_server, grpc_server
from h2.settings import SettingCodes

from wherry.client.grpc import connection as connections
from wherry.client.grpc.channel import Channel
from wherry.client.grpc.stream import CallFailed, NoAnswer, Stream


@pytest.fixture
async def heard() -> AsyncIterator[Heard]:
    async with grpc_server() as heard:
        yield heard


@pytest.fixture
async def channel(heard: Heard) -> AsyncIterator[Channel]:
    channel = Channel(heard.url, None, seconds=20.0)
    yield channel
    await channel.close()


async def reason(channel: Channel, path: str) -> str:
    with pytest.raises(NoAnswer) as error:
        await channel.ask(path, b"")
    return str(error.value)


async def test_questions_at_once_share_a_connection_and_get_each_its_answer(channel: Channel, heard: Heard) -> None:
    answers = await asyncio.gather(*(channel.ask("/echo", b"%d" % n, (("token", "t"),)) for n in range(200)))

    assert answers == [b"%d" % n for n in range(200)]
    assert len(heard.connections) == 1
    assert {(headers["token"], headers["grpc-timeout"]) for headers in heard.headers} == {("t", "20000m")}


@pytest.mark.parametrize("window", [1_000, 65_535, 10_000_000])
async def test_long_messages_keep_to_the_windows_of_both_sides(window: int) -> None:
    async with grpc_server({SettingCodes.INITIAL_WINDOW_SIZE: window, SettingCodes.MAX_FRAME_SIZE: 20_000}) as heard:
        channel = Channel(heard.url, None, seconds=20.0)
        messages = [bytes([n]) * (6_000_000 if window > 1_000 else 100_000) for n in range(2)]

        assert await asyncio.gather(*(channel.ask("/echo", message) for message in messages)) == messages
        await channel.close()


async def test_a_refusal_is_told_in_the_servers_words(channel: Channel) -> None:
    with pytest.raises(CallFailed) as refused:
        await channel.ask("/refuse", b"")

    assert (refused.value.code, refused.value.details) == (5, "no such thing: 50% ü")
    assert await channel.ask("/echo", b"still there") == b"still there"


def test_a_code_of_thousands_of_digits_is_no_status() -> None:
    stream = Stream(1, 0, is_unary=True)
    stream.headers = {":status": "200", "grpc-status": "9" * 5000}
    stream.end()

    with pytest.raises(NoAnswer, match="without a status of gRPC"):
        stream.message()


async def test_what_ends_otherwise_is_no_answer_and_disturbs_nobody(channel: Channel, heard: Heard) -> None:
    reasons = [await reason(channel, path) for path in ("/reset", "/busy", "/short")]

    assert reasons == [
        "the call was ended with code 7",
        "HTTP status 503 without a status of gRPC",
        "the answer ended early",
    ]
    assert await channel.ask("/padded", b"") == b"padded"
    assert len(heard.connections) == 1


async def test_a_server_that_goes_away_is_left_when_its_last_call_is_over(channel: Channel, heard: Heard) -> None:
    many = await channel.listen("/many", b"")

    assert await reason(channel, "/leave") == "the server is going away"
    assert await channel.ask("/echo", b"anew") == b"anew"
    assert [len(await many.read()) for _ in range(MANY)] == [100_000] * MANY
    many.close()

    first, second = heard.connections
    await asyncio.sleep(0.05)
    assert (first.transport.is_closing(), second.transport.is_closing()) == (True, False)


async def test_who_is_late_or_gives_up_lets_the_server_know(heard: Heard) -> None:
    channel = Channel(heard.url, None, seconds=0.1)
    late = await reason(channel, "/never")
    leaving = asyncio.create_task(channel.ask("/never", b""))
    await asyncio.sleep(0.02)
    leaving.cancel()

    assert await channel.ask("/echo", b"here") == b"here"
    assert (late, heard.resets) == ("no answer within 0.1 s", [1, 3])
    await channel.close()


async def test_who_does_not_read_holds_the_sender_up_and_nobody_else(channel: Channel, heard: Heard) -> None:
    streams = [await channel.listen("/many", b"") for _ in range(2)]

    assert await channel.ask("/echo", b"quick") == b"quick"
    await asyncio.sleep(0.2)
    assert heard.sent < 2 * connections.STREAM_WINDOW + 10
    assert [len(await stream.read()) for stream in streams for _ in range(MANY)] == [100_000] * MANY * 2
    with pytest.raises(NoAnswer, match="ended early"):
        await streams[0].read()
    for stream in streams:
        stream.close()


async def test_a_server_has_no_more_calls_at_once_than_it_wants() -> None:
    async with grpc_server({SettingCodes.MAX_CONCURRENT_STREAMS: 3}) as heard:
        channel = Channel(heard.url, None, seconds=5.0)
        await channel.ask("/echo", b"")
        asked = [asyncio.create_task(channel.ask("/echo", b"%d" % n)) for n in range(50)]
        await asyncio.sleep(0)
        asked[20].cancel()
        await asyncio.wait(asked)

        assert [task.result() for task in asked if not task.cancelled()] == [b"%d" % n for n in range(50) if n != 20]
        assert heard.most_at_once <= 3
        await channel.close()


async def test_waiting_for_a_turn_ends_in_time_and_answers_have_a_limit() -> None:
    async with grpc_server({SettingCodes.MAX_CONCURRENT_STREAMS: 1}) as heard:
        channel = Channel(heard.url, None, seconds=0.3, longest=1_000)

        assert await channel.ask("/echo", b"x" * 1_000) == b"x" * 1_000
        with pytest.raises(NoAnswer, match="the answer is longer than 1000 bytes"):
            await channel.ask("/echo", b"x" * 1_001)
        forever = await channel.listen("/never", b"")
        assert await reason(channel, "/echo") == "the server took no further call within 0.3 s"
        forever.close()
        assert await channel.ask("/echo", b"at last") == b"at last"
        await channel.close()


async def test_who_waits_for_a_turn_hears_that_the_server_is_going_away() -> None:
    async with grpc_server({SettingCodes.MAX_CONCURRENT_STREAMS: 1}) as heard:
        channel = Channel(heard.url, None, seconds=5.0)
        await channel.ask("/echo", b"")
        forever = await channel.listen("/never", b"")
        waiting = [asyncio.create_task(reason(channel, "/echo")) for _ in range(3)]
        await asyncio.sleep(0)

        [connection] = heard.connections
        connection.h2.close_connection(0, last_stream_id=3)
        connection.flush()

        assert await asyncio.wait_for(asyncio.gather(*waiting), 3) == ["the server is going away"] * 3
        forever.close()
        await channel.close()


async def test_a_server_that_keeps_a_table_of_headers_is_understood_all_the_same(heard: Heard) -> None:
    heard.keeps_table = True
    channel = Channel(heard.url, None, seconds=20.0)

    for n in range(200):
        assert await channel.ask("/echo", b"%d" % n) == b"%d" % n
        with pytest.raises(CallFailed, match="no such thing"):
            await channel.ask("/refuse", b"")
    await channel.close()


async def test_a_lost_connection_ends_its_calls_and_the_next_one_makes_another(channel: Channel, heard: Heard) -> None:
    waiting = [asyncio.create_task(reason(channel, "/never")) for _ in range(3)]
    await channel.ask("/echo", b"")

    heard.connections[0].transport.abort()

    assert len(set(await asyncio.gather(*waiting))) == 1
    assert await asyncio.gather(*(channel.ask("/echo", b"anew") for _ in range(20))) == [b"anew"] * 20
    assert len(heard.connections) == 2


async def test_the_numbers_of_streams_run_out_and_a_new_connection_begins_again(
    channel: Channel, heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wherry.client.grpc.connection.LAST_STREAM", 21)

    assert await asyncio.gather(*(channel.ask("/echo", b"%d" % n) for n in range(10))) == [b"%d" % n for n in range(10)]
    for _ in range(30):
        await channel.ask("/echo", b"")

    assert len(heard.connections) == 4


async def test_a_server_that_falls_silent_is_left_after_a_ping(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "QUIET_SECONDS", 0.1)
    monkeypatch.setattr(connections, "PING_SECONDS", 0.1)
    async with dumb_server() as url, grpc_server() as heard:
        quiet, lively = (Channel(each, None, seconds=5.0) for each in (url, heard.url))
        patient = asyncio.create_task(lively.ask("/never", b""))

        assert await reason(quiet, "/never") == "no answer to a ping"
        await asyncio.sleep(0.3)
        assert not patient.done()

        await lively.close()
        with pytest.raises(NoAnswer, match="closed"):
            await patient


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\x08\x09\x04\0\0\0\0" + bytes(8)])
async def test_what_is_no_http2_is_no_answer(said: bytes) -> None:
    async with dumb_server(said) as url:
        why = await reason(Channel(url, None, seconds=2.0), "/echo")

    assert why in ("what it says is no HTTP/2", "headers that were not finished, or not begun")


async def test_nobody_there_and_nobody_who_answers_are_told_apart() -> None:
    async with dumb_server() as url:
        silent = Channel(url, None, seconds=0.1)
        assert await reason(silent, "/echo") == "no answer within 0.1 s"
        await silent.close()

    assert "failed to connect" in await reason(Channel(url, None, seconds=0.5), "/echo")


@pytest.mark.parametrize("turns", [1, 2])
async def test_who_waits_for_a_connection_hears_that_the_channel_was_closed(turns: int) -> None:
    async with dumb_server() as url:
        channel = Channel(url, None, seconds=5.0)
        waiting = [asyncio.create_task(reason(channel, "/echo")) for _ in range(2)]
        for _ in range(turns):
            await asyncio.sleep(0)
        await channel.close()

        assert await asyncio.gather(*waiting) == ["failed to connect: the channel was closed"] * 2
