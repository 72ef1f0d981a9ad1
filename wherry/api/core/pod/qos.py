"""The quality of service class: who is evicted first when a node runs short. Kubernetes: core/helper/qos."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

from wherry.machinery.quantity import Quantity

_COMPUTE = ("cpu", "memory")
Resources = Mapping[str, Any]


def qos_class(spec: Mapping[str, Any]) -> str:
    """BestEffort asks for nothing, Guaranteed for exactly its limits, everything else is Burstable.

    >>> qos_class({"containers": [{"resources": {"requests": {"cpu": "1"}}}]})
    'Burstable'
    """
    if spec.get("resources"):
        everyone: list[Resources] = [spec["resources"]]
    else:
        containers = chain(spec.get("containers") or (), spec.get("initContainers") or ())
        everyone = [container.get("resources") or {} for container in containers]
    requests, limits = _total(everyone, "requests"), _total(everyone, "limits")
    if not requests and not limits:
        return "BestEffort"
    all_limited = all(len(_amounts(resources, "limits")) == len(_COMPUTE) for resources in everyone)
    return "Guaranteed" if all_limited and requests == limits else "Burstable"


def _total(everyone: Iterable[Resources], kind: str) -> dict[str, Quantity]:
    total: dict[str, Quantity] = {}
    for resources in everyone:
        for name, amount in _amounts(resources, kind).items():
            total[name] = total.get(name, Quantity()) + amount
    return total


def _amounts(resources: Resources, kind: str) -> dict[str, Quantity]:
    given = {name: Quantity.parse(amount) for name, amount in (resources.get(kind) or {}).items() if name in _COMPUTE}
    return {name: amount for name, amount in given.items() if amount.nanos > 0}
