"""From numbers to replicas: as many more or fewer as the numbers are off their target.

Kubernetes: replica_calculator.go and metrics/utilization.go, down to which divisions are of whole numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from controllers.autoscaling.pods import Groups, Unmeasured

Values = Mapping[str, int]
"""Thousandths by the names of pods."""


class Tolerance(NamedTuple):
    """How far off the target nothing happens yet, as shares: above it and below."""

    up: float = 0.1
    down: float = 0.1

    def covers(self, ratio: float) -> bool:
        """Whether a ratio of value to target is close enough to 1."""
        return 1.0 - self.down <= ratio <= 1.0 + self.up


class Pods(NamedTuple):
    """The pods whose numbers were asked for: how many there should be, and what the numbers are worth."""

    replicas: int
    groups: Groups
    tolerance: Tolerance


def by_utilization(pods: Pods, values: Values, requests: Values, percent: int) -> tuple[int, int, int]:
    """Replicas, the percentage of requests in use, and the average use, for so many percent."""
    values = _counted(values, pods.groups)
    _, now, average = _utilization(values, requests, percent)

    def of_missing(ratio: float) -> dict[str, int]:
        """Those not measured speak against any change: down, they use all they request, up, nothing."""
        if ratio == 1.0:
            return {}
        share = max(100, percent) if ratio < 1.0 else 0
        return {name: requests.get(name, 0) * share // 100 for name in pods.groups.missing}

    return _proposed(pods, values, lambda some: _utilization(some, requests, percent)[0], of_missing), now, average


def by_average(pods: Pods, values: Values, target: int) -> tuple[int, int]:
    """Replicas, and the average, for an average of `target`."""
    values = _counted(values, pods.groups)

    def of_missing(ratio: float) -> dict[str, int]:
        return dict.fromkeys(pods.groups.missing, target if ratio < 1.0 else 0)

    return _proposed(pods, values, lambda some: _average(some) / target, of_missing), _average(values)


def by_total(replicas: int, usage: int, target: int, ready: Callable[[], int], tolerance: Tolerance) -> int:
    """Replicas for one number that they share and that should be `target`; from none, as many as it is too large."""
    ratio = usage / target
    if replicas == 0:
        return math.ceil(ratio)
    return replicas if tolerance.covers(ratio) else math.ceil(ratio * ready())


def by_share(replicas: int, usage: int, target: int, tolerance: Tolerance) -> tuple[int, int]:
    """Replicas, and the share of each, for one number of which each should have `target`."""
    if replicas == 0:
        return math.ceil(usage / target), usage
    ratio = usage / (target * replicas)
    wanted = replicas if tolerance.covers(ratio) else math.ceil(usage / target)
    return wanted, math.ceil(usage / replicas)


def _counted(values: Values, groups: Groups) -> Values:
    counted = {name: value for name, value in values.items() if name not in groups.ignored | groups.unready}
    if not counted:
        raise Unmeasured("did not receive metrics for targeted pods (pods might be unready)")
    return counted


def _utilization(values: Values, requests: Values, percent: int) -> tuple[float, int, int]:
    known = [name for name in values if name in requests]
    requested, used = sum(requests[name] for name in known), sum(values[name] for name in known)
    if requested == 0:
        raise Unmeasured("no metrics returned matched known pods")
    now = used * 100 // requested
    return now / percent, now, used // len(known)


def _average(values: Values) -> int:
    return sum(values.values()) // len(values)


def _proposed(
    pods: Pods, values: Values, ratio_of: Callable[[Values], float], of_missing: Callable[[float], Values]
) -> int:
    """Replicas for values of pods that count; those that do not can only hold a change back."""
    replicas, groups, tolerance = pods
    ratio = ratio_of(values)
    counts_unready = bool(groups.unready) and ratio > 1.0
    if not counts_unready and not groups.missing:
        return replicas if tolerance.covers(ratio) else math.ceil(ratio * groups.ready)

    filled = {**values, **of_missing(ratio), **_nothing(groups.unready if counts_unready else ())}
    cautious = ratio_of(filled)
    has_turned = (ratio < 1.0 < cautious) or (cautious < 1.0 < ratio)
    if tolerance.covers(cautious) or has_turned:
        return replicas
    wanted = math.ceil(cautious * len(filled))
    is_backwards = (cautious < 1.0 and wanted > replicas) or (cautious > 1.0 and wanted < replicas)
    return replicas if is_backwards else wanted


def _nothing(names: Iterable[str]) -> dict[str, int]:
    return dict.fromkeys(names, 0)
