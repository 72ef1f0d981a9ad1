"""Port-forward at the kubelet's port: as kubectl does it, and as client libraries do."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.kubelet.nodes import NodeUnderTest, a_container, a_node_on_docker, served
from wherry.machinery import channels
from wherry.machinery.spdy import Data, Opened, Spdy

# It says what it was sent, in upper case, after the client has ended; a web server on the pod's loopback only; and one
# that never says anything.
SCRIPT = (
    "trap 'exit 0' TERM; nc -ll -p 8080 -e tr a-z A-Z & httpd -p 127.0.0.1:8000 -h / & "
    "nc -ll -p 9000 -e sleep 600 & sleep 600 & wait"
)
READY = {"tcpSocket": {"port": 8080}, "periodSeconds": 1}
PATH = "/portForward/default/web"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        a_node_on_docker(tmp_path / "node", a_container(script=SCRIPT, readinessProbe=READY)) as node,
        served(node) as client,
    ):
        yield client


class Tunnel:
    """kubectl's side: a connection of the user's is a stream for errors and one for data."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket, self._spdy, self._next = socket, Spdy(), 1

    async def open(self, port: str) -> tuple[int, int]:
        """The streams for errors and for data."""
        errors, data = self._next, self._next + 2
        self._next += 4
        both = {"port": port, "requestid": str(errors)}
        await self._send(self._spdy.open(errors, {"streamtype": "error", **both}))
        await self._send(self._spdy.data(errors, b"", is_last=True))
        await self._send(self._spdy.open(data, {"streamtype": "data", **both}))
        return errors, data

    async def say(self, stream: int, data: bytes, *, is_last: bool = True) -> None:
        await self._send(self._spdy.data(stream, data, is_last=is_last))

    async def hear(self, *streams: int) -> dict[int, bytes]:
        """Everything on these streams, until each has ended."""
        heard, open_ = dict.fromkeys(streams, b""), set(streams)
        while open_:
            for frame in self._spdy.feed(await self._socket.receive_bytes()):
                if isinstance(frame, Data) and frame.stream_id in heard:
                    heard[frame.stream_id] += frame.data
                    open_ -= {frame.stream_id} if frame.is_last else set()
                assert not isinstance(frame, Opened)
        return heard

    async def _send(self, frame: bytes) -> None:
        # Message boundaries mean nothing in a tunnel.
        await self._socket.send_bytes(frame[:5])
        await self._socket.send_bytes(frame[5:])


async def test_kubectl_forwards_several_connections_at_once(client: aiohttp.ClientSession):
    async with client.ws_connect(PATH, protocols=(channels.SPDY_TUNNEL,)) as socket:
        tunnel = Tunnel(socket)
        (error1, data1), (error2, data2) = await tunnel.open("8080"), await tunnel.open("8080")

        await tunnel.say(data1, b"one ", is_last=False)
        await tunnel.say(data2, b"two" * 20_000)
        await tunnel.say(data1, b"more")

        assert await tunnel.hear(error1, data1, error2, data2) == {
            error1: b"",
            data1: b"ONE MORE",
            error2: b"",
            data2: b"TWO" * 20_000,
        }


async def become(node: NodeUnderTest, count: int) -> bool:
    """Whether so many processes that connect run in the pod's sandbox, now or soon."""
    sandbox = (await node.runtime.inventory()).sandboxes[0]
    for _ in range(50):
        output = (await node.runtime.run(sandbox.id, ("/bin/busybox", "ps"), 5)).output
        if sum(b"nc 127.0.0.1 9000" in line for line in output.splitlines()) == count:
            return True
    return False


async def test_a_client_that_goes_away_takes_its_connections_with_it(tmp_path: Path):
    async with (
        a_node_on_docker(tmp_path / "node", a_container(script=SCRIPT, readinessProbe=READY)) as node,
        served(node) as client,
    ):
        async with client.ws_connect(PATH, protocols=(channels.SPDY_TUNNEL,)) as socket:
            tunnel = Tunnel(socket)
            await tunnel.open("9000")
            await tunnel.open("9000")
            were_there = await become(node, 2)

        assert (were_there, await become(node, 0)) == (True, True)


async def test_what_listens_on_the_pods_loopback_only_is_reached(client: aiohttp.ClientSession):
    async with client.ws_connect(PATH, protocols=(channels.SPDY_TUNNEL,)) as socket:
        tunnel = Tunnel(socket)
        _, data = await tunnel.open("8000")

        await tunnel.say(data, b"GET /nothing HTTP/1.0\r\n\r\n", is_last=False)

        assert (await tunnel.hear(data))[data].startswith(b"HTTP/1.1 404 Not Found")


async def test_what_is_wrong_is_told_on_the_stream_for_errors_and_the_others_go_on(client: aiohttp.ClientSession):
    async with client.ws_connect(PATH, protocols=(channels.SPDY_TUNNEL,)) as socket:
        tunnel = Tunnel(socket)
        (closed, _), (absurd, _), (_, data) = [await tunnel.open(port) for port in ("81", "99999", "8080")]

        await tunnel.say(data, b"still here")
        heard = await tunnel.hear(closed, absurd, data)

    assert heard[closed].startswith(b"error forwarding port 81 to pod default/web: ")
    assert b"Connection refused" in heard[closed]
    assert (heard[absurd], heard[data]) == (b"'99999' is not a port", b"STILL HERE")


@pytest.mark.parametrize("protocols", [(), (channels.V5, channels.V4)])
async def test_a_client_library_has_two_channels_for_each_port(
    client: aiohttp.ClientSession, protocols: tuple[str, ...]
):
    async with client.ws_connect(PATH + "?ports=8000&ports=81", protocols=protocols) as socket:
        told = [await socket.receive_bytes() for _ in range(5)]
        await socket.send_bytes(channels.encode(channels.data_channel(0), b"GET / HTTP/1.0\r\n\r\n"))
        answered = await socket.receive_bytes()

    assert told[:4] == [bytes([channel]) + channels.encode_port(8000 if channel < 2 else 81) for channel in range(4)]
    assert told[4].startswith(b"\x03error forwarding port 81 to pod default/web: ")
    assert answered.startswith(b"\x00HTTP/1.")


@pytest.mark.parametrize(
    ("query", "said"),
    [("", 'query parameter "ports" is required'), ("?ports=http", "ports: 'http' is not a port")],
)
async def test_ports_that_are_none_are_refused(client: aiohttp.ClientSession, query: str, said: str):
    async with client.get(PATH + query, headers={"Connection": "Upgrade", "Upgrade": "websocket"}) as answer:
        status = await answer.json()

    assert (answer.status, said in status["message"]) in ((400, True), (400, "Upgrade request required" in said))
