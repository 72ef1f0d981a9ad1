"""The single steps of a roll-out, as actions: number a version, size its ReplicaSet, forget old ones."""

from __future__ import annotations

from controllers.deployment.revisions import (
    DESIRED,
    MOST,
    REVISION,
    Fleet,
    new_replicaset,
    next_revision,
    revision_of,
    wanted_annotations,
)
from controllers.deployment.rollout import Sizes, most_pods, new_size
from wherry.api.apps.deployment import Deployment
from wherry.client.plan import Create, Delete, Event, Plan, Update

SCALING = "ScalingReplicaSet"


def created(deployment: Deployment, fleet: Fleet) -> Plan:
    """Bring the ReplicaSet of the current version into being."""
    size = new_size(deployment, fleet)
    manifest = new_replicaset(deployment, fleet, size, most_pods(deployment))
    yield from _revised(deployment, str(next_revision(fleet)))
    yield Create(manifest)
    if size:
        yield Event(deployment, SCALING, f"Scaled up replica set {manifest['metadata']['name']} from 0 to {size}")


def numbered(deployment: Deployment, fleet: Fleet) -> Plan:
    """Give the new ReplicaSet the highest revision number, and the Deployment the same."""
    if fleet.new is None:
        return
    present = fleet.new.metadata.annotations
    wanted = wanted_annotations(deployment, present, next_revision(fleet))
    seconds = deployment.spec.min_ready_seconds
    if wanted != present or fleet.new.spec.min_ready_seconds != seconds:
        yield Update(fleet.new, {"metadata": {"annotations": wanted}, "spec": {"minReadySeconds": seconds}})
    yield from _revised(deployment, wanted[REVISION])


def _revised(deployment: Deployment, revision: str) -> Plan:
    if deployment.metadata.annotations.get(REVISION) != revision:
        yield Update(deployment, {"metadata": {"annotations": {REVISION: revision}}})


def scaled(deployment: Deployment, fleet: Fleet, sizes: Sizes) -> Plan:
    """Give the ReplicaSets their sizes, and tell them how large the whole is."""
    counts = {DESIRED: str(deployment.spec.replicas), MOST: str(most_pods(deployment))}
    for rs in fleet.all:
        name, before = rs.metadata.name, rs.spec.replicas
        size = sizes.get(name, before)
        if name not in sizes or (size == before and counts.items() <= rs.metadata.annotations.items()):
            continue
        yield Update(rs, {"metadata": {"annotations": counts}, "spec": {"replicas": size}})
        if size != before:
            direction = "up" if size > before else "down"
            yield Event(deployment, SCALING, f"Scaled {direction} replica set {name} from {before} to {size}")


def forgotten(deployment: Deployment, fleet: Fleet) -> Plan:
    """Delete the oldest versions beyond the history limit, unless something of them is left."""
    limit = deployment.spec.revision_history_limit
    old = sorted((rs for rs in fleet.old if rs.metadata.deleted_at is None), key=revision_of)
    for rs in old[: max(0, len(old) - limit)] if limit is not None else ():
        is_settled = rs.status.observed_generation >= rs.metadata.generation
        if is_settled and not rs.spec.replicas and not rs.status.replicas:
            yield Delete(rs)
