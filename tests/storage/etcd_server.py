"""Real etcd servers for tests: Debian's `etcd` binary (package etcd-server) on free loopback ports."""

import contextlib
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

START_SECONDS = 20
# A value of 3 MiB and the request around it; etcd's own default is 1.5 MiB.
MAX_REQUEST_BYTES = 4 * 1024 * 1024


@dataclass
class EtcdServer:
    """One member: how it is started, and the process while it runs."""

    command: list[str]
    url: str
    metrics_url: str
    log: Path
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)

    def send(self, signal: int) -> None:
        if self.process:
            self.process.send_signal(signal)

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None

    @property
    def is_healthy(self) -> bool:
        """Whether it answers a linearizable read, that is: it runs and knows a leader."""
        try:
            with urllib.request.urlopen(f"{self.metrics_url}/health", timeout=2) as answer:
                return b'"true"' in answer.read()
        except (OSError, urllib.error.URLError):
            return False

    @property
    def is_leader(self) -> bool:
        with urllib.request.urlopen(f"{self.metrics_url}/metrics", timeout=2) as answer:
            return b"\netcd_server_is_leader 1" in answer.read()


@contextlib.contextmanager
def start_etcd(folder: Path, *flags: str, scheme: str = "http") -> Iterator[EtcdServer]:
    """One member that is a whole cluster."""
    with start_cluster(folder, 1, *flags, scheme=scheme) as (server,):
        yield server


@contextlib.contextmanager
def start_cluster(folder: Path, members: int, *flags: str, scheme: str = "http") -> Iterator[list[EtcdServer]]:
    """A cluster that answers, killed at the end. Skips the test where there is no etcd binary."""
    servers = _members(folder, members, flags, scheme)
    try:
        for server in servers:
            server.start()
        wait_until_healthy(servers)
        yield servers
    finally:
        for server in servers:
            server.kill()


def wait_until_healthy(servers: list[EtcdServer]) -> None:
    """Raises TimeoutError with the end of the log of a member that does not come up."""
    deadline = time.monotonic() + START_SECONDS
    for server in servers:
        while not server.is_healthy:
            if time.monotonic() > deadline:
                raise TimeoutError(f"etcd at {server.url} does not answer: {server.log.read_text()[-2000:]}")
            time.sleep(0.02)


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _members(folder: Path, count: int, flags: tuple[str, ...], scheme: str) -> list[EtcdServer]:
    binary = shutil.which("etcd")
    if binary is None:
        pytest.skip("no etcd binary on this machine: apt-get install etcd-server")
    ports = iter(free_ports(3 * count))
    peers = [f"http://127.0.0.1:{next(ports)}" for _ in range(count)]
    cluster = ",".join(f"m{index}={peer}" for index, peer in enumerate(peers))
    servers = []
    for index, peer in enumerate(peers):
        client, metrics = f"{scheme}://127.0.0.1:{next(ports)}", f"http://127.0.0.1:{next(ports)}"
        command = [binary, "--name", f"m{index}", "--data-dir", str(folder / f"m{index}")]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", cluster]
        command += ["--listen-client-urls", client, "--advertise-client-urls", client, "--listen-metrics-urls", metrics]
        command += ["--max-request-bytes", str(MAX_REQUEST_BYTES), *flags]
        servers.append(EtcdServer(command, client, metrics, folder / f"m{index}.log"))
    return servers
