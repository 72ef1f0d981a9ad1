"""Two processes of controllers beside one API server: when the one that leads ends, the other acts."""

import asyncio
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.faults.api_process import until
from wherry.api.core.service_account import ServiceAccount
from wherry.client.http import Client
from wherry.client.informer import Informer
from wherry.client.kubeconfig import load_connection
from wherry.client.leader import Timing
from wherry.cluster.layout import Layout
from wherry.cluster.settings import Settings
from wherry.cluster.supervision.processes import processes_of
from wherry.cluster.trust.credentials import make_credentials

START_SECONDS = 60
# What a busy machine may add; with less than a lease, so that a lead given back differs from one that ran out.
MARGIN_SECONDS = 8.0


class Cluster:
    """An API server and whatever candidates are started beside it."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.layout, settings = Layout("failover", folder), Settings(port=port, store="memory")
        self.layout.make()
        make_credentials(self.layout, settings)
        self._commands = {process.name: process.command for process in processes_of(self.layout, settings)}
        self._running: list[subprocess.Popen[bytes]] = []

    def serve(self) -> None:
        """Start the API server; candidates find out by themselves when it is ready."""
        self._start("apiserver", self._commands["apiserver"])

    async def candidate(self, name: str, *, says: str) -> subprocess.Popen[bytes]:
        """Controllers that take turns, once they have said that."""
        elects = tuple(option for option in self._commands["controllers"] if option != "--no-leader-elect")
        process = self._start(name, elects)
        await until(lambda: says in self.layout.log(name).read_text(), START_SECONDS)
        return process

    def _start(self, name: str, command: tuple[str, ...]) -> subprocess.Popen[bytes]:
        with self.layout.log(name).open("wb") as log:
            self._running.append(subprocess.Popen(command, stdout=log, stderr=log))
        return self._running[-1]

    def stop(self) -> None:
        for process in reversed(self._running):
            process.kill()
            process.wait()


@contextmanager
def a_cluster(folder: Path) -> Iterator[Cluster]:
    cluster = Cluster(folder)
    try:
        yield cluster
    finally:
        cluster.stop()


@asynccontextmanager
async def accounts_seen(client: Client) -> AsyncIterator[dict[str, asyncio.Event]]:
    """Namespaces, each with the moment when its service account is there: the work of controllers."""
    seen = {"before": asyncio.Event(), "after": asyncio.Event()}
    informer = Informer(client, ServiceAccount)
    informer.subscribe(lambda change: seen.get(change.after.metadata.namespace, asyncio.Event()).set())
    watching = asyncio.create_task(informer.run())
    yield seen
    watching.cancel()


async def create_namespace(client: Client, name: str) -> None:
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})


@pytest.mark.parametrize(
    ("end", "within_seconds"),
    [
        (signal.SIGKILL, Timing().lease_seconds + Timing().retry_seconds),
        (signal.SIGTERM, 1 + Timing().retry_seconds),
    ],
    ids=["killed", "told to end"],
)
async def test_the_other_acts_soon_after_the_leader_was(end: signal.Signals, within_seconds: float, tmp_path: Path):
    with a_cluster(tmp_path) as cluster:
        cluster.serve()
        leader = await cluster.candidate("first", says="event=leading")
        await cluster.candidate("second", says='event="waiting for the lead"')
        admin = load_connection(cluster.layout.kubeconfig("admin"))
        async with Client(admin, user_agent="test") as client, accounts_seen(client) as seen:
            await create_namespace(client, "before")
            await asyncio.wait_for(seen["before"].wait(), START_SECONDS)

            leader.send_signal(end)
            ended = time.monotonic()
            leader.wait(START_SECONDS)
            await create_namespace(client, "after")
            await asyncio.wait_for(seen["after"].wait(), START_SECONDS)

        assert time.monotonic() - ended <= within_seconds + MARGIN_SECONDS
