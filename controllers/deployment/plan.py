"""Roll pods from one version of a template to the next. Kubernetes: the Deployment controller.

One step per plan: the ReplicaSets' answers to it wake the Deployment for the next. The status is written first, because
an action that fails ends the plan, and why it failed must still be told.
"""

from __future__ import annotations

from collections.abc import Iterator

from controllers.deployment import resizing, rollout, status, steps
from controllers.deployment.revisions import Fleet, fleet_of, new_name
from controllers.deployment.status import Note
from controllers.parts.collision import avoided
from wherry.api.apps.deployment import Deployment
from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.core.pod import Pod
from wherry.api.meta import find_condition
from wherry.client.controller import controller
from wherry.client.plan import CheckAgain, Plan, SetStatus
from wherry.client.world import World


def recreating(pod: Pod, world: World) -> Iterator[str]:
    """The Deployment that waits for the end of this pod, if it is one that recreates."""
    parent, namespace = pod.metadata.controller, pod.metadata.namespace
    rs = world.get(ReplicaSet, parent.name, namespace) if parent and parent.kind == "ReplicaSet" else None
    owner = rs.metadata.controller if rs else None
    deployment = world.get(Deployment, owner.name, namespace) if owner else None
    if deployment and deployment.spec.strategy.type == "Recreate":
        yield deployment.key


@controller(Deployment, owns=[ReplicaSet], wakes={Pod: recreating}, name="deployment")
def plan(deployment: Deployment, world: World) -> Plan:
    """Report, then take the next step."""
    fleet = fleet_of(deployment, (yield from world.claim(deployment, ReplicaSet, deployment.spec.selector)))
    if deployment.metadata.deleted_at is not None:
        yield SetStatus(deployment.replace(status=status.counted(deployment, fleet, world.now)))
    elif deployment.spec.paused or resizing.is_scaling(deployment, fleet):
        yield from _resized(deployment, fleet, world)
    elif fleet.new is None and not (is_recreating(deployment) and _is_occupied(fleet, world)):
        yield from _begun(deployment, fleet, world)
    else:
        yield from _continued(deployment, fleet, world)


def is_recreating(deployment: Deployment) -> bool:
    """Whether no pod of the new version may come before the last one of the old is gone."""
    return deployment.spec.strategy.type == "Recreate"


def _is_occupied(fleet: Fleet, world: World) -> bool:
    """Whether anything of an old version runs or may run."""
    if any(rs.spec.replicas or rs.status.replicas for rs in fleet.old):
        return True
    return any(not pod.is_finished for rs in fleet.old for pod in world.owned(rs, Pod))


def _resized(deployment: Deployment, fleet: Fleet, world: World) -> Plan:
    told = status.counted(deployment, fleet, world.now, _pause_note(deployment))
    yield SetStatus(deployment.replace(status=told))
    yield from steps.numbered(deployment, fleet)
    yield from steps.scaled(deployment, fleet, resizing.resized(deployment, fleet))
    if deployment.spec.paused:
        yield from steps.forgotten(deployment, fleet)


def _begun(deployment: Deployment, fleet: Fleet, world: World) -> Plan:
    name = new_name(deployment)
    taken = world.get(ReplicaSet, name, deployment.metadata.namespace)
    if taken is not None:
        yield from avoided(deployment, taken)
        return
    note = Note("True", "NewReplicaSetCreated", f'Created new replica set "{name}"')
    if world.failure is not None:
        message = f'Failed to create new replica set "{name}": {world.failure.message}'
        note = Note("False", "ReplicaSetCreateError", message)
    yield SetStatus(deployment.replace(status=status.counted(deployment, fleet, world.now, note)))
    yield from steps.created(deployment, fleet)


def _continued(deployment: Deployment, fleet: Fleet, world: World) -> Plan:
    note = _pause_note(deployment) or _found_note(deployment, fleet)
    told = status.counted(deployment, fleet, world.now, note)
    told = status.progressed(deployment, fleet, told, world.now)
    yield SetStatus(deployment.replace(status=told))
    left = status.seconds_left(deployment, told, world.now)
    if left is not None:
        yield CheckAgain(max(left + 1, 1))
    yield from steps.numbered(deployment, fleet)
    yield from steps.scaled(deployment, fleet, _next_sizes(deployment, fleet, world))
    if status.is_complete(deployment, told):
        yield from steps.forgotten(deployment, fleet)


def _next_sizes(deployment: Deployment, fleet: Fleet, world: World) -> rollout.Sizes:
    if not is_recreating(deployment):
        return rollout.rolled(deployment, fleet)
    if fleet.new is None or _is_occupied(fleet, world):
        return rollout.emptied(fleet)
    return {fleet.new.metadata.name: deployment.spec.replicas}


def _pause_note(deployment: Deployment) -> Note | None:
    progress = find_condition(deployment.status.conditions, "Progressing")
    reason = progress.reason if progress else ""
    if deployment.spec.paused and reason not in ("DeploymentPaused", status.EXCEEDED):
        return Note("Unknown", "DeploymentPaused", "Deployment is paused")
    if not deployment.spec.paused and reason == "DeploymentPaused":
        return Note("Unknown", "DeploymentResumed", "Deployment is resumed")
    return None


def _found_note(deployment: Deployment, fleet: Fleet) -> Note | None:
    if fleet.new is None or find_condition(deployment.status.conditions, "Progressing"):
        return None
    return Note("True", "FoundNewReplicaSet", f'Found new replica set "{fleet.new.metadata.name}"')
