"""Keeping a number of interchangeable pods: what ReplicaSets and ReplicationControllers do alike.

Whoever uses this writes the status first: an action that fails ends the plan, and why it failed must still be told
(`ReplicaFailure`, from the error of the last attempt).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from controllers.parts.readiness import is_available, next_availability
from controllers.parts.refusals import seconds_to_wait
from controllers.parts.scale_down import cheapest_to_lose
from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.core.pod import Pod
from wherry.api.core.pod.resource import pod_from
from wherry.api.core.replication_controller import ReplicationController
from wherry.api.meta import Condition, Conditions, with_condition, without_condition
from wherry.client.plan import CheckAgain, Create, Delete, Plan
from wherry.client.world import Matcher, World
from wherry.machinery.selectors import from_labels

# So many pods at most are made or deleted in one plan; then the status is told. Kubernetes: BurstReplicas.
BURST = 500

Replicator = ReplicaSet | ReplicationController


def counted(owner: Replicator, active: list[Pod], world: World) -> dict[str, Any]:
    """The status of one that has these active pods."""
    labels, seconds = owner.spec.template.metadata.labels.items(), owner.spec.min_ready_seconds
    ready = [pod for pod in active if pod.status.ready]
    return {
        "replicas": len(active),
        "fully_labeled_replicas": sum(labels <= pod.metadata.labels.items() for pod in active),
        "ready_replicas": len(ready),
        "available_replicas": sum(is_available(pod, seconds, world.now) for pod in ready),
        "observed_generation": owner.metadata.generation,
        "conditions": _conditions(owner, len(active) - owner.spec.replicas, world),
    }


def _conditions(owner: Replicator, surplus: int, world: World) -> Conditions:
    if world.failure is None or surplus == 0:
        return without_condition(owner.status.conditions, "ReplicaFailure")
    reason = "FailedCreate" if surplus < 0 else "FailedDelete"
    failure = Condition(type="ReplicaFailure", status="True", reason=reason, message=world.failure.message)
    return with_condition(owner.status.conditions, failure, world.now)


def _selector_of(owner: Replicator) -> Matcher:
    return owner.spec.selector if isinstance(owner, ReplicaSet) else from_labels(owner.spec.selector)


def sized(owner: Replicator, pods: list[Pod], neighbours: Iterable[Pod], world: World) -> Plan:
    """Make what is missing, or delete what is too many; `neighbours` are the pods that serve the same end."""
    active = [pod for pod in pods if pod.is_active]
    surplus = len(active) - owner.spec.replicas
    pause = seconds_to_wait(pods, owner.spec.replicas, world.now) if surplus < 0 else 0.0
    if owner.metadata.deleted_at is None:
        # The API server sees to it that they match, but a damaged store may not: such pods, released at once and made
        # again, would be without end.
        if _selector_of(owner).matches(owner.spec.template.metadata.labels):
            for _ in range(min(-surplus, 0 if pause else BURST)):
                yield Create(pod_from(owner.spec.template, owner=owner))
        if surplus > 0:
            # Where all go, none is asked what it costs.
            going = active if surplus == len(active) else cheapest_to_lose(active, neighbours, world.now)
            for pod in going[: min(surplus, BURST)]:
                yield Delete(pod)
    wait = next_availability(active, owner.spec.min_ready_seconds, world.now)
    if wait is not None:
        yield CheckAgain(wait)
    if pause:
        yield CheckAgain(pause)
