"""What the node and its pods use now: cpu as the rate between two looks, memory as of the last.

Nobody looks while nobody asks. Whoever asks first waits for a second, because a rate needs two looks; after that the
look of an earlier question serves, if it is not older than a minute.

Kubernetes: the kubelet's `/stats/summary`, the parts about cpu, memory, the pods' networks and volumes, and the node's
disk. Differs: the rate is taken when somebody asks, not every ten seconds.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from kubelet.charge import Charge
from kubelet.resources.machine import read_usage
from kubelet.runtime.base import Runtime, Usage
from kubelet.runtime.cgroups import Cgroups, Traffic
from kubelet.seen import CONTAINER_STATUSES
from kubelet.serving.disks import Disk, disks_of
from wherry.client import clock
from wherry.machinery.time import parse_time, time_text

Json = dict[str, Any]

# Between two looks at least so long, or a rate would be noise; better longer, and at most so long.
LEAST_SECONDS, GOOD_SECONDS, MOST_SECONDS = 1.0, 5.0, 60.0
NODE = ""


class Look(NamedTuple):
    """What everything had used at one moment; the node itself stands under NODE. Traffic is that of pods, by uid."""

    at: float
    time: datetime
    used: dict[str, Usage]
    traffic: dict[str, dict[str, Traffic]] = {}


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
    """See the module. `node_usage` says what the machine has used, `traffic` what a container's network has."""

    def __init__(
        self,
        runtime: Runtime,
        charges: Callable[[], list[Charge]],
        node_usage: Callable[[], Any] = read_usage,
        traffic: Callable[[str], dict[str, Traffic]] | None = None,
    ) -> None:
        self._runtime, self._charges, self._node_usage = runtime, charges, node_usage
        self._traffic = traffic or Cgroups().traffic
        self._looks: list[Look] = []
        self._turn = asyncio.Lock()

    async def summary(self, node: str, folder: Path) -> Json:
        """The answer to `/stats/summary`; the node's disk is that of the folder."""
        found, later = await self._rates()
        time = time_text(later.time)
        charges = self._charges()
        disks = await asyncio.to_thread(lambda: [disks_of(charge) for charge in charges])
        pods = [
            _pod(charge, found, later.traffic, time) | _volumes(volumes, time)
            for charge, volumes in zip(charges, disks, strict=True)
        ]
        head = {"nodeName": node, **(_measured(found[NODE], time) if NODE in found else {}), "fs": _disk(folder, time)}
        return {"node": head, "pods": [pod for pod in pods if pod["containers"]]}

    async def look(self) -> Look:
        """What everything has used by now: totals, for those who make rates themselves."""
        async with self._turn:
            return await self._look()

    async def _rates(self) -> tuple[dict[str, Rate], Look]:
        """The rate of everything, and the last look; what began since the look to compare with waits for a second."""
        async with self._turn:
            later = await self._look()
            earlier = base_for(self._looks[:-1], later.at)
            found = rates(earlier, later) if earlier is not None else {}
            if later.used.keys() - found.keys():
                began = later
                await asyncio.sleep(LEAST_SECONDS)
                later = await self._look()
                found = rates(began, later) | (rates(earlier, later) if earlier is not None else {})
            return found, later

    async def _look(self) -> Look:
        """Look now, unless somebody has just done so."""
        now = asyncio.get_running_loop().time()
        if self._looks and now - self._looks[-1].at < LEAST_SECONDS:
            return self._looks[-1]
        running = {charge.uid: [id for _, id in running_containers(charge)] for charge in self._charges()}
        used = await self._runtime.usage([id for ids in running.values() for id in ids])
        node = Usage(*await asyncio.to_thread(self._node_usage))
        # All containers of a pod share one network; that of the host is nobody's own.
        own = {charge.uid for charge in self._charges() if not charge.pod.spec.host_network}
        traffic = {uid: self._traffic(ids[0]) for uid, ids in running.items() if ids and uid in own}
        look = Look(asyncio.get_running_loop().time(), clock.now(), {**used, NODE: node}, traffic)
        self._looks = [each for each in self._looks if now - each.at <= MOST_SECONDS] + [look]
        return look


def running_containers(charge: Charge) -> Iterator[tuple[Json, str]]:
    """Status and engine's id of the containers of a pod that run."""
    status = charge.status.offered
    for kind in CONTAINER_STATUSES:
        for entry in status.get(kind) or ():
            if "running" in (entry.get("state") or {}):
                yield entry, str(entry["containerID"]).partition("://")[2]


def started_at(status: Json) -> datetime:
    """When a running container began, by its status."""
    return parse_time(status["state"]["running"]["startedAt"])


def _pod(charge: Charge, found: dict[str, Rate], traffic: dict[str, dict[str, Traffic]], time: str) -> Json:
    metadata = charge.pod.metadata
    reference = {"name": metadata.name, "namespace": metadata.namespace, "uid": metadata.uid}
    measured = [(status, found[id]) for status, id in running_containers(charge) if id in found]
    containers = [
        {"name": status["name"], "startTime": time_text(started_at(status)), **_measured(rate, time)}
        for status, rate in measured
    ]
    answer = {"podRef": reference, "startTime": charge.status.offered.get("startTime"), "containers": containers}
    if measured:
        answer |= _measured(_together([rate for _, rate in measured]), time)
    interfaces = [_interface(name, counts) for name, counts in traffic.get(charge.uid, {}).items()]
    if interfaces:
        answer["network"] = {"time": time, **interfaces[0], "interfaces": interfaces}
    return answer


def _volumes(disks: list[Disk], time: str) -> Json:
    return {"volume": [disk.shown(time) for disk in disks]} if disks else {}


def _together(parts: list[Rate]) -> Rate:
    sums = Usage(*(sum(column) for column in zip(*(part.usage for part in parts), strict=True)))
    return Rate(sum(part.nano_cores for part in parts), parts[0].seconds, sums)


def _interface(name: str, counts: Traffic) -> Json:
    received, sent = counts.received, counts.sent
    return {"name": name, "rxBytes": received[0], "rxErrors": received[2], "txBytes": sent[0], "txErrors": sent[2]}


def _disk(folder: Path, time: str) -> Json:
    disk = shutil.disk_usage(folder)
    return {"time": time, "availableBytes": disk.free, "capacityBytes": disk.total, "usedBytes": disk.used}


def _measured(rate: Rate, time: str) -> Json:
    cpu = {"time": time, "usageNanoCores": rate.nano_cores, "usageCoreNanoSeconds": rate.usage.cpu_nanos}
    memory = {"time": time, "workingSetBytes": rate.usage.memory_bytes}
    if rate.usage.charged_bytes:
        memory |= {"usageBytes": rate.usage.charged_bytes, "rssBytes": rate.usage.rss_bytes}
    # Kubernetes has no word for how long a rate was measured; without it nobody could tell old from new.
    return {"cpu": {**cpu, "windowSeconds": round(rate.seconds, 3)}, "memory": memory}
