"""Clients in processes of their own: who watches, and who reads long lists.

What they do is not in the way of who measures.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing as mp
import re
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from typing import Any, cast

import uvloop

from .http import Access

MAPS, WATCHED = "/api/v1/namespaces/bench/configmaps", "watched"
CHANGE = re.compile(rb'"change":"(\d+) ([\d.]+)"')


def a_map(change: int) -> bytes:
    """A ConfigMap of 300 bytes that tells its number and when it was sent."""
    data = {"change": f"{change} {time.perf_counter()}", "filling": "x" * 200}
    return json.dumps({"metadata": {"name": WATCHED}, "data": data}).encode()


class Follower(asyncio.Protocol):
    """One watch: how late each change came, and how many were missing, doubled or out of order."""

    def __init__(self, delays: array[float], heard: asyncio.Event) -> None:
        self._delays, self._heard, self._rest = delays, heard, b""
        self.last, self.faults = -1, 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for what it is now, and for every change."""
        query = f"watch=true&fieldSelector=metadata.name={WATCHED}"
        request = f"GET {MAPS}?{query} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode()
        cast(asyncio.WriteTransport, transport).write(request)

    def data_received(self, data: bytes) -> None:
        """Read the bytes themselves: what a client library needs for them would count as the server's time."""
        now, end, data = time.perf_counter(), 0, self._rest + data
        for match in CHANGE.finditer(data):
            number, sent, end = int(match[1]), float(match[2]), match.end()
            if self.last >= 0:  # The first tells only where the others begin.
                self.faults += number != self.last + 1
                self._delays.append(now - sent)
            self.last = number
        self._heard.set()
        self._rest = data[max(end, len(data) - 100) :]


def follow(pipe: Pipe, access: Access, watchers: int) -> None:
    """In a process of its own: watch, say when all do, and tell what was seen once the last change is there."""

    async def run() -> None:
        loop, tls, delays, heard = asyncio.get_running_loop(), access.tls(), array("f"), asyncio.Event()
        followers = []
        for _ in range(watchers):
            _, follower = await loop.create_connection(
                lambda: Follower(delays, heard), "127.0.0.1", access.port, ssl=tls
            )
            followers.append(follower)
        await asyncio.sleep(1)
        pipe.send("all watch")
        changes = await asyncio.to_thread(pipe.recv)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(20):
                while any(follower.last < changes for follower in followers):
                    heard.clear()
                    await heard.wait()
        pipe.send((delays, sum(follower.faults + (follower.last != changes) for follower in followers)))

    uvloop.run(run())


def list_until_told(pipe: Pipe, access: Access, path: str) -> None:
    """In a process of its own: one list after the other, with a breath between; how many those were."""

    async def run() -> None:
        connection, lists = await access.connect(), 0
        while not pipe.poll():
            await connection.request("GET", path)
            lists += 1
            await asyncio.sleep(0.1)
        pipe.send(lists)

    uvloop.run(run())


@contextmanager
def helper(work: Callable[..., None], *arguments: Any) -> Iterator[Pipe]:
    """A client in a process of its own, so that what it does is not in the way of who measures."""
    ours, theirs = mp.Pipe()
    process = mp.get_context("spawn").Process(target=work, args=(theirs, *arguments), daemon=True)
    process.start()
    try:
        yield ours
    finally:
        process.kill()
        process.join()
