"""How fast and how small the API server is. Prints a line of JSON per row.

    python bench/api.py [--store sqlite|etcd] [--row start --row create --row get ...] [--pods 10000]

The API server, and etcd where it is the store, run as processes of their own, as `wherry up` starts them: TLS, RBAC,
validation and defaulting on, every write on the disk before it is acknowledged; of admission only ServiceAccount is
off, as no controller makes the accounts. Clients and servers share the machine. `cpu_ms` is what the servers use of a
core for each operation (each event that arrives, for watches) and hardly depends on what else the machine does:
compare that first. `steal_s` is how long the machine was not ours meanwhile; where it is not small, times say nothing.

The `kubernetes` figures beside ours were taken in the same way from kube-apiserver 1.36 and etcd 3.6 on 2 cores.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
import time
from array import array
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import ExitStack
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from typing import Any

import click
import uvloop
from clients.apart import MAPS, WATCHED, a_map, follow, helper, list_until_told
from clients.http import Access, Connection, free_port, together
from clients.usage import Used, stolen

from wherry.cluster.layout import Layout
from wherry.cluster.settings import Settings
from wherry.cluster.supervision.processes import processes_of
from wherry.cluster.trust.credentials import make_credentials

PODS = "/api/v1/namespaces/bench/pods"
WITHOUT = ("--disable-admission-plugins", "ServiceAccount")
WATCH_SECONDS = 8.0

# By row: operations a second, their median and 99th percentile in milliseconds, and milliseconds of a core for each.
KUBERNETES: dict[str, tuple[float, float, float, float]] = {
    "create 1": (285, 3.1, 13.3, 3.76),
    "create 16": (833, 17.2, 53.2, 2.11),
    "create 64": (997, 55.5, 181.7, 1.81),
    "get 1": (656, 1.4, 3.2, 1.84),
    "get 16": (2126, 6.4, 25.3, 0.78),
    "get 64": (2407, 23.2, 76.3, 0.71),
    "patch 16": (686, 20.8, 66.0, 2.70),
    "patch 64": (536, 106.3, 322.6, 3.46),
    "list 1000": (24.2, 37.2, 90.3, 47),
    "list 10000": (2.7, 375, 513, 403),
    "watch 1": (288, 3.0, 10.2, 3.80),
    "watch 100": (21923, 6.3, 25.7, 0.049),
    "watch 1000": (38764, 39.3, 139.5, 0.021),
}
KUBERNETES_MEMORY = {"empty_mib": 311, "full_mib": 612, "kib_per_pod": 30.8}
KUBERNETES_START = {"empty_s": 2.6, "full_s": 2.7}


def a_pod(number: int) -> bytes:
    """About what a Deployment makes: 1.1 kB as sent, 1.8 kB as stored."""
    container: dict[str, Any] = {"name": "web", "image": "registry.example.org/shop/web:1.2.3"}
    container["ports"] = [{"containerPort": 8080}]
    container["env"] = [{"name": f"SETTING_{n}", "value": "x" * 20} for n in range(8)]
    container["resources"] = {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"memory": "128Mi"}}
    metadata = {"name": f"pod-{number}", "labels": {"app": "web", "tier": "front", "n": str(number % 100)}}
    return json.dumps(
        {"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "spec": {"containers": [container]}}
    ).encode()


class Servers:
    """The API server, and etcd where it is the store."""

    def __init__(self, folder: Path, store: str) -> None:
        ports = (free_port(), free_port())
        layout, settings = Layout("bench", folder), Settings(port=free_port(), store=store, etcd_ports=ports)
        layout.make()
        make_credentials(layout, settings)
        self._commands = {p.name: p.command for p in processes_of(layout, settings) if p.name in ("etcd", "apiserver")}
        self._log, self._running = layout.log("bench"), dict[str, subprocess.Popen[bytes]]()
        admin = str(layout.certificate("admin")), str(layout.key("admin"))
        self.access = Access(settings.port, str(layout.ca_file), *admin)

    async def start(self) -> float:
        """Start what does not run; seconds from the API server's start until it is ready."""
        for name in [name for name in self._commands if name not in self._running]:
            self._run(name)
        begun = time.perf_counter()
        while self._running["apiserver"].poll() is None:
            try:
                await (await self.access.connect()).request("GET", "/readyz")
                return time.perf_counter() - begun
            except (OSError, RuntimeError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.005)
        raise RuntimeError(f"the API server does not start: {self._log.read_text()[-1000:]}")

    def _run(self, name: str) -> None:
        options = WITHOUT if name == "apiserver" else ()
        with self._log.open("ab") as log:
            self._running[name] = subprocess.Popen([*self._commands[name], *options], stdout=log, stderr=log)

    async def stop(self, *names: str) -> None:
        """End those, or all; etcd last, as the API server needs it to end well."""
        for name in names or reversed(list(self._running)):
            process = self._running.pop(name)
            process.terminate()
            await asyncio.to_thread(process.wait, 20)

    def cpu_seconds(self) -> float:
        """What they have used of a core."""
        return sum(Used.by(process.pid).cpu_seconds for process in self._running.values())

    def resident_mib(self) -> float:
        """Their memory, VmRSS."""
        return sum(Used.by(process.pid).resident_mib for process in self._running.values())


def say(row: str, **figures: Any) -> None:
    """Print one row."""
    print(json.dumps({"row": row, **figures}), flush=True)


class Bench:
    """The rows; each brings the server to where the next can begin."""

    def __init__(self, servers: Servers, pods: int) -> None:
        self._servers, self._pods = servers, pods
        self._made, self._changes = 0, 0
        self._connections: list[Connection] = []
        self._started: dict[str, float] = {}

    async def begin(self) -> None:
        """Servers that hold nothing yet."""
        self._started = {"empty_s": await self._servers.start(), "empty_mib": self._servers.resident_mib()}
        await self._connect()
        await self._connections[0].request("POST", "/api/v1/namespaces", b'{"metadata":{"name":"bench"}}')
        await self._connections[0].request("POST", MAPS, a_map(0))

    async def _connect(self) -> None:
        self._connections = [await self._servers.access.connect() for _ in range(64)]

    async def rows(self, wanted: Iterable[str]) -> None:
        """Measure and print those of the rows, in an order in which they can follow each other."""
        every: dict[str, Callable[[], Awaitable[None]]] = {
            "create": self.create, "memory": self.memory, "start": self.start, "get": self.get, "patch": self.patch,
            "list": self.read_lists, "watch": self.watch,
        }  # fmt: skip
        for name, row in every.items():
            if name in wanted:
                await row()

    async def _measure(
        self, row: str, clients: int, count: int, work: Callable[[Connection, int], Awaitable[Any]]
    ) -> None:
        took: list[float] = []

        async def one(connection: Connection, number: int) -> None:
            begun = time.perf_counter()
            await work(connection, number)
            took.append(time.perf_counter() - begun)

        steal, used = stolen(), self._servers.cpu_seconds()
        rate = await together(self._connections[:clients], count, one)
        compare(row, rate, took, (self._servers.cpu_seconds() - used) / count, stolen() - steal)

    async def create(self) -> None:
        """Pods by one, 16 and 64 clients, until there are as many as wanted."""
        for clients, share in ((1, 0.05), (16, 0.4), (64, 0.55)):
            await self._create(f"create {clients}", clients, int(self._pods * share))

    async def _create(self, row: str, clients: int, count: int) -> None:
        first, self._made = self._made, self._made + count

        async def one(connection: Connection, number: int) -> None:
            await connection.request("POST", PODS, a_pod(first + number))

        await self._measure(row, clients, count, one)

    async def _fill(self) -> None:
        if self._made < self._pods:
            await self._create("fill", 64, self._pods - self._made)

    async def get(self) -> None:
        """Single pods, current as of the request."""
        await self._fill()

        async def one(connection: Connection, number: int) -> None:
            await connection.request("GET", f"{PODS}/pod-{number % self._made}")

        for clients, count in ((1, 3000), (16, 12_000), (64, 20_000)):
            await self._measure(f"get {clients}", clients, count, one)

    async def patch(self) -> None:
        """Merge patches of a hundred pods."""
        await self._fill()

        async def one(connection: Connection, number: int) -> None:
            body = json.dumps({"metadata": {"annotations": {"n": f"{number} {time.time()}"}}}).encode()
            await connection.request("PATCH", f"{PODS}/pod-{number % 100}", body, "application/merge-patch+json")

        for clients, count in ((16, 3000), (64, 4000)):
            await self._measure(f"patch {clients}", clients, count, one)

    async def read_lists(self) -> None:
        """All pods and the first thousand; then what somebody else's GETs suffer from those lists."""
        await self._fill()
        for limit, count in ((1000, 40), (self._made, 10)):

            async def one(connection: Connection, _: int, limit: int = limit) -> None:
                await connection.request("GET", f"{PODS}?limit={limit}")

            await self._measure(f"list {limit}", 1, count, one)
        calm = await self._paced_gets()
        with helper(list_until_told, self._servers.access, PODS) as lister:
            beside = await self._paced_gets()
            lister.send("stop")
            lists = lister.recv()
        delay = {f"delay_{name}_ms": round(beside[name] - calm[name], 2) for name in calm}
        say(f"get beside list {self._made}", lists=lists, calm_ms=calm, beside_ms=beside, **delay)

    async def _paced_gets(self) -> dict[str, float]:
        took = []
        for _ in range(400):
            begun = time.perf_counter()
            await self._connections[0].request("GET", f"{PODS}/pod-0")
            took.append(time.perf_counter() - begun)
            await asyncio.sleep(0.01)
        return {"p50": at(took, 0.5), "p99": at(took, 0.99)}

    async def watch(self) -> None:
        """One writer as fast as it can; each of its changes arrives at 1, 100 and 1,000 watchers, once and in order."""
        for watchers, helpers in ((1, 1), (100, 2), (1000, 2)):
            with ExitStack() as stack:
                share = watchers // helpers
                pipes = [stack.enter_context(helper(follow, self._servers.access, share)) for _ in range(helpers)]
                await self._watch(f"watch {watchers}", pipes)

    async def _watch(self, row: str, followers: list[Pipe]) -> None:
        for follower in followers:
            await asyncio.to_thread(follower.recv)
        steal, used, begun = stolen(), self._servers.cpu_seconds(), time.perf_counter()
        while time.perf_counter() - begun < WATCH_SECONDS:
            self._changes += 1
            await self._connections[0].request("PUT", f"{MAPS}/{WATCHED}", a_map(self._changes))
        took, faults = array("f"), 0
        for follower in followers:
            follower.send(self._changes)
            delays, wrong = await asyncio.to_thread(follower.recv)
            took, faults = took + delays, faults + wrong
        seconds, cpu = time.perf_counter() - begun, self._servers.cpu_seconds() - used
        compare(row, len(took) / seconds, took, cpu / len(took), stolen() - steal, faults=faults)

    async def memory(self) -> None:
        """What the servers hold before and after all pods were made; before anything but writes came."""
        await self._fill()
        await asyncio.sleep(5)
        empty, full = self._started["empty_mib"], self._servers.resident_mib()
        figures = {"empty_mib": empty, "full_mib": full, "kib_per_pod": 1024 * (full - empty) / self._made}
        say("memory", **{name: round(figure, 1) for name, figure in figures.items()}, kubernetes=KUBERNETES_MEMORY)

    async def start(self) -> None:
        """From the API server's start to its being ready, with nothing and with all pods."""
        await self._fill()
        await self._servers.stop("apiserver")
        full = await self._servers.start()
        await self._connect()
        figures = {"empty_s": round(self._started["empty_s"], 2), "full_s": round(full, 2)}
        say("start", **figures, kubernetes=KUBERNETES_START)


def at(took: Sequence[float], share: float) -> float:
    """A quantile, in milliseconds."""
    return round(1000 * sorted(took)[int(len(took) * share)], 2)


def compare(row: str, per_s: float, took: Sequence[float], cpu: float, steal: float, **more: Any) -> None:
    """Print a row beside Kubernetes'."""
    names = ("per_s", "p50_ms", "p99_ms", "cpu_ms")
    ours = (round(per_s, 1), at(took, 0.5), at(took, 0.99), round(1000 * cpu, 4))
    real = {"kubernetes": dict(zip(names, KUBERNETES[row], strict=True))} if row in KUBERNETES else {}
    say(row, **dict(zip(names, ours, strict=True)), steal_s=round(steal, 2), **more, **real)


async def measure(store: str, pods: int, rows: tuple[str, ...]) -> None:
    """All of it, in a folder that goes afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        servers = Servers(Path(folder), store)
        bench = Bench(servers, pods)
        try:
            await bench.begin()
            await bench.rows(rows)
        finally:
            await servers.stop()


ROWS = ("create", "memory", "start", "get", "patch", "list", "watch")


@click.command(help=__doc__)
@click.option("--store", type=click.Choice(["sqlite", "etcd"]), default="sqlite", show_default=True)
@click.option("--row", "rows", type=click.Choice(ROWS), multiple=True, default=ROWS, help="Only these.")
@click.option("--pods", type=click.IntRange(1000), default=10_000, show_default=True)
def main(store: str, rows: tuple[str, ...], pods: int) -> None:
    uvloop.run(measure(store, pods, rows))


if __name__ == "__main__":
    main()
