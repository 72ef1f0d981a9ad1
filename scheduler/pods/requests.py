"""What a pod asks of its node, as whole numbers: cpu in millicores, everything else in bytes or pieces.

Containers run together, so their requests add up. Init containers run one after another before them, so only the
largest counts; a sidecar (an init container that keeps running) adds to everything that starts after it. Requests of
the pod as a whole win over that sum, and the overhead of its runtime comes on top.

While a container is resized in place, the most of what it shall have, has, and was allocated counts; what the node
finds impossible does not.

Kubernetes: component-helpers `resource.PodRequests`, with the resources of the status.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from wherry.api.core.pod import Pod
from wherry.api.core.pod.container import Container
from wherry.api.meta import find_condition
from wherry.api.resource.gpu import MEMORY
from wherry.machinery.quantity import NANOS, Quantity

Nanos = dict[str, int]
Amounts = dict[str, int]

# What scoring assumes of a container that asks for nothing. Kubernetes: DefaultMilliCPURequest, DefaultMemoryRequest.
ASSUMED = {"cpu": Quantity.parse("100m").nanos, "memory": Quantity.parse("200Mi").nanos}

MILLI = NANOS // 1000
# Amounts are kept within this, so that sums and differences of two stay within 64 bits.
LARGEST = 2**61

_POD_LEVEL = ("cpu", "memory")
_POD_LEVEL_PREFIX = "hugepages-"


def amount(resource: str, quantity: Quantity) -> int:
    """A quantity in the unit of its resource, rounded up, at most 2^61.

    >>> amount("cpu", Quantity.parse("1.5")), amount("memory", Quantity.parse("1Ki"))
    (1500, 1024)
    """
    return _in_units(resource, quantity.nanos)


def pod_amounts(pod: Pod) -> tuple[Amounts, Amounts]:
    """Its `pod_requests` and `pod_estimates`. Pods that ask for the same share both: nobody changes them."""
    spec, status = pod.spec, pod.status
    if spec.init_containers or spec.overhead or spec.resources is not None or status.container_statuses:
        return _same(tuple(pod_requests(pod).items())), _same(tuple(pod_estimates(pod).items()))
    return _of_plain(
        tuple(
            [tuple([(name, asked.nanos) for name, asked in one.resources.requests.items()]) for one in spec.containers]
        )
    )


def pod_requests(pod: Pod) -> Amounts:
    """What must be free on a node for the pod to fit, its place among the node's `pods` included; without zeros.

    What it wants of a card's memory no sum over the node can tell: that is `pod_share`.
    """
    return _needed(_total(pod, {}))


def pod_share(pod: Pod) -> int:
    """How much of one card's memory it wants, in bytes."""
    return _total(pod, {}).get(MEMORY, 0)


def pod_estimates(pod: Pod) -> Amounts:
    """Cpu and memory that scores count with: a container that asks for nothing is assumed to use a little."""
    return _estimated(_total(pod, ASSUMED))


def _needed(total: Amounts) -> Amounts:
    return {"pods": 1} | {name: size for name, size in total.items() if size > 0 and name != MEMORY}


def _estimated(total: Amounts) -> Amounts:
    return {name: total.get(name, 0) for name in ASSUMED}


# Pods by the thousand ask for the same: that is worked out once.


@lru_cache(maxsize=4096)
def _same(amounts: tuple[tuple[str, int], ...]) -> Amounts:
    return dict(amounts)


@lru_cache(maxsize=4096)
def _of_plain(containers: tuple[tuple[tuple[str, int], ...], ...]) -> tuple[Amounts, Amounts]:
    """Of containers alone, that ask for so many nanos."""
    wanted: Nanos = {}
    estimated: Nanos = {}
    for asked in containers:
        _add(wanted, dict(asked))
        _add(estimated, ASSUMED | dict(asked))
    requests, estimates = _needed(_whole(wanted)), _estimated(_whole(estimated))
    return _same(tuple(requests.items())), _same(tuple(estimates.items()))


def _total(pod: Pod, assumed: Mapping[str, int]) -> Amounts:
    spec = pod.spec
    total = _sum_of_containers(pod, assumed)
    if spec.resources is not None:
        total |= {name: size.nanos for name, size in spec.resources.requests.items() if _is_pod_level(name)}
    _add(total, _nanos(spec.overhead))
    return _whole(total)


def _whole(total: Nanos) -> Amounts:
    return {name: _in_units(name, size) for name, size in total.items()}


def _in_units(resource: str, nanos: int) -> int:
    return min(-(-nanos // (MILLI if resource == "cpu" else NANOS)), LARGEST)


def _sum_of_containers(pod: Pod, assumed: Mapping[str, int]) -> Nanos:
    held = _held(pod)
    refused = bool(held) and _is_refused(pod)

    def wanted_by(container: Container) -> Nanos:
        asked = {} if refused and container.name in held else _nanos(container.resources.requests)
        _raise_to(asked, held.get(container.name, {}))
        return {**assumed, **asked}

    sidecars: Nanos = {}
    peak: Nanos = {}
    for container in pod.spec.init_containers:
        wanted = wanted_by(container)
        _add(wanted, sidecars)
        if container.is_sidecar:
            sidecars = wanted
        _raise_to(peak, wanted)

    together = dict(sidecars)
    for container in pod.spec.containers:
        _add(together, wanted_by(container))
    _raise_to(together, peak)
    return together


def _held(pod: Pod) -> dict[str, Nanos]:
    """What containers have or were allocated, the more of both, by name; only of those whose node says so."""
    found: dict[str, Nanos] = {}
    for name, resources, allocated in pod.status.held:
        if resources is not None or allocated:
            found[name] = _nanos({} if resources is None else resources.requests)
            _raise_to(found[name], _nanos(allocated))
    return found


def _is_refused(pod: Pod) -> bool:
    pending = find_condition(pod.status.conditions, "PodResizePending")
    return pending is not None and pending.reason == "Infeasible"


def _nanos(quantities: Mapping[str, Quantity]) -> Nanos:
    return {name: quantity.nanos for name, quantity in quantities.items()}


def _add(total: Nanos, more: Mapping[str, int]) -> None:
    for name, size in more.items():
        total[name] = total.get(name, 0) + size


def _raise_to(total: Nanos, least: Mapping[str, int]) -> None:
    for name, size in least.items():
        total[name] = max(total.get(name, 0), size)


def _is_pod_level(name: str) -> bool:
    return name in _POD_LEVEL or name.startswith(_POD_LEVEL_PREFIX)
