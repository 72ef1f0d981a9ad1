"""A real API server as a process on loopback, to be killed, and callers that keep count of what it has promised."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from tests.faults.cluster_keys import ClusterKeys
from tests.storage.etcd_server import start_etcd

REPOSITORY = Path(__file__).parents[2]
MAPS = "/api/v1/namespaces/default/configmaps"
START_SECONDS = 30
# The first metadata of a watch event: `"resourceVersion":"12","name":"x"` stand at its beginning.
_EVENT = re.compile(rb'"type":"(\w+)".*?"resourceVersion":"(\d+)","name":"([^"]+)"')


class ApiProcess:
    """`python -m apiserver` on a free port."""

    def __init__(self, keys: ClusterKeys, store: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.keys = keys
        self.url = f"https://127.0.0.1:{self.port}"
        folder = keys.folder
        self._command = [sys.executable, "-m", "apiserver", "--store", store, "--port", str(self.port)]
        self._command += ["--tls-cert", f"{folder}/apiserver.crt", "--tls-key", f"{folder}/apiserver.key"]
        self._command += ["--client-ca", f"{folder}/ca.crt", "--service-account-key", f"{folder}/sa.key"]
        self._log = folder / "apiserver.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=REPOSITORY, stdout=log, stderr=log)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        self.kill()
        self.start()

    async def ready(self, session: aiohttp.ClientSession) -> None:
        """Wait until it serves; raises TimeoutError with its log."""
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with session.get(self.url + "/readyz") as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.02)
        raise TimeoutError(self._log.read_text()[-3000:])

    @property
    def resident_bytes(self) -> int:
        assert self._process is not None
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        (kilobytes,) = re.findall(r"VmRSS:\s+(\d+) kB", status)
        return int(kilobytes) * 1024


@contextlib.asynccontextmanager
async def serving(folder: Path, store: str) -> AsyncIterator[tuple[ApiProcess, aiohttp.ClientSession]]:
    """A server that is ready, and a session of an admin; both are gone at the end."""
    server = ApiProcess(ClusterKeys(folder), store)
    connector = aiohttp.TCPConnector(limit=0, ssl=server.keys.client_context())
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5)
    server.start()
    try:
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            await server.ready(session)
            yield server, session
    finally:
        server.kill()


@contextlib.asynccontextmanager
async def serving_on(store: str, folder: Path) -> AsyncIterator[tuple[ApiProcess, aiohttp.ClientSession]]:
    """The same on a fresh store of either durable kind."""
    with start_etcd(folder) if store == "etcd" else contextlib.nullcontext() as etcd:
        where = f"etcd:{etcd.url}" if etcd else f"sqlite:{folder}/store.db"
        async with serving(folder, where) as served:
            yield served


async def call(session: aiohttp.ClientSession, method: str, url: str, body: Any = None, type: str = "") -> Any:
    """Status and body of an answer; None when there was none, so that nobody knows what happened."""
    headers = {"content-type": type or "application/json"}
    try:
        async with session.request(method, url, data=orjson.dumps(body) if body else None, headers=headers) as answer:
            content = await answer.read()
            return answer.status, orjson.loads(content) if content else None
    except (aiohttp.ClientError, OSError, orjson.JSONDecodeError):
        return None


class Writer:
    """Creates and deletes objects of its own without a pause, and remembers what was acknowledged."""

    def __init__(self, server: ApiProcess, session: aiohttp.ClientSession, number: int) -> None:
        self._server, self._session, self._number = server, session, number
        self.present: set[str] = set()  # acknowledged
        self.absent: set[str] = set()  # deleted, acknowledged
        self.versions: list[int] = []  # of acknowledged creates, in order
        self.is_told_to_stop = False

    async def run(self) -> None:
        count = 0
        while not self.is_told_to_stop:
            count += 1
            name = f"w{self._number}-{count}"
            body = {"metadata": {"name": name, "labels": {"writer": str(self._number)}}, "data": {"count": str(count)}}
            answer = await call(self._session, "POST", self._server.url + MAPS, body)
            if answer is None or answer[0] != 201:
                await asyncio.sleep(0.02)
                continue
            self.versions.append(int(answer[1]["metadata"]["resourceVersion"]))
            self.present.add(name)
            if count % 3 == 0:
                self.present.discard(name)
                gone = await call(self._session, "DELETE", f"{self._server.url}{MAPS}/{name}")
                if gone is not None and gone[0] == 200:
                    self.absent.add(name)


class Follower:
    """What an informer does: list once, then watch, and after every break go on from the last version seen."""

    def __init__(self, server: ApiProcess, session: aiohttp.ClientSession) -> None:
        self._server, self._session = server, session
        self.known: dict[str, str] = {}  # name -> version
        self.version = 0
        self.events: list[tuple[str, int, str]] = []  # type, version, name
        self.lists = 0
        self.expired = 0

    async def run(self) -> None:
        """Until cancelled."""
        await self.list()
        while True:
            try:
                await self.watch()
            except (aiohttp.ClientError, OSError):
                await asyncio.sleep(0.02)

    async def list(self) -> None:
        self.lists += 1
        status, listed = await call(self._session, "GET", self._server.url + MAPS)
        assert status == 200
        self.version = int(listed["metadata"]["resourceVersion"])
        items = (item["metadata"] for item in listed["items"])
        self.known = {metadata["name"]: metadata["resourceVersion"] for metadata in items}

    async def watch(self) -> None:
        """From the last version seen until the stream ends."""
        url = f"{self._server.url}{MAPS}?watch=true&resourceVersion={self.version}"
        async with self._session.get(url) as answer:
            if answer.status != 200:
                await asyncio.sleep(0.02)
                return
            rest = b""
            async for chunk in answer.content.iter_any():
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    self._take(line)

    def _take(self, line: bytes) -> None:
        found = _EVENT.search(line)
        if found is None:
            self.expired += b'"code":410' in line
            raise aiohttp.ClientPayloadError(line.decode())
        type, version, name = found[1].decode(), int(found[2]), found[3].decode()
        self.events.append((type, version, name))
        self.version = version
        if type == "DELETED":
            self.known.pop(name, None)
        else:
            self.known[name] = str(version)


async def until(condition: Any, seconds: float = 15) -> None:
    """Wait for something that must become true."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # it becomes true in another process
            await asyncio.sleep(0.02)
