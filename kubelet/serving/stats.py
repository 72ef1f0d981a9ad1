"""What the node and its pods use now: cpu as the rate between two looks, memory as of the last.

Nobody looks while nobody asks. Whoever asks first waits for a second, because a rate needs two looks; after that the
look of an earlier question serves, if it is not older than a minute.

Kubernetes: the kubelet's `/stats/summary` and `/metrics/resource`, the parts about cpu and memory. Differs: the rate is
taken when somebody asks, not every ten seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from kubelet.charge import Charge
from kubelet.resources.machine import read_usage
from kubelet.runtime.base import Runtime, Usage
from wherry.client import clock
from wherry.machinery.time import time_text

Json = dict[str, Any]

# Between two looks at least so long, or a rate would be noise; better longer, and at most so long.
LEAST_SECONDS, GOOD_SECONDS, MOST_SECONDS = 1.0, 5.0, 60.0
NODE = ""


class Look(NamedTuple):
    """What everything had used at one moment; the node itself stands under NODE."""

    at: float
    time: datetime
    used: dict[str, Usage]


class Rate(NamedTuple):
    """Cpu in billionths per second, over so many seconds, and what the last look saw."""

    nano_cores: int
    seconds: float
    usage: Usage


def rates(earlier: Look, later: Look) -> dict[str, Rate]:
    """What was used between two looks by whatever was there at both; counters that went back began anew."""
    seconds = later.at - earlier.at
    return {
        name: Rate(int((usage.cpu_nanos - before.cpu_nanos) / seconds), seconds, usage)
        for name, usage in later.used.items()
        if (before := earlier.used.get(name)) is not None and usage.cpu_nanos >= before.cpu_nanos
    }


def base_for(looks: Iterable[Look], at: float) -> Look | None:
    """The look to compare one at `at` with: the youngest that is old enough, else the oldest that will do."""
    usable = [look for look in looks if LEAST_SECONDS <= at - look.at <= MOST_SECONDS]
    good = [look for look in usable if at - look.at >= GOOD_SECONDS]
    return good[-1] if good else next(iter(usable), None)


class Stats:
    """See the module. `node_usage` says what the machine has used."""

    def __init__(
        self, runtime: Runtime, charges: Callable[[], list[Charge]], node_usage: Callable[[], Any] = read_usage
    ) -> None:
        self._runtime, self._charges, self._node_usage = runtime, charges, node_usage
        self._looks: list[Look] = []
        self._turn = asyncio.Lock()

    async def summary(self, node: str) -> Json:
        """The answer to `/stats/summary`."""
        earlier, later = await self._two_looks()
        found, time = rates(earlier, later), time_text(later.time)
        pods = [_pod(charge, found, time) for charge in self._charges()]
        head = {"nodeName": node, **(_measured(found[NODE], time) if NODE in found else {})}
        return {"node": head, "pods": [pod for pod in pods if pod["containers"]]}

    async def resource_metrics(self) -> str:
        """The answer to `/metrics/resource`: totals, for those who make rates themselves."""
        async with self._turn:
            look = await self._look()
        return "".join(f"{line}\n" for line in _exposition(look, self._charges()))

    async def _two_looks(self) -> tuple[Look, Look]:
        async with self._turn:
            later = await self._look()
            earlier = base_for(self._looks[:-1], later.at)
            if earlier is None:
                earlier = later
                await asyncio.sleep(LEAST_SECONDS)
                later = await self._look()
            return earlier, later

    async def _look(self) -> Look:
        """Look now, unless somebody has just done so."""
        now = asyncio.get_running_loop().time()
        if self._looks and now - self._looks[-1].at < LEAST_SECONDS:
            return self._looks[-1]
        running = [id for charge in self._charges() for _, id in running_containers(charge)]
        used = await self._runtime.usage(running)
        node = Usage(*await asyncio.to_thread(self._node_usage))
        look = Look(asyncio.get_running_loop().time(), clock.now(), {**used, NODE: node})
        self._looks = [each for each in self._looks if now - each.at <= MOST_SECONDS] + [look]
        return look


def running_containers(charge: Charge) -> Iterator[tuple[str, str]]:
    """Name and engine's id of the containers of a pod that run."""
    status = charge.status.offered
    for entry in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        if "running" in (entry.get("state") or {}):
            yield entry["name"], str(entry["containerID"]).partition("://")[2]


def _pod(charge: Charge, found: dict[str, Rate], time: str) -> Json:
    metadata = charge.pod.metadata
    reference = {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid}
    measured = [(name, found[id]) for name, id in running_containers(charge) if id in found]
    return {"podRef": reference, "containers": [{"name": name, **_measured(rate, time)} for name, rate in measured]}


def _measured(rate: Rate, time: str) -> Json:
    cpu = {"time": time, "usageNanoCores": rate.nano_cores, "usageCoreNanoSeconds": rate.usage.cpu_nanos}
    # Kubernetes has no word for how long a rate was measured; without it nobody could tell old from new.
    return {
        "cpu": {**cpu, "windowSeconds": round(rate.seconds, 3)},
        "memory": {"time": time, "workingSetBytes": rate.usage.memory_bytes},
    }


def _exposition(look: Look, charges: Iterable[Charge]) -> Iterator[str]:
    at = int(look.time.timestamp() * 1000)
    rows = [("node", "", look.used[NODE])] if NODE in look.used else []
    for charge in charges:
        metadata = charge.pod.metadata
        where = f'namespace="{metadata.namespace}",pod="{metadata.name}"'
        for name, id in running_containers(charge):
            if id in look.used:
                rows.append(("container", f'{{container="{name}",{where}}}', look.used[id]))
    for subject in ("container", "node"):
        values = [(labels, usage) for kind, labels, usage in rows if kind == subject]
        yield f"# TYPE {subject}_cpu_usage_seconds_total counter"
        yield from (
            f"{subject}_cpu_usage_seconds_total{labels} {usage.cpu_nanos / 1e9} {at}" for labels, usage in values
        )
        yield f"# TYPE {subject}_memory_working_set_bytes gauge"
        yield from (f"{subject}_memory_working_set_bytes{labels} {usage.memory_bytes} {at}" for labels, usage in values)
    yield "# TYPE scrape_error gauge"
    yield "scrape_error 0"
