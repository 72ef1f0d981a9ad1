"""Connections for requests that are answered whole."""

import asyncio
import contextlib
import gzip
import socket

import pytest

from wherry.client.http import Client
from wherry.client.kubeconfig import Connection
from wherry.client.transport import HttpTransport
from wherry.client.wires.pool import Wires
from wherry.client.wires.wire import Broken
from wherry.machinery.errors import BadRequest

WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Server:
    """Answers what it is told, connection by connection; an empty answer ends the connection."""

    def __init__(self, *connections):
        self._connections = list(connections)
        self.asked, self.tasks, self.heard = [], [], asyncio.Event()

    async def __call__(self, reader, writer):
        self.tasks.append(asyncio.current_task())
        for answer in self._connections.pop(0):
            self.asked.append((await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode())
            self.heard.set()
            writer.write(answer)
            if not answer:
                break
        else:
            with contextlib.suppress(ConnectionError):
                await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


@contextlib.asynccontextmanager
async def wires_to(*connections):
    answering = Server(*connections)
    async with await asyncio.start_server(answering, "127.0.0.1", 0) as server:
        wires = Wires(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/base", None)
        try:
            yield wires, answering
        finally:
            wires.close()
            await asyncio.gather(*answering.tasks)


def get(wires, path="/pods", method="GET", headers=None):
    return wires.exchange(method, path, {}, headers or {}, None)


async def test_a_connection_serves_one_request_after_the_other():
    async with wires_to([WHOLE, WHOLE]) as (wires, server):
        answer = await wires.exchange("GET", "/a b/%2F", {"limit": "5", "labelSelector": "a=b"}, {}, None)
        again = await wires.exchange("POST", "/pods?dryRun=All", {"x": "y"}, {}, b"")

    assert answer == again == (200, {"content-length": "2"}, b"{}")
    assert server.asked == [
        "GET /base/a%20b/%2F?limit=5&labelSelector=a%3Db HTTP/1.1",
        "POST /base/pods?dryRun=All&x=y HTTP/1.1",
    ]


async def test_bodies_come_in_every_shape():
    packed = gzip.compress(b"abc" * 100)
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    squeezed = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(packed), packed)
    early = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n"

    async with wires_to([chunked, squeezed, early]) as (wires, _):
        bodies = [(await get(wires))[2] for _ in range(3)]

    assert bodies == [b"abc", b"abc" * 100, b""]


async def test_an_answer_without_a_length_ends_with_its_connection():
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nServer: old\r\n\r\nabc")
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        wires = Wires(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", None)
        found = await get(wires)

    assert found == (200, {"server": "old"}, b"abc")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
async def test_only_what_reads_is_asked_again_on_a_connection_that_had_ended(method):
    async with wires_to([WHOLE, b""], [WHOLE]) as (wires, server):
        await get(wires)
        second = asyncio.ensure_future(get(wires, "/again", method))
        await asyncio.wait([second])

    if method == "GET":
        assert (await second)[0] == 200
    else:
        with pytest.raises(Broken, match="the connection ended before the answer"):
            await second
    assert server.asked[1:] == [f"{method} /base/again HTTP/1.1"] * (2 if method == "GET" else 1)


@pytest.mark.parametrize("head", ["Content-Type: a/b\r\nDate: now\r\n", "Content-Encoding: gzip\r\n\r\nhalf"])
async def test_half_a_head_and_half_of_what_is_packed_are_no_answer(head):
    async def answer(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n" + head.encode())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        wires = Wires(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", None)
        with pytest.raises(Broken):
            await asyncio.wait_for(get(wires, method="POST"), 5)


async def test_what_is_under_way_when_the_client_closes_is_not_asked_again():
    async with wires_to([WHOLE, b"HTTP/1.1 100 Continue\r\n\r\n"], [WHOLE]) as (wires, server):
        await get(wires)
        server.heard.clear()
        second = asyncio.ensure_future(get(wires, "/again"))
        await asyncio.sleep(0)
        wires.close()

        with pytest.raises(ConnectionError, match="the client was closed"):
            await second

    assert len(server.tasks) == 1


async def test_who_waits_no_longer_leaves_no_answer_to_the_next():
    async with wires_to([b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"], [WHOLE]) as (wires, server):
        first = asyncio.ensure_future(get(wires, "/slow"))
        await server.heard.wait()
        first.cancel()
        await asyncio.wait([first])
        answer = await get(wires, "/next")

    assert answer[2] == b"{}"
    assert server.asked == ["GET /base/slow HTTP/1.1", "GET /base/next HTTP/1.1"]


async def test_what_is_no_http_is_told():
    async with wires_to([b"SSH-2.0-OpenSSH_9.6\r\n"]) as (wires, _):
        with pytest.raises(Broken, match=r"the answer is not HTTP/1\.1"):
            await get(wires)


async def test_nobody_there_is_told_with_the_address():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # it does not listen
        port = taken.getsockname()[1]

        with pytest.raises(ConnectionError, match=rf"no connection to 127\.0\.0\.1:{port}: "):
            await get(Wires(f"http://127.0.0.1:{port}", None))


@pytest.mark.parametrize("header", ["x\r\nImpersonate-User: admin", "half a character: \ud800"])
async def test_headers_that_cannot_go_are_bad_requests(header):
    with pytest.raises(BadRequest, match=r"a header of GET /pods has a line break|GET '/pods' is no text"):
        await get(Wires("http://127.0.0.1:1", None), headers={"User-Agent": header})

    async with Client(Connection("http://127.0.0.1:1"), user_agent=header) as client:
        with pytest.raises(BadRequest):
            await client.request("GET", "/pods")


async def test_a_stream_cannot_smuggle_in_headers_either():
    transport = HttpTransport(Connection("http://127.0.0.1:1"))

    with pytest.raises(BadRequest, match="a header of GET /pods has a line break in it"):
        await anext(transport.stream("GET", "/pods", {}, {"User-Agent": "x\r\nImpersonate-User: admin"}, None))
    with pytest.raises(BadRequest, match="GET '/pods' is no text"):
        await anext(transport.stream("GET", "/pods", {}, {"User-Agent": "half a character: \ud800"}, None))
    await transport.close()


async def test_headers_are_sent_in_utf_8():
    sent = []

    async def answer(reader, writer):
        sent.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(WHOLE)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        wires = Wires(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", None)
        await get(wires, headers={"Impersonate-User": "Zoë 東"})

    assert "Impersonate-User: Zoë 東\r\n".encode() in sent[0]
