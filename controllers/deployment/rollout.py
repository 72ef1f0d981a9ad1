"""How large each ReplicaSet of a Deployment should be, one step at a time.

Bounds hold at every step: never more than `replicas + surge` pods, never fewer than `replicas - unavailable` available
by our doing. Each function answers with the sizes that should change, by name.

Kubernetes: rolling.go, recreate.go and the scaling part of sync.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from controllers.deployment.revisions import DESIRED, MOST, Fleet, number, revision_of
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
    room = most_pods(deployment) - _size(fleet.all)
    return present + max(0, min(room, wanted - present))


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
    still_coming = new.spec.replicas - new.status.available_replicas
    most = _size(fleet.all) - least_available - still_coming
    if most <= 0:
        return {}
    sizes = _sizes(fleet.old)
    _take(sizes, most, {rs.metadata.name: rs.spec.replicas - rs.status.available_replicas for rs in fleet.old})
    spare = sum(rs.status.available_replicas for rs in fleet.all) - least_available
    _take(sizes, spare, dict(sizes))
    return {
        rs.metadata.name: sizes[rs.metadata.name] for rs in fleet.old if sizes[rs.metadata.name] != rs.spec.replicas
    }


def _take(sizes: Sizes, most: int, available: Sizes) -> None:
    """Shrink by `most` at most, the oldest first, each by as many as it has to give."""
    for name, spare in available.items():
        taken = max(0, min(most, spare, sizes[name]))
        sizes[name] -= taken
        most -= taken


def emptied(fleet: Fleet) -> Sizes:
    """Recreate: every old one goes before the new one comes."""
    return {rs.metadata.name: 0 for rs in fleet.old if rs.spec.replicas}


def is_scaling(deployment: Deployment, fleet: Fleet) -> bool:
    """Whether `spec.replicas` changed since a ReplicaSet was last sized."""
    desired = (rs.metadata.annotations.get(DESIRED) for rs in fleet.active)
    return any(text is not None and number(text) != deployment.spec.replicas for text in desired)


def resized(deployment: Deployment, fleet: Fleet) -> Sizes:
    """The sizes after a change of `spec.replicas`: in the middle of a roll-out everyone gets a share."""
    only = _active_or_latest(fleet)
    if only is not None:
        return {only.metadata.name: deployment.spec.replicas}
    if fleet.new is not None and _is_saturated(deployment, fleet.new):
        return emptied(fleet)
    return _shared_out(deployment, fleet) if deployment.spec.strategy.type == "RollingUpdate" else {}


def _active_or_latest(fleet: Fleet) -> ReplicaSet | None:
    active = fleet.active
    if len(active) > 1:
        return None
    if active:
        return active[0]
    return fleet.new or max(fleet.old, key=revision_of, default=None)


def _is_saturated(deployment: Deployment, rs: ReplicaSet) -> bool:
    replicas = deployment.spec.replicas
    counts = (rs.spec.replicas, number(rs.metadata.annotations.get(DESIRED, "")), rs.status.available_replicas)
    return counts == (replicas, replicas, replicas)


def _shared_out(deployment: Deployment, fleet: Fleet) -> Sizes:
    allowed = most_pods(deployment) if deployment.spec.replicas else 0
    to_add = allowed - _size(fleet.active)
    # When growing the newer, when shrinking the older come first among equals; the first takes what rounding leaves.
    by_age = sorted(fleet.active, key=lambda rs: (str(rs.metadata.created_at), rs.metadata.name), reverse=to_add > 0)
    by_size = sorted(by_age, key=lambda rs: -rs.spec.replicas)
    sizes, added = _sizes(by_size), 0
    for rs in by_size:
        share = _share(deployment, rs)
        share = min(share, to_add - added) if to_add > 0 else max(share, to_add - added)
        sizes[rs.metadata.name] += share
        added += share
    if by_size:
        first = by_size[0].metadata.name
        sizes[first] = max(0, sizes[first] + to_add - added)
    return sizes


def _share(deployment: Deployment, rs: ReplicaSet) -> int:
    """By how much a ReplicaSet grows in proportion to the Deployment."""
    if deployment.spec.replicas == 0:
        return -rs.spec.replicas
    before = number(rs.metadata.annotations.get(MOST, "")) or deployment.status.replicas
    if not before:
        return 0
    return (2 * rs.spec.replicas * most_pods(deployment) + before) // (2 * before) - rs.spec.replicas


def _size(replicasets: Iterable[ReplicaSet]) -> int:
    return sum(rs.spec.replicas for rs in replicasets)


def _sizes(replicasets: Iterable[ReplicaSet]) -> Sizes:
    return {rs.metadata.name: rs.spec.replicas for rs in replicasets}
