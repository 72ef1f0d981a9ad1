"""How full the volumes of pods are, as the file systems below them say.

Kubernetes: volume_stat_calculator, and the metrics `kubelet_volume_stats_*` of claims. Differs: only claims and volumes
in memory are told of, because nobody counts what stands in a folder of the node's disk.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from prometheus_client.core import GaugeMetricFamily, Metric

from kubelet.charge import Charge

Json = dict[str, Any]


class Disk(NamedTuple):
    """A volume of a pod, the claim behind it if there is one, and how full its file system is."""

    volume: str
    namespace: str
    claim: str
    capacity_bytes: int
    available_bytes: int
    used_bytes: int
    inodes: int
    inodes_free: int

    def shown(self, time: str) -> Json:
        """As `/stats/summary` has it."""
        inodes = {"inodes": self.inodes, "inodesFree": self.inodes_free, "inodesUsed": self.inodes - self.inodes_free}
        bytes = {"availableBytes": self.available_bytes, "capacityBytes": self.capacity_bytes}
        reference = {"pvcRef": {"name": self.claim, "namespace": self.namespace}} if self.claim else {}
        return {"time": time, **bytes, "usedBytes": self.used_bytes, **inodes, "name": self.volume, **reference}


def disks_of(charge: Charge) -> list[Disk]:
    """The volumes of a pod; blocks as long as their file systems do."""
    claims = charge.pod.claims
    found = []
    for name, path in charge.volumes.mounted().items():
        with contextlib.suppress(OSError):  # it may be unmounted any moment
            if name in claims or path.is_mount():
                found.append(_disk(name, charge.pod.metadata.namespace, claims.get(name, ""), path))
    return found


def _disk(volume: str, namespace: str, claim: str, path: Path) -> Disk:
    seen = os.statvfs(path)
    blocks = (seen.f_blocks, seen.f_bavail, seen.f_blocks - seen.f_bfree)
    capacity, available, used = (count * seen.f_frsize for count in blocks)
    return Disk(volume, namespace, claim, capacity, available, used, seen.f_files, seen.f_ffree)


_MEASURES: dict[str, Callable[[Disk], int]] = {
    "capacity_bytes": lambda disk: disk.capacity_bytes,
    "available_bytes": lambda disk: disk.available_bytes,
    "used_bytes": lambda disk: disk.used_bytes,
    "inodes": lambda disk: disk.inodes,
    "inodes_free": lambda disk: disk.inodes_free,
    "inodes_used": lambda disk: disk.inodes - disk.inodes_free,
}


def of_claims(disks: Iterable[Disk]) -> Iterator[Metric]:
    """`kubelet_volume_stats_*`: each claim once, however many pods use it."""
    claims = {(disk.namespace, disk.claim): disk for disk in disks if disk.claim}
    for name, value in _MEASURES.items():
        labels = ["namespace", "persistentvolumeclaim"]
        family = GaugeMetricFamily(f"kubelet_volume_stats_{name}", "Of a claim's file system.", labels=labels)
        for place, disk in claims.items():
            family.add_metric(place, value(disk))
        yield family
