"""NodeMetrics and PodMetrics: cpu and memory in use, measured over a window. Kubernetes: metrics-server."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from wherry.machinery.quantity import Format, Quantity
from wherry.machinery.resource import Column, Resource
from wherry.machinery.view import View

READ = ("get", "list")
Amounts = dict[str, Quantity]


class ContainerMetrics(View):
    """What one container uses."""

    name: str = ""
    usage: Amounts = {}


def _shown(usage: Amounts, name: str) -> str:
    amount = usage.get(name)
    return "<unknown>" if amount is None else str(amount)


class NodeMetrics(Resource, group="metrics.k8s.io", version="v1beta1", plural="nodes", scope="Cluster", verbs=READ):
    """What a node uses."""

    timestamp: datetime | None = None
    window: str = ""
    usage: Amounts = {}

    columns = (
        Column("cpu", lambda node: _shown(node.usage, "cpu")),
        Column("memory", lambda node: _shown(node.usage, "memory")),
        Column("Window", lambda node: node.window),
    )


class PodMetrics(Resource, group="metrics.k8s.io", version="v1beta1", plural="pods", verbs=READ):
    """What the containers of a pod use."""

    timestamp: datetime | None = None
    window: str = ""
    containers: tuple[ContainerMetrics, ...] = ()

    columns = (
        Column("cpu", lambda pod: _shown(total(pod.containers), "cpu")),
        Column("memory", lambda pod: _shown(total(pod.containers), "memory")),
        Column("Window", lambda pod: pod.window),
    )


def total(containers: Iterable[ContainerMetrics]) -> Amounts:
    """What containers use together."""
    sums: Amounts = {}
    for container in containers:
        for name, amount in container.usage.items():
            sums[name] = sums[name] + amount if name in sums else amount
    return sums


def cpu_text(nano_cores: int) -> str:
    """Billionths of a cpu as metrics-server writes them: `12345678n`."""
    return f"{nano_cores}n" if nano_cores else "0"


def memory_text(used_bytes: int) -> str:
    """Bytes as metrics-server writes them, in KiB: `10240Ki`."""
    return f"{used_bytes // 1024}Ki" if used_bytes >= 1024 else str(Quantity.from_value(used_bytes, Format.BINARY_SI))
