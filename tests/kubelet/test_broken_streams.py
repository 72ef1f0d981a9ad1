"""An engine that breaks off or hangs in the middle of an answer is away, and nothing worse."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from kubelet.runtime import docker_streams
from kubelet.runtime.base import RuntimeUnavailable
from kubelet.runtime.docker_streams import open_stream


@asynccontextmanager
async def an_engine(folder: Path, answer: bytes, *, hangs: bool = False) -> AsyncIterator[str]:
    """Says these bytes to everyone, and then hangs up or says nothing more."""
    end = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        if hangs:
            await end.wait()
        writer.close()

    server = await asyncio.start_unix_server(serve, folder / "engine.sock")
    async with server:
        yield f"unix://{folder / 'engine.sock'}"
        end.set()


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 xx no\r\n\r\n", b"HTTP/1.1 500 no\r\nContent-Length: 9\r\n\r\nshort"],
)
async def test_an_answer_that_breaks_off_means_that_the_engine_is_away(tmp_path: Path, answer: bytes):
    async with an_engine(tmp_path, answer) as url:
        with pytest.raises(RuntimeUnavailable):
            await open_stream(url, "GET", "/events")


async def test_an_engine_that_hangs_is_waited_for_no_longer_than_a_call_takes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(docker_streams, "_HEAD_SECONDS", 0.05)

    async with an_engine(tmp_path, b"HTTP/1.1 200 OK\r\n", hangs=True) as url:
        with pytest.raises(RuntimeUnavailable, match="gives no answer within"):
            await open_stream(url, "GET", "/events")
