"""The kubelet's port: logs, exec and attach, as the API server asks for them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.kubelet.nodes import a_container, a_node_on_docker, served
from wherry.machinery import channels

SCRIPT = "trap 'exit 0' TERM; echo out; echo err >&2; while read line; do echo \"got $line\"; done; sleep 600 & wait"


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        a_node_on_docker(tmp_path / "node", a_container(script=SCRIPT, stdin=True)) as node,
        served(node) as client,
    ):
        yield client


async def conversation(
    client: aiohttp.ClientSession, path: str, *messages: bytes, protocol: str = channels.V5
) -> tuple[dict[int, bytes], channels.Outcome]:
    """Say something, hear everything: the output by channel, and the status at the end."""
    heard: dict[int, bytes] = {}
    async with client.ws_connect(path, protocols=(protocol,)) as socket:
        for message in messages:
            await socket.send_bytes(message)
        async for message in socket:
            channel, data = channels.decode(message.data)
            heard[channel] = heard.get(channel, b"") + data
        assert (socket.protocol, socket.close_code) == (protocol, 1000)
    return heard, channels.decode_status(heard.pop(channels.ERROR))


async def logs(client: aiohttp.ClientSession, **query: str) -> tuple[int, str]:
    async with client.get("/containerLogs/default/web/app", params=query) as answer:
        return answer.status, await answer.text()


@pytest.mark.parametrize("protocol", [channels.V5, channels.V4])
async def test_a_command_runs_with_all_its_streams(client: aiohttp.ClientSession, protocol: str):
    path = "/exec/default/web/app?command=sh&command=-c&command=echo+a;echo+b+>%262;exit+7&output=1&error=1"

    heard, outcome = await conversation(client, path, protocol=protocol)

    assert heard == {channels.STDOUT: b"a\n", channels.STDERR: b"b\n"}
    assert outcome.exit_code == 7


async def test_input_ends_when_the_client_says_so(client: aiohttp.ClientSession):
    path = "/exec/default/web/app?command=cat&input=1&output=1"
    said = (channels.encode(channels.STDIN, b"hello"), channels.encode_close(channels.STDIN))

    assert await conversation(client, path, *said) == ({channels.STDOUT: b"hello"}, channels.Outcome(0))


async def test_input_may_come_as_text(client: aiohttp.ClientSession):
    path = "/exec/default/web/app?command=head&command=-n1&input=1&output=1"
    async with client.ws_connect(path, protocols=(channels.V4,)) as socket:
        await socket.send_str("\0grüße\n")

        assert await socket.receive_bytes(timeout=5) == channels.encode(channels.STDOUT, "grüße\n".encode())


async def test_a_terminal_has_the_size_of_the_clients(client: aiohttp.ClientSession):
    path = "/exec/default/web/app?command=sh&command=-c&command=read+x;busybox+stty+size&stdin=1&stdout=1&tty=1"
    size = channels.encode(channels.RESIZE, channels.encode_resize(channels.TerminalSize(101, 33)))

    heard, _ = await conversation(client, path, size, channels.encode(channels.STDIN, b"\n"))

    assert heard[channels.STDOUT].endswith(b"33 101\r\n")


async def test_a_command_that_is_not_there_is_an_error_of_its_own(client: aiohttp.ClientSession):
    _, outcome = await conversation(client, "/exec/default/web/app?command=nonsense&output=1")

    assert outcome.exit_code is None
    assert 'exec: "nonsense"' in outcome.message


async def test_attach_joins_the_first_process(client: aiohttp.ClientSession):
    async with client.ws_connect("/attach/default/web/app?input=1&output=1", protocols=(channels.V5,)) as socket:
        await asyncio.sleep(0.2)  # the engine attaches after it has answered
        await socket.send_bytes(channels.encode(channels.STDIN, b"me\n"))

        heard = await socket.receive_bytes(timeout=5)
        if heard == channels.encode(channels.STDOUT, b"out\n"):  # the process began to speak only now
            heard = await socket.receive_bytes(timeout=5)
        assert heard == channels.encode(channels.STDOUT, b"got me\n")


async def test_logs_are_read_as_asked(client: aiohttp.ClientSession):
    while len((await logs(client))[1].split()) < 2:  # noqa: ASYNC110  # the engine writes when it comes to it
        await asyncio.sleep(0.01)

    both, one, few = await logs(client), await logs(client, stream="Stderr"), await logs(client, limitBytes="2")

    assert sorted(both[1].split()) == ["err", "out"]
    assert (one, few[1]) == ((200, "err\n"), both[1][:2])
    assert (await logs(client, timestamps="true", tailLines="1"))[1].startswith("20")


async def test_what_is_not_there_is_refused(client: aiohttp.ClientSession):
    assert (await logs(client, previous="true"))[0] == 400
    for path in ("/containerLogs/default/gone/app", "/exec/default/web/gone?command=x", "/exec/default/web/app"):
        async with client.get(path) as answer:
            assert answer.status in (400, 404)
            assert (await answer.json())["kind"] == "Status"
