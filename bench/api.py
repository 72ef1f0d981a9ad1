"""How fast and how small the API server is, beside a bare "hello" app on uvicorn. Prints JSON.

    python bench/api.py [--store sqlite] [--pods 10000] [--rounds 3]

Both servers run as processes of their own, with the same TLS and the same load, in turns; every figure is the median of
the rounds. Writes are as durable as in production: SQLite with synchronous=FULL, every acknowledgement after its fsync.
RBAC, validation, defaulting and admission are on, except ServiceAccount (there is no controller here that would make
the accounts).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import uvloop

from wherry.cluster.trust.certificates import Authority, Subject, make_key

ROOT = Path(__file__).resolve().parents[1]
PODS = "/api/v1/namespaces/bench/pods"


HELLO = b'{"hello":"world"}'
HELLO_HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(HELLO)).encode())]


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """The yardstick: the smallest app that uvicorn serves."""
    await send({"type": "http.response.start", "status": 200, "headers": HELLO_HEADERS})
    await send({"type": "http.response.body", "body": HELLO})


class Connection:
    """One keep-alive connection that sends one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, tls: ssl.SSLContext) -> Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port, ssl=tls, limit=2**26))

    async def request(self, method: str, path: str, body: bytes = b"", content_type: str = "application/json") -> bytes:
        head = f"{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\n"
        self.writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        status = int(answer[9:12])
        length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        content = await self.reader.readexactly(length)
        if status >= 400:
            raise RuntimeError(f"{method} {path}: {content[:300].decode()}")
        return content


def a_pod(number: int) -> bytes:
    """About what a Deployment makes: 1.1 kB as sent, 1.8 kB as stored."""
    container = {"name": "web", "image": "registry.example.org/shop/web:1.2.3", "ports": [{"containerPort": 8080}]}
    container["env"] = [{"name": f"SETTING_{n}", "value": "x" * 20} for n in range(8)]
    container["resources"] = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    metadata = {"name": f"pod-{number}", "labels": {"app": "web", "tier": "front", "n": str(number % 100)}}
    return json.dumps(
        {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {"containers": [container]}}
    ).encode()


async def together(
    connections: list[Connection], count: int, work: Callable[[Connection, int], Awaitable[Any]]
) -> float:
    """Requests per second, `count` of them spread over the connections."""
    numbers = iter(range(count))

    async def one(connection: Connection) -> None:
        for number in numbers:
            await work(connection, number)

    begun = time.perf_counter()
    await asyncio.gather(*(one(connection) for connection in connections))
    return count / (time.perf_counter() - begun)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Servers:
    """The two processes, and how to reach them."""

    def __init__(self, folder: Path, store: str) -> None:
        authority = Authority(folder, "ca", "bench-ca")
        authority.issue("server", Subject("server"), ("localhost", "127.0.0.1"))
        authority.issue("admin", Subject("admin", ("system:masters",)))
        make_key(folder / "accounts.key")
        self.folder, self.store = folder, f"sqlite:{folder / 'db'}" if store == "sqlite" else store
        self.port, self.hello_port = free_port(), free_port()
        self.tls = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        self.tls.load_cert_chain(folder / "admin.crt", folder / "admin.key")

    def start(self) -> subprocess.Popen[bytes]:
        f = self.folder
        command = [sys.executable, "-m", "apiserver", "--store", self.store, "--port", str(self.port)]
        command += [
            "--tls-cert",
            str(f / "server.crt"),
            "--tls-key",
            str(f / "server.key"),
            "--client-ca",
            str(f / "ca.crt"),
        ]
        command += ["--service-account-key", str(f / "accounts.key"), "--disable-admission-plugins", "ServiceAccount"]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)

    def start_hello(self) -> subprocess.Popen[bytes]:
        f = self.folder
        command = [
            sys.executable,
            "-m",
            "uvicorn",
            "--app-dir",
            str(ROOT / "bench"),
            "api:hello",
            "--log-level",
            "error",
            # Its connections wait while the other server is measured.
            "--timeout-keep-alive",
            "600",
        ]
        command += ["--port", str(self.hello_port), "--ssl-certfile", str(f / "server.crt")]
        return subprocess.Popen([*command, "--ssl-keyfile", str(f / "server.key")], cwd=ROOT)

    async def ready(self, port: int, path: str) -> float:
        """Seconds until the server answers `path` with success."""
        begun = time.perf_counter()
        while True:
            try:
                connection = await Connection.open(port, self.tls)
                await connection.request("GET", path)
                return time.perf_counter() - begun
            except (OSError, RuntimeError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.005)


def resident_mib(pid: int) -> float:
    """VmRSS of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return round(int(status.partition("VmRSS:")[2].split()[0]) / 1024, 1)


async def measure(servers: Servers, pods: int, rounds: int) -> dict[str, Any]:
    """All figures, round by round, in turns with the yardstick."""
    api, hello = servers.start(), servers.start_hello()
    try:
        result: dict[str, Any] = {"ready_s": round(await servers.ready(servers.port, "/readyz"), 3)}
        await servers.ready(servers.hello_port, "/")
        result["resident_mib_empty"] = resident_mib(api.pid)
        connections = [await Connection.open(servers.port, servers.tls) for _ in range(64)]
        hellos = [await Connection.open(servers.hello_port, servers.tls) for _ in range(64)]
        namespace = json.dumps({"metadata": {"name": "bench"}}).encode()
        await connections[0].request("POST", "/api/v1/namespaces", namespace)
        figures: dict[str, list[float]] = {}
        for number in range(rounds):
            for name, rate in (await _round(connections, hellos, number, pods)).items():
                figures.setdefault(name, []).append(rate)
        result |= {name: round(statistics.median(rates), 1) for name, rates in figures.items()}
        result["resident_mib"] = resident_mib(api.pid)
        result["pods"] = pods
        api.send_signal(signal.SIGTERM)
        await asyncio.to_thread(api.wait, 10)
        api = servers.start()
        result["ready_s_with_pods"] = round(await servers.ready(servers.port, "/readyz"), 3)
        result["resident_mib_after_restart"] = resident_mib(api.pid)
        return result
    finally:
        for process in (api, hello):
            process.kill()
            process.wait()


async def _round(connections: list[Connection], hellos: list[Connection], number: int, pods: int) -> dict[str, float]:
    """One round; pods are made in the first ones until there are enough, and stay."""
    share = max(pods // 3, 100)
    first = number * share

    async def create(connection: Connection, n: int) -> None:
        await connection.request("POST", PODS, a_pod(first + n))

    async def get(connection: Connection, n: int) -> None:
        await connection.request("GET", f"{PODS}/pod-{n % share}")

    async def patch(connection: Connection, n: int) -> None:
        body = json.dumps({"metadata": {"annotations": {"n": f"{number}-{n}"}}}).encode()
        await connection.request("PATCH", f"{PODS}/pod-{n % 100}", body, "application/merge-patch+json")

    async def list_1000(connection: Connection, _: int) -> None:
        await connection.request("GET", f"{PODS}?limit=1000")

    async def greet(connection: Connection, _: int) -> None:
        await connection.request("GET", "/")

    alone = min(300, share // 4)
    rates = {"hello_64_per_s": await together(hellos, 4000, greet)}
    rates["create_1_per_s"] = await together(connections[:1], alone, create)
    first += alone
    rates["create_64_per_s"] = await together(connections, share - alone, create)
    rates["get_64_per_s"] = await together(connections, 4000, get)
    rates["patch_64_per_s"] = await together(connections, 1500, patch)
    lists = await together(connections[:1], 20, list_1000)
    rates["list_1000_ms"] = 1000 / lists
    rates["hello_1_per_s"] = await together(hellos[:1], 1000, greet)
    return rates


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", default="sqlite", help="sqlite (a file of its own), memory, or etcd:URL,...")
    parser.add_argument("--pods", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        servers = Servers(Path(folder), options.store)
        result = uvloop.run(measure(servers, options.pods, options.rounds))
    print(json.dumps({"store": options.store, "cores": os.cpu_count(), **result}, indent=2))


if __name__ == "__main__":
    main()
