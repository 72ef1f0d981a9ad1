"""How fast the scheduler gets pods onto nodes, through the API server and its disk. Prints a line of JSON per row.

    python bench/scheduling.py [--nodes 100 --nodes 1000 --nodes 5000] [--pods 2000] [--workload basic ...]
    python bench/scheduling.py --nodes 5000 --rate 20          # created to bound, without a queue
    python bench/scheduling.py --nodes 5000 --resident 50000   # memory

API server (SQLite with synchronous=FULL, TLS, RBAC, validation and admission but for ServiceAccount and
TaintNodesByCondition, as Kubernetes' own scheduler_perf has it) and scheduler run as processes of their own. The pods
are there before the scheduler starts; `pods_per_s` is from the first binding to the last, as a watch shows them. What
else the machine does changes seconds, but hardly `cpu_ms_per_pod`: compare that first.

The `kubernetes` figures beside ours were taken in the same way from kube-scheduler, kube-apiserver 1.36 and etcd on 2
cores, without client limits. Compare them on a machine of that size.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import uvloop
from clients.http import Connection, free_port, together
from clients.usage import Used

from wherry.cluster.layout import Layout
from wherry.cluster.settings import Settings
from wherry.cluster.supervision.processes import apiserver_options
from wherry.cluster.trust.credentials import make_credentials

PODS = "/api/v1/namespaces/bench/pods"
OFF = ("--disable-admission-plugins", "ServiceAccount", "--disable-admission-plugins", "TaintNodesByCondition")
BLUE = {"matchLabels": {"color": "blue"}}
HOST, ZONE = "kubernetes.io/hostname", "topology.kubernetes.io/zone"
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
SPREAD = {"maxSkew": 5, "topologyKey": ZONE, "whenUnsatisfiable": "DoNotSchedule", "labelSelector": BLUE}
WORKLOADS: dict[str, dict[str, Any]] = {
    "basic": {},
    "affinity": {"affinity": {"podAffinity": {REQUIRED: [{"labelSelector": BLUE, "topologyKey": ZONE}]}}},
    "anti-affinity": {"affinity": {"podAntiAffinity": {REQUIRED: [{"labelSelector": BLUE, "topologyKey": HOST}]}}},
    "spread": {"topologySpreadConstraints": [SPREAD]},
    "gpu": {},
    # As basic, but of a ReplicaSet, and so spread over zones and nodes.
    "workload": {},
}
OWNER = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web", "uid": "of-nobody", "controller": True}
# Pods a second and milliseconds of CPU for each (all processes, scheduler) by nodes and workload; see the docstring.
KUBERNETES: dict[tuple[int, str], tuple[float, float, float]] = {
    (100, "basic"): (340, 5.8, 2.0),
    (1000, "basic"): (287, 7.8, 3.0),
    (5000, "basic"): (207, 9.3, 4.0),
    (5000, "anti-affinity"): (127, 13.7, 0),
    (5000, "affinity"): (90, 19.9, 0),
    (5000, "spread"): (139, 13.4, 0),
    (1000, "gpu"): (160, 11, 0),
}


class _Spec(msgspec.Struct, rename="camel"):
    node_name: str = ""


class _Name(msgspec.Struct):
    name: str = ""


class _Seen(msgspec.Struct):
    metadata: _Name
    spec: _Spec = msgspec.field(default_factory=_Spec)


class _Event(msgspec.Struct):
    object: _Seen


read_event = msgspec.json.Decoder(_Event).decode


def a_node(number: int) -> bytes:
    """In one of three zones."""
    name = f"node-{number}"
    return json.dumps({"metadata": {"name": name, "labels": {HOST: name, ZONE: f"zone{number % 3}"}}}).encode()


def room(gpus: int) -> bytes:
    """What a node has: 4 cores, 32 GiB, and room for 110 pods."""
    sizes = {"cpu": "4", "memory": "32Gi", "pods": "110"} | ({"nvidia.com/gpu": str(gpus)} if gpus else {})
    conditions = [{"type": "Ready", "status": "True"}]
    return json.dumps({"status": {"allocatable": sizes, "capacity": sizes, "conditions": conditions}}).encode()


def a_replicaset() -> bytes:
    """Whose pods those of a workload are; nobody looks after it."""
    template = {"metadata": {"labels": {"color": "blue"}}, "spec": {"containers": [{"name": "main", "image": "web"}]}}
    return json.dumps({"metadata": {"name": "web"}, "spec": {"selector": BLUE, "template": template}}).encode()


def a_pod(number: int, workload: str, node: str = "") -> bytes:
    """A small pod; on a node already if one is named."""
    wants: dict[str, Any] = {"requests": {"cpu": "10m", "memory": "50Mi"}}
    if workload == "gpu":
        wants = {"requests": {**wants["requests"], "nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}}
    spec = {"containers": [{"name": "main", "image": "web:1.2.3", "resources": wants}], **WORKLOADS[workload]}
    metadata: dict[str, Any] = {"name": f"pod-{number}", "labels": {"app": "bench", "color": "blue"}}
    if workload == "workload":
        metadata["ownerReferences"] = [OWNER]
    return json.dumps({"metadata": metadata, "spec": spec | ({"nodeName": node} if node else {})}).encode()


class Cluster:
    """An API server, and a scheduler when it is wanted."""

    def __init__(self, folder: Path) -> None:
        self.layout, self.settings = Layout("bench", folder), Settings(port=free_port())
        self.layout.make()
        make_credentials(self.layout, self.settings)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.connections: list[Connection] = []

    async def start(self) -> None:
        """Start the API server and connect to it."""
        options = apiserver_options(self.layout, self.settings)
        self._run("apiserver", *options, *OFF)
        while self._running["apiserver"].poll() is None:
            try:
                connection = await self.connect()
                await connection.request("GET", "/readyz")
                break
            except (OSError, RuntimeError, asyncio.IncompleteReadError):
                await asyncio.sleep(0.02)
        await self.open_connections()

    async def open_connections(self) -> None:
        """Connect anew, with as many connections as `post` uses."""
        for connection in self.connections:
            connection.writer.close()
        self.connections = [await self.connect() for _ in range(32)]

    async def connect(self) -> Connection:
        """A connection of an administrator."""
        tls = ssl.create_default_context(cafile=str(self.layout.ca_file))
        tls.load_cert_chain(self.layout.certificate("admin"), self.layout.key("admin"))
        return await Connection.open(self.settings.port, tls)

    def start_scheduler(self) -> None:
        """Start the scheduler; it has nothing to elect."""
        self._run("scheduler", "--kubeconfig", str(self.layout.kubeconfig("scheduler")), "--no-leader-elect")

    def _run(self, name: str, *options: str) -> None:
        with self.layout.log(name).open("wb") as log:
            command = [sys.executable, "-P", "-m", name, *options]
            self._running[name] = subprocess.Popen(command, stdout=log, stderr=log)

    def signal_scheduler(self, number: signal.Signals) -> None:
        """Send the scheduler a signal."""
        self._running["scheduler"].send_signal(number)

    def stop(self) -> None:
        """End both; nothing of them is needed any more."""
        for process in self._running.values():
            process.send_signal(signal.SIGKILL)
            process.wait()

    def used(self) -> dict[str, Used]:
        """By each process, this client among them."""
        pids = {name: process.pid for name, process in self._running.items()} | {"client": os.getpid()}
        return {name: Used.by(pid) for name, pid in pids.items()}

    async def add_nodes(self, count: int, gpus: int) -> None:
        """Nodes that take pods."""
        await self.post("/api/v1/nodes", [a_node(number) for number in range(count)])
        sizes, merge = room(gpus), "application/merge-patch+json"

        async def one(connection: Connection, number: int) -> None:
            await connection.request("PATCH", f"/api/v1/nodes/node-{number}/status", sizes, merge)

        await together(self.connections, count, one)

    async def post(self, path: str, bodies: list[bytes]) -> None:
        """Create objects, many at a time."""

        async def one(connection: Connection, number: int) -> None:
            await connection.request("POST", path, bodies[number])

        await together(self.connections, len(bodies), one)


class Watcher:
    """When each pod was seen first, and when on a node.

    It reads the stream's bytes itself: what a client library needs for them would count as the scheduler's time.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.created: dict[str, float] = {}
        self.bound: dict[str, float] = {}
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Watch until cancelled."""
        request = f"GET {PODS}?watch=true&resourceVersion=0 HTTP/1.1\r\nhost: localhost\r\n\r\n"
        self._connection.writer.write(request.encode())
        try:
            while line := await self._connection.reader.readline():
                # The others are headers, and the sizes of chunks, of which each holds whole events.
                if line.startswith(b"{"):
                    self._note(time.perf_counter(), read_event(line).object)
        finally:
            self._connection.writer.close()

    def _note(self, now: float, seen: _Seen) -> None:
        self.created.setdefault(seen.metadata.name, now)
        if seen.spec.node_name:
            self.bound.setdefault(seen.metadata.name, now)
        self._changed.set()

    async def until_bound(self, count: int) -> None:
        """Wait until so many pods have nodes."""
        while len(self.bound) < count:
            self._changed.clear()
            await self._changed.wait()


def per_pod(before: dict[str, Used], after: dict[str, Used], pods: int) -> dict[str, float]:
    """Milliseconds of a core."""
    start = {name: before[name].cpu_seconds if name in before else 0.0 for name in after}
    return {name: round(1000 * (used.cpu_seconds - start[name]) / pods, 2) for name, used in after.items()}


async def backlog(cluster: Cluster, nodes: int, pods: int, workload: str) -> dict[str, Any]:
    """Pods that all wait when the scheduler starts."""
    await cluster.post(PODS, [a_pod(number, workload) for number in range(pods)])
    watcher = Watcher(await cluster.connect())
    watching = asyncio.create_task(watcher.run())
    before, begun = cluster.used(), time.perf_counter()
    cluster.start_scheduler()
    await watcher.until_bound(pods)
    after, moments = cluster.used(), sorted(watcher.bound.values())
    await asyncio.sleep(2)  # what is told of the pods when they have their nodes
    settled = cluster.used()
    watching.cancel()
    figures: dict[str, Any] = {
        "pods_per_s": round((pods - 1) / (moments[-1] - moments[0])),
        "first_after_start_s": round(moments[0] - begun, 2),
        "cpu_ms_per_pod": per_pod(before, after, pods),
        "cpu_ms_per_pod_with_events": per_pod(before, settled, pods),
        "resident_mib": {name: round(used.resident_mib) for name, used in settled.items()},
    }
    if (nodes, workload) in KUBERNETES:
        rate, whole, scheduler = KUBERNETES[nodes, workload]
        figures["kubernetes"] = {"pods_per_s": rate, "cpu_ms_per_pod": whole, "scheduler_cpu_ms_per_pod": scheduler}
    return figures


async def arrivals(cluster: Cluster, pods: int, rate: float) -> dict[str, Any]:
    """Pods that come one after the other, each to a scheduler that waits for it."""
    cluster.start_scheduler()
    await cluster.post(PODS, [a_pod(pods, "basic")])
    early = Watcher(await cluster.connect())
    watching = asyncio.create_task(early.run())
    await early.until_bound(1)
    watching.cancel()
    # A watch that begins later than the scheduler's is served after it.
    watcher = Watcher(await cluster.connect())
    watching = asyncio.create_task(watcher.run())
    await watcher.until_bound(1)
    await asyncio.sleep(1)
    begun, before = time.perf_counter(), cluster.used()
    for number in range(pods):
        await asyncio.sleep(max(0.0, begun + number / rate - time.perf_counter()))
        await cluster.connections[0].request("POST", PODS, a_pod(number, "basic"))
    await watcher.until_bound(pods + 1)
    watching.cancel()
    del watcher.bound[f"pod-{pods}"]
    took = sorted(1000 * (watcher.bound[name] - watcher.created[name]) for name in watcher.bound)
    return {
        "rate": rate,
        "created_to_bound_ms": {
            "median": round(statistics.median(took), 2),
            "p99": round(took[len(took) * 99 // 100], 2),
        },
        "cpu_ms_per_pod": per_pod(before, cluster.used(), pods),
        "kubernetes": {"created_to_bound_ms": {"median": 6.1, "p99": 19}},
    }


async def memory(cluster: Cluster, nodes: int, pods: int) -> dict[str, Any]:
    """A scheduler that knows many pods which have their nodes."""
    await cluster.post(PODS, [a_pod(number, "basic", f"node-{number % nodes}") for number in range(pods)])
    cluster.start_scheduler()
    watcher = Watcher(await cluster.connect())
    watching = asyncio.create_task(watcher.run())
    await cluster.post(PODS, [a_pod(pods, "basic")])
    await watcher.until_bound(pods + 1)
    watching.cancel()
    return {"resident_mib": {name: round(used.resident_mib) for name, used in cluster.used().items()}}


class Wanted(NamedTuple):
    """Which rows."""

    pods: int
    workloads: tuple[str, ...]
    rate: float
    resident: int

    def rows(self) -> Iterator[tuple[str, int]]:
        """What is measured, and with how many pods."""
        if self.rate:
            yield "arrivals", self.pods
        elif self.resident:
            yield "memory", self.resident
        else:
            yield from ((workload, self.pods) for workload in self.workloads)


async def row(nodes: int, what: str, pods: int, rate: float) -> dict[str, Any]:
    """One measurement on a cluster of its own."""
    with tempfile.TemporaryDirectory(prefix="wherry-bench-") as folder:
        cluster = Cluster(Path(folder))
        try:
            await cluster.start()
            await cluster.post("/api/v1/namespaces", [b'{"metadata": {"name": "bench"}}'])
            await cluster.post("/apis/apps/v1/namespaces/bench/replicasets", [a_replicaset()])
            gpus = -(-pods // nodes) if what == "gpu" else 0
            await cluster.add_nodes(nodes, gpus)
            if what == "arrivals":
                return await arrivals(cluster, pods, rate)
            if what == "memory":
                return await memory(cluster, nodes, pods)
            return await backlog(cluster, nodes, pods, what)
        finally:
            cluster.stop()


async def measure(nodes: tuple[int, ...], wanted: Wanted) -> None:
    """All rows, one after the other."""
    for size in nodes:
        for what, pods in wanted.rows():
            pods = min(pods, size) if what == "anti-affinity" else pods
            figures = await row(size, what, pods, wanted.rate)
            click.echo(json.dumps({"measure": what, "nodes": size, "pods": pods, **figures}))


@click.command()
@click.option("--nodes", multiple=True, default=(100, 1000, 5000), show_default=True, help="Repeatable.")
@click.option("--pods", default=2000, show_default=True, help="How many.")
@click.option("--workload", multiple=True, type=click.Choice(list(WORKLOADS)), default=tuple(WORKLOADS), help="Which.")
@click.option("--rate", default=0.0, help="Pods a second, one after the other, instead of a backlog.")
@click.option("--resident", default=0, help="Only measure memory, with so many pods that have nodes.")
def main(nodes: tuple[int, ...], pods: int, workload: tuple[str, ...], rate: float, resident: int) -> None:
    """Print how fast pods get nodes."""
    uvloop.run(measure(nodes, Wanted(pods, workload, rate, resident)))


if __name__ == "__main__":
    main()
