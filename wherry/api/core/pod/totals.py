"""What a pod asks for as a whole, `requests` or `limits`: the amounts that quotas and limit ranges count.

Containers run together, so theirs add up. Init containers run one after another before them, so only the largest
counts; a sidecar (an init container that keeps running) adds to everything that starts after it. What the pod says as a
whole wins over that sum. The overhead of its runtime comes on top: of limits, only on those that are set.

Kubernetes: component-helpers `resource.PodRequests` and `PodLimits`.
"""

from __future__ import annotations

from collections.abc import Mapping

from wherry.api.core.pod.container import Container
from wherry.api.core.pod.spec import PodSpec
from wherry.machinery.quantity import Quantity

Amounts = dict[str, Quantity]


def pod_requests(spec: PodSpec, *, with_overhead: bool = True) -> Amounts:
    """What the pod asks for."""
    total = _total(spec, "requests")
    if with_overhead:
        add(total, spec.overhead)
    return total


def pod_limits(spec: PodSpec, *, with_overhead: bool = True) -> Amounts:
    """What the pod may use at most."""
    total = _total(spec, "limits")
    if with_overhead:
        add(total, {name: size for name, size in spec.overhead.items() if total.get(name)})
    return total


def add(total: Amounts, more: Mapping[str, Quantity]) -> None:
    """Add amounts to a total."""
    for name, size in more.items():
        total[name] = total[name] + size if name in total else size


def _total(spec: PodSpec, side: str) -> Amounts:
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.init_containers:
        wanted = _amounts(container, side)
        add(wanted, sidecars)
        if container.is_sidecar:
            sidecars = wanted
        _raise_to(peak, wanted)

    together = dict(sidecars)
    for container in spec.containers:
        add(together, _amounts(container, side))
    _raise_to(together, peak)
    if spec.resources is not None:
        together |= getattr(spec.resources, side)
    return together


def _amounts(container: Container, side: str) -> Amounts:
    return dict(getattr(container.resources, side))


def _raise_to(total: Amounts, least: Mapping[str, Quantity]) -> None:
    for name, size in least.items():
        total[name] = max(total[name], size) if name in total else size
