"""How large each ReplicaSet of a Deployment should be, one step at a time.

Bounds hold at every step: never more than `replicas + surge` pods, never fewer than `replicas - unavailable` available
by our doing. Each function answers with the sizes that should change, by name.

Kubernetes: rolling.go and recreate.go. Differs: a ReplicaSet that was told to shrink and has not done so yet counts by
the pods it still has where there must not be too many, and by the pods it will have where there must not be too few;
and while one has not answered to its last size, nobody knows how many pods it has, so none grows; nor does one that
still shrinks, of whose pods some are on their way out. Kubernetes overshoots in both directions while its ReplicaSet
controller lags.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from controllers.deployment.revisions import Fleet
from controllers.parts.percentages import scaled
from wherry.api.apps.deployment import Deployment, RollingUpdate
from wherry.api.apps.replicaset import ReplicaSet

Sizes = dict[str, int]


class Bounds(NamedTuple):
    """How many pods above, and how many available ones below `replicas` are allowed."""

    surge: int
    unavailable: int


def bounds(deployment: Deployment) -> Bounds:
    """Percentages of surge round up, those of unavailability down; when both are 0, one may be unavailable."""
    replicas, strategy = deployment.spec.replicas, deployment.spec.strategy
    if strategy.type != "RollingUpdate" or replicas == 0:
        return Bounds(0, 0)
    rolling = strategy.rolling_update or RollingUpdate()
    surge = scaled(rolling.max_surge, replicas, round_up=True)
    unavailable = scaled(rolling.max_unavailable, replicas, round_up=False)
    if not surge and not unavailable:
        unavailable = 1
    return Bounds(surge, min(unavailable, replicas))


def most_pods(deployment: Deployment) -> int:
    """How many pods there may be."""
    return deployment.spec.replicas + bounds(deployment).surge


def new_size(deployment: Deployment, fleet: Fleet) -> int:
    """How large the new ReplicaSet may be now."""
    wanted, present = deployment.spec.replicas, fleet.new.spec.replicas if fleet.new else 0
    if deployment.spec.strategy.type != "RollingUpdate" or present > wanted:
        return wanted
    if not all(map(has_answered, fleet.all)) or (fleet.new and fleet.new.status.replicas > present):
        return present
    room = most_pods(deployment) - sum(max(rs.spec.replicas, rs.status.replicas) for rs in fleet.all)
    return present + max(0, min(room, wanted - present))


def has_answered(rs: ReplicaSet) -> bool:
    """Whether its status is one of its present size; before, it may have more pods than either says."""
    return rs.status.observed_generation >= rs.metadata.generation


def rolled(deployment: Deployment, fleet: Fleet) -> Sizes:
    """One step of a rolling update: first the new one grows, then the old ones shrink."""
    if fleet.new is None:
        return {}
    size = new_size(deployment, fleet)
    if size != fleet.new.spec.replicas:
        return {fleet.new.metadata.name: size}
    return _shrunk(deployment, fleet, fleet.new)


def _shrunk(deployment: Deployment, fleet: Fleet, new: ReplicaSet) -> Sizes:
    least_available = deployment.spec.replicas - bounds(deployment).unavailable
    # New pods that are not available yet may fail: the old ones they replace stay.
    still_coming = new.spec.replicas - _available(new)
    most = size_of(fleet.all) - least_available - still_coming
    if most <= 0:
        return {}
    sizes = sizes_of(fleet.old)
    _take(sizes, most, {rs.metadata.name: rs.spec.replicas - _available(rs) for rs in fleet.old})
    spare = sum(map(_available, fleet.all)) - least_available
    _take(sizes, spare, dict(sizes))
    return {
        rs.metadata.name: sizes[rs.metadata.name] for rs in fleet.old if sizes[rs.metadata.name] != rs.spec.replicas
    }


def _available(rs: ReplicaSet) -> int:
    return min(rs.status.available_replicas, rs.spec.replicas)


def _take(sizes: Sizes, most: int, available: Sizes) -> None:
    """Shrink by `most` at most, the oldest first, each by as many as it has to give."""
    for name, spare in available.items():
        taken = max(0, min(most, spare, sizes[name]))
        sizes[name] -= taken
        most -= taken


def emptied(fleet: Fleet) -> Sizes:
    """Recreate: every old one goes before the new one comes."""
    return {rs.metadata.name: 0 for rs in fleet.old if rs.spec.replicas}


def size_of(replicasets: Iterable[ReplicaSet]) -> int:
    """How many pods they should have together."""
    return sum(rs.spec.replicas for rs in replicasets)


def sizes_of(replicasets: Iterable[ReplicaSet]) -> Sizes:
    """How many pods each should have."""
    return {rs.metadata.name: rs.spec.replicas for rs in replicasets}
