"""What pods that fit nowhere cost the others. Prints a line of JSON for each kind of such pods and size of cluster.

    python bench/stuck.py [--nodes 1000 --nodes 5000] [--stuck 10000] [--kind cpu ...] [--churn 20]

Two clusters run side by side, as `bench/scheduling.py` has them: in one, so many pods wait that fit nowhere. In turns
each gets a backlog of pods that fit, and `pods_per_s` is the median of the rounds; the scheduler is stopped while the
backlog is made, so that it is there at once. `ratio` is what the crowded cluster's scheduler keeps of the rate. With
`--churn`, bound pods are deleted, and nodes tell how they are, so many times a second each meanwhile, in both.
`idle` is what the crowded cluster uses of a core when nothing changes, in seconds of CPU for each second.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import signal
import statistics
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import click
import uvloop
from clients.http import Connection
from clients.usage import Used
from scheduling import PODS, REQUIRED, Cluster, Watcher, a_pod

NOBODYS = {"matchExpressions": [{"key": "example.org/nobody-has-it", "operator": "Exists"}]}
# What pods of each kind want that no node has; `full` fits on nodes that are empty, and `various` all differ.
KINDS: dict[str, dict[str, Any]] = {
    "cpu": {"requests": {"cpu": "8"}},
    "full": {"requests": {"cpu": "3995m"}},
    "various": {"requests": {"cpu": "4"}},
    "affinity": {},
    "gpu": {"requests": {"nvidia.com/gpu": "1"}, "limits": {"nvidia.com/gpu": "1"}},
}
# The first pods of every node, so that none is empty: none of them is deleted.
RESIDENT = "resident"
QUIET = 0.02  # of a core


def a_stuck_pod(number: int, kind: str) -> bytes:
    """A pod that fits nowhere."""
    pod = json.loads(a_pod(number, "basic"))
    pod["metadata"]["name"] = f"stuck-{number}"
    pod["spec"]["containers"][0]["resources"] = resources = json.loads(json.dumps(KINDS[kind]))
    if kind == "various":
        resources["requests"]["cpu"] = f"{4000 + number}m"
    if kind == "affinity":
        pod["spec"]["affinity"] = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [NOBODYS]}}}
    return json.dumps(pod).encode()


def a_resident(number: int) -> bytes:
    """A pod that is on its node already."""
    pod = json.loads(a_pod(number, "basic", f"node-{number}"))
    pod["metadata"]["name"] = f"{RESIDENT}-{number}"
    return json.dumps(pod).encode()


class Side:
    """A cluster whose scheduler gets one backlog after the other."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.cluster = Cluster(folder)
        self.watcher: Watcher
        self.rates: list[float] = []
        self.cpu_ms: list[float] = []
        self._nodes = self._made = self._gone = 0

    async def start(self, nodes: int) -> None:
        """With a pod on every node."""
        self._nodes = nodes
        await self.cluster.start()
        await self.cluster.post("/api/v1/namespaces", [b'{"metadata": {"name": "bench"}}'])
        await self.cluster.add_nodes(nodes, 0)
        await self.cluster.post(PODS, [a_resident(number) for number in range(nodes)])
        self.watcher = Watcher(await self.cluster.connect())
        self._watching = asyncio.create_task(self.watcher.run())
        self.cluster.start_scheduler()
        await self.backlog(1)
        self.rates.clear()
        self.cpu_ms.clear()

    async def backlog(self, pods: int) -> None:
        """Have so many pods placed that fit."""
        cluster, watcher, first = self.cluster, self.watcher, self._made
        await cluster.open_connections()  # the server ends those that were idle for long
        self._made += pods
        cluster.signal_scheduler(signal.SIGSTOP)
        await cluster.post(PODS, [a_pod(number, "basic") for number in range(first, self._made)])
        before = cluster.used()["scheduler"].cpu_seconds
        cluster.signal_scheduler(signal.SIGCONT)
        await watcher.until_bound(self._nodes + self._made)
        moments = sorted(watcher.bound[f"pod-{number}"] for number in range(first, self._made))
        self.cpu_ms.append(1000 * (cluster.used()["scheduler"].cpu_seconds - before) / pods)
        self.rates.append(max(pods - 1, 1) / max(moments[-1] - moments[0], 1e-9))

    async def arrive(self, stuck: list[bytes], rate: float) -> dict[str, float]:
        """Have pods made that fit nowhere, and now and then one that does; how long these take to be bound, in ms."""
        crowd = asyncio.create_task(self.cluster.post(PODS, stuck))
        connection, names = await self.cluster.connect(), []
        while not crowd.done():
            names.append(f"pod-{self._made}")
            await connection.request("POST", PODS, a_pod(self._made, "basic"))
            self._made += 1
            await asyncio.sleep(1 / rate)
        await crowd
        watcher = self.watcher
        await watcher.until_bound(self._nodes + self._made)
        took = sorted(1000 * (watcher.bound[name] - watcher.created[name]) for name in names)
        return {"median": round(statistics.median(took), 1), "most": round(took[-1], 1)}

    async def settled(self) -> float:
        """Wait until the processes do next to nothing; how many seconds that took."""
        begun = time.perf_counter()
        while time.perf_counter() - begun < 600 and max((await self.load(2.0)).values()) > QUIET:
            pass
        return round(time.perf_counter() - begun, 1)

    async def load(self, seconds: float) -> dict[str, float]:
        """What each process uses of a core."""
        before = self.cluster.used()
        await asyncio.sleep(seconds)
        return {
            name: _between(before[name], used, seconds)
            for name, used in self.cluster.used().items()
            if name != "client"
        }

    @contextlib.asynccontextmanager
    async def churn(self, rate: float) -> AsyncIterator[None]:
        """Meanwhile pods go, and nodes tell that they are well."""
        task = asyncio.create_task(self._churn(rate)) if rate else None
        try:
            yield
        finally:
            if task:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _churn(self, rate: float) -> None:
        connection = await self.cluster.connect()
        for beat in itertools.count():
            await asyncio.sleep(1 / rate)
            await _heartbeat(connection, beat % self._nodes)
            name = f"pod-{self._gone}"
            if name in self.watcher.bound:
                self._gone += 1
                await connection.request("DELETE", f"{PODS}/{name}?gracePeriodSeconds=0")

    def stop(self) -> None:
        """End it."""
        self.cluster.stop()


async def _heartbeat(connection: Connection, node: int) -> None:
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    beat = {"status": {"conditions": [{"type": "Ready", "status": "True", "lastHeartbeatTime": now}]}}
    body = json.dumps(beat).encode()
    patch = "application/strategic-merge-patch+json"
    await connection.request("PATCH", f"/api/v1/nodes/node-{node}/status", body, patch)


def _between(before: Used, after: Used, seconds: float) -> float:
    return round((after.cpu_seconds - before.cpu_seconds) / seconds, 4)


class Wanted(NamedTuple):
    """How much of what."""

    stuck: int
    pods: int
    rounds: int
    churn: float
    idle_seconds: float


async def row(nodes: int, kind: str, wanted: Wanted) -> dict[str, Any]:
    """Both clusters, and what they reached."""
    with tempfile.TemporaryDirectory(prefix="wherry-bench-") as folder:
        empty, crowded = Side(Path(folder) / "empty"), Side(Path(folder) / "crowded")
        try:
            await empty.start(nodes)
            await crowded.start(nodes)
            stuck = [a_stuck_pod(number, kind) for number in range(wanted.stuck)]
            arrival = await crowded.arrive(stuck, rate=20)
            settles = await crowded.settled()
            idle = await crowded.load(wanted.idle_seconds)
            for _ in range(wanted.rounds):
                for side in (empty, crowded):
                    async with side.churn(wanted.churn):
                        await side.backlog(wanted.pods)
            async with crowded.churn(wanted.churn):
                churned = await crowded.load(wanted.idle_seconds) if wanted.churn else {}
        finally:
            for side in (empty, crowded):
                side.stop()
    alone, beside = statistics.median(empty.rates), statistics.median(crowded.rates)
    return {
        "pods_per_s": {"alone": round(alone), "beside_stuck": round(beside)},
        "ratio": round(beside / alone, 2),
        "scheduler_cpu_ms_per_pod": {
            "alone": round(statistics.median(empty.cpu_ms), 2),
            "beside_stuck": round(statistics.median(crowded.cpu_ms), 2),
        },
        "while_they_arrive_created_to_bound_ms": arrival,
        "settles_s": settles,
        "idle": idle,
        **({"with_churn": churned} if churned else {}),
    }


async def measure(nodes: tuple[int, ...], kinds: tuple[str, ...], wanted: Wanted) -> None:
    """All rows, one after the other."""
    for size in nodes:
        for kind in kinds:
            figures = await row(size, kind, wanted)
            click.echo(json.dumps({"nodes": size, "stuck": wanted.stuck, "kind": kind, **figures}))


@click.command()
@click.option("--nodes", multiple=True, default=(1000, 5000), show_default=True, help="Repeatable.")
@click.option("--stuck", default=10_000, show_default=True, help="Pods that fit nowhere.")
@click.option(
    "--kind", multiple=True, type=click.Choice(list(KINDS)), default=("cpu", "affinity", "gpu"), help="Why they do not."
)
@click.option("--pods", default=1000, show_default=True, help="In each backlog.")
@click.option("--rounds", default=3, show_default=True, help="Backlogs for each cluster.")
@click.option("--churn", default=0.0, help="Pods deleted, and nodes heard of, in a second.")
@click.option("--idle-seconds", default=20.0, show_default=True, help="How long to watch an idle cluster.")
def main(
    nodes: tuple[int, ...], stuck: int, kind: tuple[str, ...], pods: int, rounds: int, churn: float, idle_seconds: float
) -> None:
    """Print what is left of the rate at which pods get nodes."""
    uvloop.run(measure(nodes, kind, Wanted(stuck, pods, rounds, churn, idle_seconds)))


if __name__ == "__main__":
    main()
