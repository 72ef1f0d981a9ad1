"""Which pods a shrinking workload gives up first: those that are cheapest to lose.

Kubernetes: controller.ActivePodsWithRanks, with LogarithmicScaleDown.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable
from datetime import datetime
from functools import cmp_to_key
from typing import Any, NamedTuple

from controllers.parts.readiness import ready_since
from wherry.api.core.pod import Pod

DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
_PHASES = {"Pending": 0, "Unknown": 1, "Running": 2}
_COSTS = range(-(2**31), 2**31)


def cheapest_to_lose(pods: Collection[Pod], neighbours: Iterable[Pod], now: datetime) -> list[Pod]:
    """The pods in the order in which to delete them; `neighbours` are those that serve the same end, these included.

    Unassigned before assigned, pending before unknown before running, not ready before ready, lower deletion cost
    first, doubled up on a node before alone, ready for a short time before long, more restarts first, younger before
    older.
    """
    crowd = Counter(pod.spec.node_name for pod in neighbours)
    # A comparison is made many times for each pod: what it looks at is read once.
    traits = {pod.metadata.uid: _traits(pod, crowd) for pod in pods}

    def compare(one: Pod, other: Pod) -> int:
        return _compare(traits[one.metadata.uid], traits[other.metadata.uid], now)

    return sorted(pods, key=cmp_to_key(compare))


class _Traits(NamedTuple):
    """What is compared of a pod."""

    cost: tuple[Any, ...]
    is_ready: bool
    ready_since: datetime | None
    restarts: tuple[int, int]
    created_at: datetime | None
    uid: str


def _traits(pod: Pod, crowd: Counter[str]) -> _Traits:
    node, meta, is_ready = pod.spec.node_name, pod.metadata, pod.status.ready
    cost = bool(node), _PHASES.get(pod.status.phase, 0), is_ready, _deletion_cost(pod), -crowd[node]
    return _Traits(cost, is_ready, ready_since(pod), _restarts(pod), meta.created_at, meta.uid)


def _deletion_cost(pod: Pod) -> int:
    text = pod.metadata.annotations.get(DELETION_COST, "")
    sign, digits = text[:1] == "-", text.removeprefix("-")
    cost = int(digits) * (-1 if sign else 1) if digits.isascii() and digits.isdigit() and len(digits) < 11 else 0
    return cost if cost in _COSTS else 0


def _compare(one: _Traits, other: _Traits, now: datetime) -> int:
    if one.cost != other.cost:
        return -1 if one.cost < other.cost else 1
    if one.is_ready and one.ready_since != other.ready_since:
        return _younger_first(one.ready_since, other.ready_since, now) or _by_uid(one, other)
    if one.restarts != other.restarts:
        return -1 if one.restarts > other.restarts else 1
    if one.created_at != other.created_at:
        return _younger_first(one.created_at, other.created_at, now) or _by_uid(one, other)
    return 0


def _younger_first(one: datetime | None, other: datetime | None, now: datetime) -> int:
    """Ages count by their order of magnitude only, so that the pods of one burst go in random order."""
    if one is None or other is None:
        return (one is not None) - (other is not None)
    return _magnitude(one, now) - _magnitude(other, now)


def _magnitude(instant: datetime, now: datetime) -> int:
    nanoseconds = (now - instant).total_seconds() * 1e9
    return int(math.log2(nanoseconds)) if nanoseconds > 0 else -1


def _by_uid(one: _Traits, other: _Traits) -> int:
    return -1 if one.uid < other.uid else 1


def _restarts(pod: Pod) -> tuple[int, int]:
    """The most restarts of any app container, and of any sidecar."""
    sidecars = {container.name for container in pod.spec.init_containers if container.is_sidecar}
    app = max((status.restart_count for status in pod.status.container_statuses), default=0)
    statuses = pod.status.init_container_statuses
    return app, max((status.restart_count for status in statuses if status.name in sidecars), default=0)
