"""Requests over kept connections, against servers that say exactly what the test has them say."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from wherry.client.kubeconfig import Connection
from wherry.client.wire.exchange import Exchanges

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-One: 1\r\n\r\nhi"


class Server:
    """Gives the `says` one after the other, each to one request; an empty one hangs up. Notes who asked on what."""

    def __init__(self, *says: bytes) -> None:
        self.says, self.asked, self.connections = list(says), list[bytes](), 0
        self.serving = list[asyncio.Task[None] | None]()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.serving.append(asyncio.current_task())
        while self.says and (head := await _head_of(reader)):
            self.asked.append(head)
            writer.write(said := self.says.pop(0))
            if not said:
                break
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _head_of(reader: asyncio.StreamReader) -> bytes:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, OSError):
        return b""
    length = head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0]
    return head + await reader.readexactly(int(length or 0))


@asynccontextmanager
async def asking(server: Server, prefix: str = "") -> AsyncIterator[Callable[..., asyncio.Future[tuple[int, bytes]]]]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    exchanges = Exchanges(Connection(f"http://127.0.0.1:{port}{prefix}"), True)

    async def ask(
        method: str = "GET", path: str = "/api", body: bytes | None = None, **query: str
    ) -> tuple[int, bytes]:
        answer = await exchanges.request(method, path, query, {"Accept": "application/json"}, body)
        return answer.status, answer.body

    yield ask  # type: ignore[misc]
    exchanges.close()
    listening.close()
    await listening.wait_closed()
    await asyncio.gather(*(task for task in server.serving if task))


async def test_one_connection_serves_one_request_after_the_other():
    server = Server(OK, OK, b"")
    async with asking(server, "/clusters/one") as ask:
        answers = [await ask(), await ask("POST", "/a b", b"{}", fieldManager="me & you")]

    assert answers == [(200, b"hi")] * 2
    assert server.connections == 1
    lines = [head.split(b"\r\n") for head in server.asked]
    assert lines[0][0] == b"GET /clusters/one/api HTTP/1.1"
    assert lines[1][0] == b"POST /clusters/one/a%20b?fieldManager=me+%26+you HTTP/1.1"
    assert lines[1][1].startswith(b"Host: 127.0.0.1:")
    assert lines[1][2:] == [b"Accept: application/json", b"Content-Length: 2", b"", b"{}"]


async def test_requests_at_the_same_time_have_a_connection_each():
    server = Server(OK, OK, OK)
    async with asking(server) as ask:
        await asyncio.gather(ask(), ask(), ask())

    assert server.connections == 3


async def test_answers_may_come_in_chunks_after_others_that_only_announce_them():
    chunks = b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n"
    server = Server(b"HTTP/1.1 102 Processing\r\n\r\n" + chunks)
    async with asking(server) as ask:
        assert await ask("POST") == (201, b"abc")


async def test_a_connection_that_the_server_ends_is_not_used_again():
    server = Server(OK.replace(b"X-One: 1", b"Connection: close"), OK)
    async with asking(server) as ask:
        assert [await ask(), await ask()] == [(200, b"hi")] * 2

    assert server.connections == 2


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"SSH-2.0-OpenSSH_9.2\r\n"])
async def test_no_answer_is_an_error_and_nobody_is_asked_again(said: bytes):
    server = Server(OK, said)
    async with asking(server) as ask:
        await ask()
        with pytest.raises(ConnectionError, match=r"hung up|no HTTP"):
            await ask("POST")

    assert len(server.asked) == 2


async def test_a_get_on_a_connection_that_was_closed_meanwhile_is_sent_once_more():
    server = Server(OK, b"", OK)
    async with asking(server) as ask:
        await ask()
        assert await ask() == (200, b"hi")

    assert (server.connections, len(server.asked)) == (2, 3)


async def test_whoever_gives_up_leaves_no_answer_to_the_next():
    server = Server(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nla", OK)
    async with asking(server) as ask:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ask()
        assert await ask() == (200, b"hi")

    assert server.connections == 2
