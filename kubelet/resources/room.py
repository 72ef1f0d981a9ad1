"""Whether a node has room for one more pod. Pure.

Kubernetes: the NodeResourcesFit predicate, as the kubelet asks it when a pod arrives. Differs: nobody is evicted to
make room for a critical pod, which is rejected like any other. Cards and other devices are given out by name, not
counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from wherry.api.core.pod import Pod
from wherry.api.core.pod.totals import Amounts, add, pod_requests
from wherry.machinery.quantity import Quantity

_COUNTED = ("cpu", "memory", "ephemeral-storage")


class Shortage(NamedTuple):
    """What there is too little of: cpu in thousandths, memory and storage in bytes."""

    resource: str
    requested: int
    used: int
    capacity: int

    @property
    def reason(self) -> str:
        """As a pod's status and events name it: OutOfcpu."""
        return f"OutOf{self.resource}"

    def __str__(self) -> str:
        numbers = f"requested: {self.requested}, used: {self.used}, capacity: {self.capacity}"
        return f"Node didn't have enough resource: {self.resource}, {numbers}"


def shortage(pod: Pod, others: Iterable[Pod], allocatable: Mapping[str, Quantity]) -> Shortage | None:
    """What the node lacks for `pod`, with `others` on it; None if nothing."""
    used: Amounts = {}
    number = 0
    for other in others:
        number += 1
        add(used, pod_requests(other.spec))
    most = allocatable.get("pods")
    if most is not None and number >= most.value:
        return Shortage("pods", 1, number, most.value)
    requests = pod_requests(pod.spec)
    for name in _COUNTED:
        wanted, there = requests.get(name), allocatable.get(name)
        if wanted and there is not None:
            told = Shortage(name, *(_number(name, amount) for amount in (wanted, used.get(name), there)))
            if told.requested > told.capacity - told.used:
                return told
    return None


def _number(resource: str, amount: Quantity | None) -> int:
    if amount is None:
        return 0
    return amount.millis if resource == "cpu" else amount.value
