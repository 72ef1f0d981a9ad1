"""Quality of service: how a pod's requests and limits translate to the kernel's words. Pure.

Kubernetes: GetPodQOS, GetContainerOOMScoreAdjust, MilliCPUToShares.
"""

from __future__ import annotations

from collections.abc import Mapping

from kubelet.runtime.base import Limits
from wherry.api.core.pod import Container, PodSpec
from wherry.machinery.quantity import Quantity

_COMPUTE = ("cpu", "memory")
_GUARANTEED_SCORE, _BEST_EFFORT_SCORE = -997, 1000
_MIN_SHARES, _MAX_SHARES, _SHARES_PER_CPU = 2, 262144, 1024
# The kernel bounds a container to no less than a millisecond of every tenth of a second.
_MIN_NANOS = 10_000_000


def qos_class(spec: PodSpec) -> str:
    """`Guaranteed`, `Burstable` or `BestEffort`."""
    containers = (*spec.containers, *spec.init_containers)
    asks = [_positive(container.resources.requests) | _positive(container.resources.limits) for container in containers]
    if not any(asks):
        return "BestEffort"
    is_guaranteed = all(
        (limit := container.resources.limits.get(name)) and container.resources.requests.get(name, limit) == limit
        for container in containers
        for name in _COMPUTE
    )
    return "Guaranteed" if is_guaranteed else "Burstable"


def _positive(amounts: Mapping[str, Quantity]) -> set[str]:
    return {name for name in _COMPUTE if amounts.get(name)}


def limits_of(container: Container, spec: PodSpec, machine_memory_bytes: int) -> Limits:
    """A container's share of cpu and memory, and its place in the queue when memory runs out."""
    requests, limits = container.resources.requests, container.resources.limits
    cpu_limit, cpu = limits.get("cpu"), requests.get("cpu", limits.get("cpu"))
    memory_limit, memory = limits.get("memory"), requests.get("memory", limits.get("memory"))
    shares = (cpu.millis if cpu else 0) * _SHARES_PER_CPU // 1000
    return Limits(
        cpu_shares=min(max(shares, _MIN_SHARES), _MAX_SHARES),
        cpu_nanos=max(cpu_limit.nanos, _MIN_NANOS) if cpu_limit else 0,
        memory_bytes=memory_limit.value if memory_limit else 0,
        oom_score_adjust=_oom_score(qos_class(spec), memory.value if memory else 0, machine_memory_bytes),
    )


def _oom_score(qos: str, memory_bytes: int, machine_memory_bytes: int) -> int:
    if qos == "Guaranteed":
        return _GUARANTEED_SCORE
    if qos == "BestEffort":
        return _BEST_EFFORT_SCORE
    score = 1000 - 1000 * memory_bytes // max(machine_memory_bytes, 1)
    return min(max(score, 1000 + _GUARANTEED_SCORE), _BEST_EFFORT_SCORE - 1)
