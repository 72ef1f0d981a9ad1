"""Which pods a shrinking workload gives up first: those that are cheapest to lose.

Kubernetes: controller.ActivePodsWithRanks, with LogarithmicScaleDown.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from functools import cmp_to_key
from typing import Any

from controllers.parts.readiness import ready_since
from wherry.api.core.pod import Pod

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}
_COSTS = range(-(2**31), 2**31)


def cheapest_to_lose(pods: Iterable[Pod], neighbours: Iterable[Pod], now: datetime) -> list[Pod]:
    """The pods in the order in which to delete them; `neighbours` are those that serve the same end, these included.

    Unassigned before assigned, pending before unknown before running, not ready before ready, lower deletion cost
    first, doubled up on a node before alone, ready for a short time before long, more restarts first, younger before
    older.
    """
    crowd = Counter(pod.spec.node_name for pod in neighbours)

    def compare(one: Pod, other: Pod) -> int:
        one_cost, other_cost = _cost(one, crowd), _cost(other, crowd)
        if one_cost != other_cost:
            return -1 if one_cost < other_cost else 1
        return _compare_history(one, other, now)

    return sorted(pods, key=cmp_to_key(compare))


def _cost(pod: Pod, crowd: Counter[str]) -> tuple[Any, ...]:
    node = pod.spec.node_name
    return bool(node), _PHASES.get(pod.status.phase, 0), pod.status.ready, _deletion_cost(pod), -crowd[node]


def _deletion_cost(pod: Pod) -> int:
    text = pod.metadata.annotations.get(DELETION_COST, "")
    sign, digits = text[:1] == "-", text.removeprefix("-")
    cost = int(digits) * (-1 if sign else 1) if digits.isascii() and digits.isdigit() and len(digits) < 11 else 0
    return cost if cost in _COSTS else 0


def _compare_history(one: Pod, other: Pod, now: datetime) -> int:
    if one.status.ready and other.status.ready and ready_since(one) != ready_since(other):
        return _younger_first(ready_since(one), ready_since(other), now) or _by_uid(one, other)
    one_restarts, other_restarts = _restarts(one), _restarts(other)
    if one_restarts != other_restarts:
        return -1 if one_restarts > other_restarts else 1
    if one.metadata.created_at != other.metadata.created_at:
        return _younger_first(one.metadata.created_at, other.metadata.created_at, now) or _by_uid(one, other)
    return 0


def _younger_first(one: datetime | None, other: datetime | None, now: datetime) -> int:
    """Ages count by their order of magnitude only, so that the pods of one burst go in random order."""
    if one is None or other is None:
        return (one is not None) - (other is not None)
    return _magnitude(one, now) - _magnitude(other, now)


def _magnitude(instant: datetime, now: datetime) -> int:
    nanoseconds = (now - instant).total_seconds() * 1e9
    return int(math.log2(nanoseconds)) if nanoseconds > 0 else -1


def _by_uid(one: Pod, other: Pod) -> int:
    return -1 if one.metadata.uid < other.metadata.uid else 1


def _restarts(pod: Pod) -> tuple[int, int]:
    """The most restarts of any app container, and of any sidecar."""
    sidecars = {container.name for container in pod.spec.init_containers if container.is_sidecar}
    app = max((status.restart_count for status in pod.status.container_statuses), default=0)
    statuses = pod.status.init_container_statuses
    return app, max((status.restart_count for status in statuses if status.name in sidecars), default=0)
