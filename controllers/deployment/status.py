"""What a Deployment tells of itself: counts, and whether it is available and getting on. Kubernetes: progress.go."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from controllers.deployment.revisions import Fleet
from controllers.deployment.rollout import bounds
from wherry.api.apps.deployment import Deployment, DeploymentStatus
from wherry.api.meta import Condition, Conditions, find_condition, with_condition, without_condition

NO_DEADLINE = 2**31 - 1
AVAILABLE, EXCEEDED = "NewReplicaSetAvailable", "ProgressDeadlineExceeded"


class Note(NamedTuple):
    """What the plan did that the Progressing condition should tell."""

    status: str
    reason: str
    message: str


def is_complete(deployment: Deployment, status: DeploymentStatus) -> bool:
    """Whether all pods are of the current version and available, and no others are left."""
    counts = {status.updated_replicas, status.replicas, status.available_replicas}
    return counts == {deployment.spec.replicas} and status.observed_generation >= deployment.metadata.generation


def counted(deployment: Deployment, fleet: Fleet, now: datetime, note: Note | None = None) -> DeploymentStatus:
    """The status with counts, availability and the note; whether there is progress is judged by `progressed`."""
    conditions = _settled(deployment.status.conditions, _availability(deployment, fleet), now)
    if note is not None and has_deadline(deployment):
        conditions = _noted(conditions, note, now)
    everyone = fleet.all
    available = sum(rs.status.available_replicas for rs in everyone)
    return deployment.status.replace(
        observed_generation=deployment.metadata.generation,
        replicas=sum(rs.status.replicas for rs in everyone),
        updated_replicas=fleet.new.status.replicas if fleet.new else 0,
        ready_replicas=sum(rs.status.ready_replicas for rs in everyone),
        available_replicas=available,
        unavailable_replicas=max(0, sum(rs.spec.replicas for rs in everyone) - available),
        terminating_replicas=sum(rs.status.terminating_replicas or 0 for rs in everyone),
        conditions=conditions,
    )


def _availability(deployment: Deployment, fleet: Fleet) -> Condition:
    available = sum(rs.status.available_replicas for rs in fleet.all)
    if available >= deployment.spec.replicas - bounds(deployment).unavailable:
        status, reason, message = "True", "MinimumReplicasAvailable", "Deployment has minimum availability."
    else:
        status, reason = "False", "MinimumReplicasUnavailable"
        message = "Deployment does not have minimum availability."
    return Condition(type="Available", status=status, reason=reason, message=message)


def has_deadline(deployment: Deployment) -> bool:
    """Whether there is a time after which a roll-out counts as stuck."""
    return deployment.spec.progress_deadline_seconds not in (None, NO_DEADLINE)


def _noted(conditions: Conditions, note: Note, now: datetime) -> Conditions:
    return _settled(conditions, Condition(type="Progressing", **note._asdict()), now)


def progressed(deployment: Deployment, fleet: Fleet, status: DeploymentStatus, now: datetime) -> DeploymentStatus:
    """The status with its Progressing and ReplicaFailure conditions brought up to date."""
    conditions = status.conditions
    before = find_condition(conditions, "Progressing")
    was_complete = before is not None and before.reason == AVAILABLE and status.replicas == status.updated_replicas
    if not has_deadline(deployment):
        conditions = without_condition(conditions, "Progressing")
    elif not was_complete:
        conditions = _with_progress(deployment, fleet, status, now)
    failures = [find_condition(rs.status.conditions, "ReplicaFailure") for rs in (fleet.new, *fleet.old) if rs]
    failure = next(filter(None, failures), None)
    conditions = (
        without_condition(conditions, "ReplicaFailure") if failure is None else _settled(conditions, failure, now)
    )
    return status.replace(conditions=conditions)


def _with_progress(deployment: Deployment, fleet: Fleet, status: DeploymentStatus, now: datetime) -> Conditions:
    who = f'ReplicaSet "{fleet.new.metadata.name}"' if fleet.new else f'Deployment "{deployment.metadata.name}"'
    if is_complete(deployment, status):
        return _noted(status.conditions, Note("True", AVAILABLE, f"{who} has successfully progressed."), now)
    if _is_moving(deployment.status, status):
        note = Note("True", "ReplicaSetUpdated", f"{who} is progressing.")
        # Each step forward begins the deadline anew, although status and reason stay the same.
        return _refreshed(status.conditions, Condition(type="Progressing", **note._asdict()), now)
    if is_overdue(deployment, status, now):
        return _noted(status.conditions, Note("False", EXCEEDED, f"{who} has timed out progressing."), now)
    return status.conditions


def _is_moving(before: DeploymentStatus, after: DeploymentStatus) -> bool:
    return (
        after.updated_replicas > before.updated_replicas
        or after.replicas - after.updated_replicas < before.replicas - before.updated_replicas
        or after.ready_replicas > before.ready_replicas
        or after.available_replicas > before.available_replicas
    )


def is_overdue(deployment: Deployment, status: DeploymentStatus, now: datetime) -> bool:
    """Whether nothing has moved for as long as the deadline allows."""
    left = seconds_left(deployment, status, now)
    return left is not None and left < 0


def seconds_left(deployment: Deployment, status: DeploymentStatus, now: datetime) -> float | None:
    """How long the roll-out may still stand where it stands; None when no deadline is running."""
    progress = find_condition(status.conditions, "Progressing")
    deadline = deployment.spec.progress_deadline_seconds
    if not has_deadline(deployment) or deadline is None or progress is None or progress.last_update_time is None:
        return None
    if progress.reason in (AVAILABLE, EXCEEDED, "DeploymentPaused"):
        return None
    return (progress.last_update_time + timedelta(seconds=deadline) - now).total_seconds()


def _settled(conditions: Conditions, new: Condition, now: datetime) -> Conditions:
    """The conditions with one set, unless it already says the same for the same reason."""
    old = find_condition(conditions, new.type)
    if old is not None and (old.status, old.reason) == (new.status, new.reason):
        return conditions
    return _refreshed(conditions, new, now)


def _refreshed(conditions: Conditions, new: Condition, now: datetime) -> Conditions:
    return with_condition(conditions, new.replace(last_update_time=now), now)
