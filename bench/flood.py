"""What a flood of writes by one account costs the others: their p50 and p99, calm and flooded. Prints JSON.

    python bench/flood.py [--kind configmaps] [--connections 16 --connections 64] [--rounds 10] [--seconds 2]

One account creates objects on so many connections at once, from a process of its own that is stopped and let go on in
turns. Others, a user and a node, send one request at a time. `ratio` is flooded by calm, of the requests of all rounds.

`machine` is a request to a bare app on uvicorn, in a process of its own: what that loses in the flood, it loses to the
cores, which servers and clients share, and no server can do anything about it. `steal` is what the cores lost to other
machines, in percent. Where either is high, latencies say little about the server.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import random
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import uvloop
from api import Connection, Servers, a_pod

from wherry.cluster.trust.certificates import Authority, Subject

MAPS = "/api/v1/namespaces/bench/configmaps"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
MERGE = "application/merge-patch+json"
ADMINS = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
LAB = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "lab"}
LISTED = 100
PAUSE_SECONDS = 0.004
# From when a flood begins, or ends, until its requests are under way, or answered.
LEAD_SECONDS = 0.3


def a_flooding_object(kind: str, number: int) -> bytes:
    """What a flood is made of."""
    if kind == "pods":
        return a_pod(number)
    if kind == "configmaps":
        return json.dumps({"metadata": {"generateName": "c-"}, "data": {"k": "x" * 100}}).encode()
    about = {"kind": "Pod", "namespace": "flood", "name": "p"}
    event = {"metadata": {"generateName": "e-"}, "involvedObject": about, "reason": "Killing", "type": "Normal"}
    return json.dumps(event | {"message": "Stopping container web"}).encode()


def tls_of(folder: Path, name: str) -> ssl.SSLContext:
    """As a client with this certificate."""
    tls = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    tls.load_cert_chain(folder / f"{name}.crt", folder / f"{name}.key")
    return tls


class Flood:
    """A process in which one account creates objects on many connections, while it is let."""

    def __init__(self, folder: Path, port: int, kind: str, connections: int) -> None:
        fresh = multiprocessing.get_context("spawn")
        self._count = fresh.Value("q", 0, lock=False)
        given = (folder, port, kind, connections, self._count)
        self._process = fresh.Process(target=_flood_for_ever, args=given, daemon=True)
        self._process.start()

    @property
    def count(self) -> int:
        """How many objects there are by now."""
        return int(self._count.value)

    async def hold(self, is_held: bool) -> None:
        """Stop, or go on."""
        os.kill(self._process.pid or 0, signal.SIGSTOP if is_held else signal.SIGCONT)
        await asyncio.sleep(LEAD_SECONDS)

    def end(self) -> None:
        """For good."""
        self._process.kill()
        self._process.join()


def _flood_for_ever(folder: Path, port: int, kind: str, connections: int, count: Any) -> None:
    async def one(connection: Connection, first: int) -> None:
        for number in range(first, sys.maxsize, connections):
            await connection.request("POST", f"/api/v1/namespaces/flood/{kind}", a_flooding_object(kind, number))
            count.value += 1

    async def all_of_them() -> None:
        tls = tls_of(folder, "greedy")
        opened = [await Connection.open(port, tls) for _ in range(connections)]
        first = time.time_ns()  # no name comes again
        await asyncio.gather(*(one(connection, first + number) for number, connection in enumerate(opened)))

    uvloop.run(all_of_them())


class Others:
    """Who is measured: one request after the other, with a little pause before each."""

    def __init__(self, user: Connection, node: Connection, machine: Connection) -> None:
        self._user, self._node, self._machine = user, node, machine
        self._count = 0

    async def prepare(self) -> None:
        """Make what is read and written."""
        for number in range(LISTED):
            made = {"metadata": {"name": f"m-{number}"}, "data": {"text": "x" * 200}}
            await self._user.request("POST", MAPS, json.dumps(made).encode())
        lease = {"metadata": {"name": "n1"}, "spec": {"holderIdentity": "n1", "leaseDurationSeconds": 40}}
        await self._node.request("POST", LEASES, json.dumps(lease).encode())

    async def measured(self, seconds: float) -> dict[str, list[float]]:
        """Milliseconds, by request."""
        found: dict[str, list[float]] = {}
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            self._count += 1
            for name, connection, request in self._requests():
                await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))
                begun = time.perf_counter()
                await connection.request(*request)
                found.setdefault(name, []).append((time.perf_counter() - begun) * 1000)
        return found

    def _requests(self) -> Iterator[tuple[str, Connection, tuple[Any, ...]]]:
        renewal = {"spec": {"renewTime": f"2026-01-01T00:00:00.{self._count:06}Z"}}
        patch = {"data": {"count": str(self._count)}}
        yield "machine", self._machine, ("GET", "/")
        yield "get", self._user, ("GET", f"{MAPS}/m-1")
        yield "lease", self._node, ("PATCH", f"{LEASES}/n1", json.dumps(renewal).encode(), MERGE)
        yield "list_100", self._user, ("GET", f"{MAPS}?labelSelector=!made")
        yield "patch", self._user, ("PATCH", f"{MAPS}/m-2", json.dumps(patch).encode(), MERGE)
        made = {"metadata": {"name": f"made-{self._count}", "labels": {"made": ""}}}
        yield "create", self._user, ("POST", MAPS, json.dumps(made).encode())


class Phase:
    """Calm, or flooded: what was measured in it, over all rounds."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}
        self.seconds = self.cpu_seconds = 0.0
        self.creates = self.ticks = self.stolen = 0

    async def round(self, others: Others, flood: Flood, pid: int, seconds: float) -> None:
        """Measure once more."""
        begun, creates, cpu, (ticks, stolen) = time.perf_counter(), flood.count, cpu_seconds(pid), all_ticks()
        for name, times in (await others.measured(seconds)).items():
            self.times.setdefault(name, []).extend(times)
        self.seconds += time.perf_counter() - begun
        self.creates += flood.count - creates
        self.cpu_seconds += cpu_seconds(pid) - cpu
        self.ticks += all_ticks()[0] - ticks
        self.stolen += all_ticks()[1] - stolen

    def at(self, name: str, part: float) -> float:
        """Within how many milliseconds this part of the requests was answered."""
        ordered = sorted(self.times[name])
        return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


def all_ticks() -> tuple[int, int]:
    """Of all cores: what they did so far, and what was stolen from them."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return sum(ticks), ticks[7]


def cpu_seconds(pid: int) -> float:
    """What a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Side:
    """A server, and who is to be measured at it."""

    def __init__(self, folder: Path) -> None:
        self.servers = Servers(folder, "sqlite")
        authority = Authority(folder, "ca", "bench-ca")
        for name, subject in (
            ("greedy", Subject("greedy", ("lab",))),
            ("modest", Subject("modest", ("lab",))),
            ("n1", Subject("system:node:n1", ("system:nodes",))),
        ):
            authority.issue(name, subject)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.others: Others

    async def start(self) -> None:
        """Both servers, this one's objects, and the others' connections."""
        servers = self.servers
        self.processes = [servers.start(), servers.start_hello()]
        await servers.ready(servers.port, "/readyz")
        await servers.ready(servers.hello_port, "/")
        admin = await Connection.open(servers.port, servers.tls)
        for name in ("bench", "flood"):
            await admin.request("POST", "/api/v1/namespaces", json.dumps({"metadata": {"name": name}}).encode())
        binding = {"metadata": {"name": "lab"}, "roleRef": ADMINS, "subjects": [LAB]}
        await admin.request("POST", BINDINGS, json.dumps(binding).encode())
        user = await Connection.open(servers.port, tls_of(servers.folder, "modest"))
        node = await Connection.open(servers.port, tls_of(servers.folder, "n1"))
        self.others = Others(user, node, await Connection.open(servers.hello_port, servers.tls))
        await self.others.prepare()

    def flood(self, kind: str, connections: int) -> Flood:
        """Begin one."""
        return Flood(self.servers.folder, self.servers.port, kind, connections)

    async def round(self, flood: Flood, calm: Phase, flooded: Phase, seconds: float) -> None:
        """Both phases, one after the other."""
        pid = self.processes[0].pid
        await flood.hold(True)
        await calm.round(self.others, flood, pid, seconds)
        await flood.hold(False)
        await flooded.round(self.others, flood, pid, seconds)

    def end(self) -> None:
        """All processes."""
        for process in self.processes:
            process.kill()
            process.wait()


def figures(calm: Phase, flooded: Phase) -> dict[str, Any]:
    """As they are printed."""
    told: dict[str, Any] = {
        "flood_creates_per_s": round(flooded.creates / flooded.seconds),
        "server_busy": round(flooded.cpu_seconds / flooded.seconds, 2),
        "steal": [round(100 * each.stolen / max(each.ticks, 1), 1) for each in (calm, flooded)],
        "requests": [len(each.times["get"]) for each in (calm, flooded)],
    }
    for name in calm.times:
        told[name] = {}
        for part in (50, 99):
            before, after = calm.at(name, part / 100), flooded.at(name, part / 100)
            told[name][f"p{part}_ms"] = [round(before, 2), round(after, 2)]
            told[name][f"p{part}_ratio"] = round(after / before, 1)
    return told


async def measure(folder: Path, kind: str, connections: int, rounds: int, seconds: float) -> dict[str, Any]:
    """One flood, in rounds."""
    side, calm, flooded = Side(folder), Phase(), Phase()
    try:
        await side.start()
        flood = side.flood(kind, connections)
        await asyncio.sleep(2)
        for _ in range(rounds):
            await side.round(flood, calm, flooded, seconds)
        flood.end()
    finally:
        side.end()
    return {"flood": kind, "connections": connections} | figures(calm, flooded)


@click.command(help=__doc__)
@click.option("--kind", "kinds", multiple=True, type=click.Choice(("configmaps", "events", "pods")))
@click.option("--connections", "counts", multiple=True, type=int)
@click.option("--rounds", default=10)
@click.option("--seconds", default=2.0)
def main(kinds: tuple[str, ...], counts: tuple[int, ...], rounds: int, seconds: float) -> None:
    """Run and print."""
    for kind in kinds or ("configmaps",):
        for connections in counts or (16, 64):
            with tempfile.TemporaryDirectory() as folder:
                print(json.dumps(uvloop.run(measure(Path(folder), kind, connections, rounds, seconds))), flush=True)


if __name__ == "__main__":
    main()
