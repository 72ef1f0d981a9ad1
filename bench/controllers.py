"""How fast a whole cluster does what it is asked for, and what its rest costs. Prints a line of JSON per measurement.

    python bench/controllers.py [--nodes 1000] [--replicas 500 --replicas 2000] [--idle-pods 5000]

API server (SQLite, TLS), controllers, scheduler and hollow nodes run as processes of their own, as `wherry up` runs
them, and are measured from a client that watches. Seconds are those of the wall; `cpu_s` says how many seconds of a
core each process used, which other load on the machine changes less.

The `kubernetes_` figures beside ours were taken from kube-controller-manager, kube-scheduler and kube-apiserver 1.36 on
2 cores with 1,000 nodes. Compare them on a machine of that size.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import click
import uvloop
from clients.http import free_port
from clients.usage import Used

from wherry.api.apps.deployment import Deployment
from wherry.api.core.namespace import Namespace
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.core.service_account import ServiceAccount
from wherry.client.http import Client
from wherry.client.informer import Informer
from wherry.client.kubeconfig import load_connection
from wherry.cluster.layout import Layout
from wherry.cluster.readiness import api_probe
from wherry.cluster.settings import Settings
from wherry.cluster.supervision.processes import processes_of
from wherry.cluster.trust.credentials import make_credentials

NAMESPACE = "bench"
ROUNDS = 20
CROWD = 1000  # objects of each kind in the namespace that is deleted
IDLE_SECONDS = 20.0
SETTLE_SECONDS = 3.0
NODES = "fake-nodes"

# Kubernetes' figures by number of replicas, and those of one replica; see the docstring.
BOUND_S = {500: 3.8, 2000: 13.9}
ONE_MS = {"created": 29, "bound": 46, "available": 115}


class Processes:
    """The cluster's processes, each with what it has used of a core."""

    def __init__(self, folder: Path, nodes: int) -> None:
        self.layout, self.settings = Layout("bench", folder), Settings(port=free_port(), fake_nodes=nodes)
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.layout.make()
        make_credentials(self.layout, self.settings)

    def start(self) -> None:
        """Start all of them, each when those before it are ready."""
        probe = api_probe(self.layout, self.settings)
        for process in processes_of(self.layout, self.settings):
            with self.layout.log(process.name).open("wb") as log:
                self._running[process.name] = subprocess.Popen(process.command, stdout=log, stderr=log)
            while process.ready_url and probe.status("/readyz") != 200:
                time.sleep(0.02)

    def stop(self) -> None:
        """End them; nothing of them is needed any more."""
        for process in self._running.values():
            process.kill()
            process.wait()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send one of them a signal."""
        self._running[name].send_signal(number)

    def cpu_seconds(self) -> dict[str, float]:
        """Seconds of a core that each has used so far, this client among them."""
        pids = {name: process.pid for name, process in self._running.items()} | {"client": os.getpid()}
        return {name: Used.by(pid).cpu_seconds for name, pid in pids.items()}

    @contextmanager
    def costs(self) -> Iterator[dict[str, float]]:
        """What each uses between here and the end of the block, known then."""
        used: dict[str, float] = {}
        before = self.cpu_seconds()
        yield used
        used |= {name: round(after - before[name], 2) for name, after in self.cpu_seconds().items()}


class Watcher:
    """What a client sees of the cluster, and how it waits for it."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self._changed = asyncio.Event()
        self.pods, self.deployments = self._informer(Pod, NAMESPACE), self._informer(Deployment, NAMESPACE)
        self.nodes, self.namespaces = self._informer(Node), self._informer(Namespace)
        self.accounts = self._informer(ServiceAccount, NAMESPACE)
        self.bound: set[str] = set()
        self.ready: set[str] = set()
        self.pods.subscribe(lambda change: self._count(change.before, change.after))

    def _informer(self, kind: type[Any], namespace: str = "") -> Informer[Any]:
        informer: Informer[Any] = Informer(self.client, kind, namespace=namespace)
        informer.subscribe(lambda _: self._changed.set())
        return informer

    def _count(self, before: Pod | None, after: Pod | None) -> None:
        key = (after or before).metadata.name  # type: ignore[union-attr]
        for names, belongs in (
            (self.bound, after is not None and bool(after.spec.node_name)),
            (self.ready, after is not None and after.status.ready),
        ):
            (names.add if belongs else names.discard)(key)

    async def run(self) -> None:
        """Watch until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in (self.pods, self.deployments, self.nodes, self.namespaces, self.accounts):
                group.create_task(informer.run())

    async def until(self, holds: Callable[[], bool]) -> float:
        """Wait until what is seen is so; gives the moment."""
        while not holds():
            self._changed.clear()
            await self._changed.wait()
        return time.perf_counter()

    def is_ready(self, nodes: int) -> bool:
        """Whether so many nodes take pods."""
        seen = self.nodes.shelf.all()
        return sum(not node.spec.taints and bool(node.status.conditions) for node in seen) == nodes

    def is_available(self, name: str) -> bool:
        """Whether a Deployment says that all its replicas are there for a while."""
        deployment = self.deployments.get(f"{NAMESPACE}/{name}")
        return deployment is not None and deployment.status.available_replicas == deployment.spec.replicas


def a_deployment(name: str, replicas: int) -> dict[str, Any]:
    """Pods so small that their number is the only limit."""
    container = {"name": "web", "image": "web", "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}}
    template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [container]}}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"app": name}}, "template": template}
    metadata = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


@asynccontextmanager
async def a_cluster(nodes: int) -> Any:
    """Processes and a watcher of a cluster whose nodes are all Ready, with an empty namespace; says what that took."""
    with tempfile.TemporaryDirectory(prefix="wherry-bench-") as folder:
        processes = Processes(Path(folder), nodes)
        begun = time.perf_counter()
        try:
            processes.start()
            async with Client(load_connection(processes.layout.kubeconfig("admin")), user_agent="bench") as client:
                watcher = Watcher(client)
                watching = asyncio.create_task(watcher.run())
                await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
                await watcher.until(lambda: watcher.accounts.get(f"{NAMESPACE}/default") is not None)
                ready = await watcher.until(lambda: watcher.is_ready(nodes)) - begun
                say("start", nodes=nodes, ready_s=round(ready, 2), cpu_s=rounded(processes.cpu_seconds()))
                yield processes, watcher
                watching.cancel()
        finally:
            processes.stop()


async def roll_out(processes: Processes, watcher: Watcher, replicas: int, nodes: int) -> None:
    """One Deployment, created and deleted."""
    await asyncio.sleep(SETTLE_SECONDS)
    name = f"web-{replicas}"
    begun = time.perf_counter()
    with processes.costs() as cpu_s:
        await watcher.client.create(a_deployment(name, replicas))
        created = await watcher.until(lambda: len(watcher.pods.shelf) >= replicas) - begun
        bound = await watcher.until(lambda: len(watcher.bound) >= replicas) - begun
        ready = await watcher.until(lambda: len(watcher.ready) >= replicas) - begun
        available = await watcher.until(lambda: watcher.is_available(name)) - begun
    seconds = {"created_s": created, "bound_s": bound, "ready_s": ready, "available_s": available}
    real = {"kubernetes_bound_s": BOUND_S[replicas]} if nodes == 1000 and replicas in BOUND_S else {}
    say("roll out", nodes=nodes, replicas=replicas, **rounded(seconds), **real, cpu_s=cpu_s)
    begun = time.perf_counter()
    with processes.costs() as cpu_s:
        await watcher.client.delete(Deployment, name, NAMESPACE)
        gone = await watcher.until(lambda: not len(watcher.pods.shelf)) - begun
    say("delete", nodes=nodes, replicas=replicas, gone_s=round(gone, 2), cpu_s=cpu_s)


async def one_by_one(processes: Processes, watcher: Watcher) -> None:
    """Deployments of one replica, each in a cluster that rests."""
    await asyncio.sleep(SETTLE_SECONDS)
    taken: dict[str, list[float]] = {"created": [], "bound": [], "available": []}
    with processes.costs() as cpu_s:
        for number in range(ROUNDS):
            name, begun = f"one-{number}", time.perf_counter()
            await watcher.client.create(a_deployment(name, 1))
            created = await watcher.until(lambda: len(watcher.pods.shelf) > 0)
            bound = await watcher.until(lambda: len(watcher.bound) > 0)
            available = await watcher.until(lambda name=name: watcher.is_available(name))  # type: ignore[misc]
            for what, moment in zip(taken, (created, bound, available), strict=True):
                taken[what].append(1000 * (moment - begun))
            await watcher.client.delete(Deployment, name, NAMESPACE)
            await watcher.until(lambda: not len(watcher.pods.shelf))
    middle = {f"{what}_ms": round(statistics.median(times)) for what, times in taken.items()}
    say("one replica", rounds=ROUNDS, **middle, **{f"kubernetes_{k}_ms": v for k, v in ONE_MS.items()}, cpu_s=cpu_s)


async def empty_a_namespace(processes: Processes, watcher: Watcher) -> None:
    """A namespace full of configuration, deleted."""
    client, room = watcher.client, "crowded"
    await client.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": room}})

    async def create(kind: str, number: int) -> None:
        metadata = {"name": f"crowd-{number}", "namespace": room}
        await client.create({"apiVersion": "v1", "kind": kind, "metadata": metadata})

    await together([lambda k=k, n=n: create(k, n) for k in ("ConfigMap", "Secret") for n in range(CROWD)])
    await asyncio.sleep(SETTLE_SECONDS)
    begun = time.perf_counter()
    with processes.costs() as cpu_s:
        await client.delete(Namespace, room)
        gone = await watcher.until(lambda: watcher.namespaces.get(room) is None) - begun
    say("delete namespace", objects=2 * CROWD, gone_s=round(gone, 2), cpu_s=cpu_s)


async def together(calls: list[Callable[[], Awaitable[None]]]) -> None:
    """Make the calls, some dozens at once."""
    left = iter(calls)

    async def some() -> None:
        for call in left:
            await call()

    await asyncio.gather(*(some() for _ in range(32)))


async def rest(nodes: int, pods: int) -> None:
    """A cluster that has nothing to do, with heartbeats and, while the nodes are held still, without."""
    async with a_cluster(nodes) as (processes, watcher):
        await roll_out_to_stay(watcher, pods)
        await asyncio.sleep(2 * SETTLE_SECONDS)
        say("idle", nodes=nodes, pods=pods, cpu_percent=await percent(processes))
        # Shorter than the nodes' leases: nobody calls them dead.
        processes.signal(NODES, signal.SIGSTOP)
        say("idle without heartbeats", nodes=nodes, pods=pods, cpu_percent=await percent(processes))
        processes.signal(NODES, signal.SIGCONT)


async def roll_out_to_stay(watcher: Watcher, pods: int) -> None:
    """So many pods, Ready."""
    await watcher.client.create(a_deployment("rest", pods))
    await watcher.until(lambda: len(watcher.ready) >= pods)


async def percent(processes: Processes) -> dict[str, float]:
    """How much of a core each process uses."""
    with processes.costs() as cpu_s:
        await asyncio.sleep(IDLE_SECONDS)
    return {name: round(100 * seconds / IDLE_SECONDS, 1) for name, seconds in cpu_s.items()}


def rounded(seconds: dict[str, float]) -> dict[str, float]:
    """To hundredths."""
    return {name: round(value, 2) for name, value in seconds.items()}


def say(measure: str, **figures: Any) -> None:
    """One line of the result."""
    click.echo(json.dumps({"measure": measure, **figures}))


async def measure(nodes: int, replicas: tuple[int, ...], idle_nodes: int, idle_pods: int) -> None:
    """Everything that was asked for."""
    async with a_cluster(nodes) as (processes, watcher):
        for count in replicas:
            await roll_out(processes, watcher, count, nodes)
        await one_by_one(processes, watcher)
        await empty_a_namespace(processes, watcher)
    if idle_pods:
        await rest(idle_nodes, idle_pods)


@click.command()
@click.option("--nodes", default=1000, show_default=True, help="How many hollow nodes.")
@click.option("--replicas", multiple=True, default=(500, 2000), show_default=True, help="Of a Deployment; repeatable.")
@click.option("--idle-pods", default=0, show_default=True, help="Measure rest too, with so many pods.")
@click.option("--idle-nodes", default=500, show_default=True, help="How many nodes rest.")
def main(nodes: int, replicas: tuple[int, ...], idle_pods: int, idle_nodes: int) -> None:
    """Print what rolling out, emptying and resting take."""
    uvloop.run(measure(nodes, replicas, idle_nodes, idle_pods))


if __name__ == "__main__":
    main()
