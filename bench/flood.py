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
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import uvloop
from api import Servers, a_pod, at
from clients.http import Access, Connection, free_port
from clients.usage import stolen

from wherry.cluster.layout import Layout
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
HELLO_HEADERS = [(b"content-type", b"text/plain"), (b"content-length", b"5")]


async def hello(scope: Any, receive: Any, send: Any) -> None:
    """The smallest app that uvicorn serves."""
    await send({"type": "http.response.start", "status": 200, "headers": HELLO_HEADERS})
    await send({"type": "http.response.body", "body": b"hello"})


def a_flooding_object(kind: str, number: int) -> bytes:
    """What a flood is made of."""
    if kind == "pods":
        return a_pod(number)
    if kind == "configmaps":
        return json.dumps({"metadata": {"generateName": "c-"}, "data": {"k": "x" * 100}}).encode()
    about = {"kind": "Pod", "namespace": "flood", "name": "p"}
    event = {"metadata": {"generateName": "e-"}, "involvedObject": about, "reason": "Killing", "type": "Normal"}
    return json.dumps(event | {"message": "Stopping container web"}).encode()


class Flood:
    """A process in which one account creates objects on many connections, while it is let."""

    def __init__(self, access: Access, kind: str, connections: int) -> None:
        fresh = multiprocessing.get_context("spawn")
        self._count = fresh.Value("q", 0, lock=False)
        given = (access, kind, connections, self._count)
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


def _flood_for_ever(access: Access, kind: str, connections: int, count: Any) -> None:
    async def one(connection: Connection, first: int) -> None:
        for number in range(first, sys.maxsize, connections):
            await connection.request("POST", f"/api/v1/namespaces/flood/{kind}", a_flooding_object(kind, number))
            count.value += 1

    async def all_of_them() -> None:
        opened = [await access.connect() for _ in range(connections)]
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
        """Seconds, by request."""
        found: dict[str, list[float]] = {}
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            self._count += 1
            for name, connection, request in self._requests():
                await asyncio.sleep(random.uniform(0, PAUSE_SECONDS))
                begun = time.perf_counter()
                await connection.request(*request)
                found.setdefault(name, []).append(time.perf_counter() - begun)
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
        self.seconds = self.cpu_seconds = self.stolen_seconds = 0.0
        self.creates = 0

    async def round(self, side: Side, flood: Flood, seconds: float) -> None:
        """Measure once more."""
        before = flood.count, side.servers.cpu_seconds(), stolen(), time.perf_counter()
        for name, times in (await side.others.measured(seconds)).items():
            self.times.setdefault(name, []).extend(times)
        after = flood.count, side.servers.cpu_seconds(), stolen(), time.perf_counter()
        creates, cpu, steal, took = (now - then for then, now in zip(before, after, strict=True))
        self.creates += int(creates)
        self.cpu_seconds += cpu
        self.stolen_seconds += steal
        self.seconds += took

    @property
    def steal(self) -> float:
        """In percent of all cores."""
        return 100 * self.stolen_seconds / self.seconds / (os.cpu_count() or 1)


class Side:
    """A server, and who is to be measured at it."""

    def __init__(self, folder: Path) -> None:
        self.servers = Servers(folder, "sqlite")
        layout = Layout("bench", folder)
        authority = Authority(layout.pki, "ca", f"{layout.title}-ca")
        authority.issue("greedy", Subject("greedy", ("lab",)))
        authority.issue("modest", Subject("modest", ("lab",)))
        authority.issue("n1", Subject("system:node:n1", ("system:nodes",)))
        self._layout, self._bare_port = layout, free_port()
        self._bare: subprocess.Popen[bytes]
        self.others: Others

    def access(self, name: str, port: int = 0) -> Access:
        """With the certificate of this name, to the API server if no other port is given."""
        ca_file, certificate, key = self._layout.ca_file, self._layout.certificate(name), self._layout.key(name)
        return Access(port or self.servers.access.port, str(ca_file), str(certificate), str(key))

    async def start(self) -> None:
        """Both servers, this one's objects, and the others' connections."""
        await self.servers.start()
        self._bare = self._start_bare()
        admin = await self.servers.access.connect()
        for name in ("bench", "flood"):
            await admin.request("POST", "/api/v1/namespaces", json.dumps({"metadata": {"name": name}}).encode())
        binding = {"metadata": {"name": "lab"}, "roleRef": ADMINS, "subjects": [LAB]}
        await admin.request("POST", BINDINGS, json.dumps(binding).encode())
        user, node = await self.access("modest").connect(), await self.access("n1").connect()
        self.others = Others(user, node, await self._reach_bare())
        await self.others.prepare()

    def _start_bare(self) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "uvicorn", "--app-dir", str(Path(__file__).parent), "flood:hello"]
        command += ["--port", str(self._bare_port), "--log-level", "error", "--timeout-keep-alive", "600"]
        command += ["--ssl-certfile", str(self._layout.certificate("apiserver"))]
        return subprocess.Popen([*command, "--ssl-keyfile", str(self._layout.key("apiserver"))])

    async def _reach_bare(self) -> Connection:
        while self._bare.poll() is None:
            try:
                return await self.access("modest", self._bare_port).connect()
            except OSError:
                await asyncio.sleep(0.01)
        raise RuntimeError("the bare app does not start")

    def flood(self, kind: str, connections: int) -> Flood:
        """Begin one."""
        return Flood(self.access("greedy"), kind, connections)

    async def round(self, flood: Flood, calm: Phase, flooded: Phase, seconds: float) -> None:
        """Both phases, one after the other."""
        await flood.hold(True)
        await calm.round(self, flood, seconds)
        await flood.hold(False)
        await flooded.round(self, flood, seconds)

    async def end(self) -> None:
        """All processes."""
        self._bare.kill()
        self._bare.wait()
        await self.servers.stop()


def figures(calm: Phase, flooded: Phase) -> dict[str, Any]:
    """As they are printed."""
    told: dict[str, Any] = {
        "flood_creates_per_s": round(flooded.creates / flooded.seconds),
        "server_busy": round(flooded.cpu_seconds / flooded.seconds, 2),
        "steal": [round(each.steal, 1) for each in (calm, flooded)],
        "requests": [len(each.times["get"]) for each in (calm, flooded)],
    }
    for name in calm.times:
        told[name] = {}
        for part in (50, 99):
            before, after = (at(each.times[name], part / 100) for each in (calm, flooded))
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
        await side.end()
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
