"""What a change of `spec.replicas` means for each ReplicaSet, in the middle of a roll-out too.

Kubernetes: the scaling part of sync.go. Differs: nothing grows before every ReplicaSet has come down to its last size.
"""

from __future__ import annotations

from controllers.deployment.revisions import DESIRED, MOST, Fleet, number, revision_of
from controllers.deployment.rollout import Sizes, emptied, has_answered, most_pods, size_of, sizes_of
from wherry.api.apps.deployment import Deployment
from wherry.api.apps.replicaset import ReplicaSet


def is_scaling(deployment: Deployment, fleet: Fleet) -> bool:
    """Whether `spec.replicas` changed since a ReplicaSet was last sized."""
    desired = (rs.metadata.annotations.get(DESIRED) for rs in fleet.active)
    return any(text is not None and number(text) != deployment.spec.replicas for text in desired)


def resized(deployment: Deployment, fleet: Fleet) -> Sizes:
    """The sizes after a change of `spec.replicas`: in the middle of a roll-out everyone gets a share."""
    wanted = _resized(deployment, fleet)
    present = sizes_of(fleet.all)
    grows = any(size > present[name] for name, size in wanted.items())
    return {} if grows and not all(map(_has_come_down, fleet.all)) else wanted


def _has_come_down(rs: ReplicaSet) -> bool:
    return has_answered(rs) and rs.status.replicas <= rs.spec.replicas


def _resized(deployment: Deployment, fleet: Fleet) -> Sizes:
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
    to_add = allowed - size_of(fleet.active)
    # When growing the newer, when shrinking the older come first among equals; the first takes what rounding leaves.
    by_age = sorted(fleet.active, key=lambda rs: (str(rs.metadata.created_at), rs.metadata.name), reverse=to_add > 0)
    by_size = sorted(by_age, key=lambda rs: -rs.spec.replicas)
    sizes, added = sizes_of(by_size), 0
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
