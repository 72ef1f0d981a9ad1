"""What one node says of itself and its pods at one moment. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import orjson

from wherry.api.core.pod import Pod
from wherry.api.metrics.declared import declared_usage
from wherry.machinery.time import parse_time

PodName = tuple[str, str]
HOLLOW_SECONDS = 15.0


class Used(NamedTuple):
    """Billionths of a cpu, as a rate over so many seconds up to `at`, and bytes."""

    nano_cores: int
    memory_bytes: int
    at: datetime
    window_seconds: float


class Reading(NamedTuple):
    """A node, and the containers of its pods by namespace and name. Without `node` only the pods are known."""

    node: Used | None
    pods: Mapping[PodName, Mapping[str, Used]]


def parse_summary(body: bytes) -> Reading:
    """A kubelet's `/stats/summary`; ValueError if it is none."""
    try:
        summary = orjson.loads(body)
        pods = {
            (pod["podRef"]["namespace"], pod["podRef"]["name"]): {
                container["name"]: _used(container) for container in pod.get("containers") or ()
            }
            for pod in summary["pods"]
        }
        node = summary["node"]
        return Reading(_used(node) if "cpu" in node else None, pods)
    except (KeyError, TypeError, AttributeError, orjson.JSONDecodeError) as error:
        raise ValueError(f"no summary of a node: {error!r}") from error


def _used(part: dict[str, Any]) -> Used:
    cpu, memory = part["cpu"], part["memory"]
    # Kubernetes' own kubelet does not say how long it measured; it looks every ten seconds.
    window = float(cpu.get("windowSeconds", 10.0))
    return Used(int(cpu["usageNanoCores"]), int(memory["workingSetBytes"]), parse_time(cpu["time"]), window)


def declared(pods: Iterable[Pod], now: datetime) -> Reading:
    """The reading of a node without a machine: its pods say what they use, and it uses what they do."""
    by_pod = {
        (pod.metadata.namespace, pod.metadata.name): {
            name: Used(nano_cores, memory, now, HOLLOW_SECONDS)
            for name, (nano_cores, memory) in declared_usage(pod).items()
        }
        for pod in pods
    }
    everything = [used for containers in by_pod.values() for used in containers.values()]
    sums = sum(used.nano_cores for used in everything), sum(used.memory_bytes for used in everything)
    return Reading(Used(*sums, now, HOLLOW_SECONDS), by_pod)
