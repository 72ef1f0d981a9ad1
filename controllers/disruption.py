"""Work out how many pods of a PodDisruptionBudget may be missing now, so that evictions know. Kubernetes: disruption.

The API server spends what the status allows; each eviction stands in `disruptedPods` until the pod is seen to go, or
two minutes have passed without it. Differs: of the workloads that a budget may count on only ReplicaSets, Deployments,
StatefulSets and ReplicationControllers are known; pods of others make a budget in percent, or one with maxUnavailable,
fail safe.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from controllers.parts.percentages import scaled
from wherry.api.apps.deployment import Deployment
from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.apps.statefulset import StatefulSet
from wherry.api.core.pod import Pod
from wherry.api.core.replication_controller import ReplicationController
from wherry.api.meta import Condition, with_condition
from wherry.api.policy.disruption_budget import PodDisruptionBudget
from wherry.client.controller import controller
from wherry.client.plan import CheckAgain, Event, Plan, SetStatus
from wherry.client.world import World

# Kubernetes: DeletionTimeout. An eviction that was granted should have deleted its pod by then.
GRANTED_SECONDS = 120.0


Workload = ReplicaSet | Deployment | StatefulSet | ReplicationController
_PARENTS: dict[str, type[Workload]] = {
    kind.kind.name: kind for kind in (ReplicaSet, StatefulSet, ReplicationController)
}


class UnknownWorkload(ValueError):
    """Nobody can say how many pods there should be."""


def budgets_of(pod: Pod, world: World) -> Iterator[str]:
    """The budgets that count a pod."""
    for budget in world.list(PodDisruptionBudget, namespace=pod.metadata.namespace):
        if budget.spec.selector is not None and budget.spec.selector.matches(pod.metadata.labels):
            yield budget.key


def budgets_beside(workload: Workload, world: World) -> Iterator[str]:
    """The budgets that may count on the size of a workload."""
    labels = workload.spec.template.metadata.labels
    for budget in world.list(PodDisruptionBudget, namespace=workload.metadata.namespace):
        if budget.spec.selector is not None and budget.spec.selector.matches(labels):
            yield budget.key


@controller(
    PodDisruptionBudget,
    wakes={Pod: budgets_of, Deployment: budgets_beside, **dict.fromkeys(_PARENTS.values(), budgets_beside)},
    component="controllermanager",
)
def plan(budget: PodDisruptionBudget, world: World) -> Plan:
    """Count, and write what is left."""
    selector = budget.spec.selector
    pods = world.list(Pod, namespace=budget.metadata.namespace, selector=selector) if selector is not None else []
    pods = [pod for pod in pods if not pod.is_finished]
    granted = _still_granted(budget, pods, world.now)
    healthy = sum(
        pod.status.ready and pod.metadata.deleted_at is None for pod in pods if pod.metadata.name not in granted
    )
    try:
        expected, desired = _expected(budget, pods, world)
    except UnknownWorkload as error:
        yield Event(
            budget, "CalculateExpectedPodCountFailed", f"Failed to calculate the number of expected pods: {error}"
        )
        yield SetStatus(_told(budget.with_status(disruptions_allowed=0), "SyncFailed", str(error), world.now))
        return
    allowed = max(0, healthy - desired) if expected > 0 else 0
    counted = budget.with_status(
        current_healthy=healthy,
        desired_healthy=desired,
        expected_pods=expected,
        disruptions_allowed=allowed,
        disrupted_pods=granted,
        observed_generation=budget.metadata.generation,
    )
    yield SetStatus(_told(counted, "SufficientPods" if allowed else "InsufficientPods", "", world.now))
    if granted:
        yield CheckAgain(max(1.0, GRANTED_SECONDS - max((world.now - at).total_seconds() for at in granted.values())))


def _still_granted(budget: PodDisruptionBudget, pods: list[Pod], now: datetime) -> dict[str, datetime]:
    standing = {pod.metadata.name for pod in pods if pod.metadata.deleted_at is None}
    granted = budget.status.disrupted_pods.items()
    return {name: at for name, at in granted if name in standing and (now - at).total_seconds() < GRANTED_SECONDS}


def _expected(budget: PodDisruptionBudget, pods: list[Pod], world: World) -> tuple[int, int]:
    """How many pods there should be, and how many of them must be healthy."""
    least, most = budget.spec.min_available, budget.spec.max_unavailable
    if most is not None:
        expected = _scale(pods, world)
        return expected, max(0, expected - scaled(most, expected, round_up=True))
    if isinstance(least, str):
        expected = _scale(pods, world)
        return expected, scaled(least, expected, round_up=True)
    return len(pods), least or 0


def _scale(pods: list[Pod], world: World) -> int:
    """How many pods their workloads want, together."""
    workloads = {workload.metadata.uid: workload for pod in pods for workload in _workload(pod, world)}
    return sum(workload.spec.replicas for workload in workloads.values())


def _workload(pod: Pod, world: World) -> Iterator[Workload]:
    parent, namespace = pod.metadata.controller, pod.metadata.namespace
    if parent is None:
        return
    kind = _PARENTS.get(parent.kind)
    workload = world.get(kind, parent.name, namespace) if kind is not None else None
    if workload is None or workload.metadata.uid != parent.uid:
        raise UnknownWorkload(f'found no controllers for pod "{pod.metadata.name}"')
    owner = workload.metadata.controller
    deployment = world.get(Deployment, owner.name, namespace) if owner and owner.kind == "Deployment" else None
    yield deployment if deployment is not None else workload


def _told(budget: PodDisruptionBudget, reason: str, message: str, now: datetime) -> PodDisruptionBudget:
    condition = Condition(
        type="DisruptionAllowed",
        status=str(budget.status.disruptions_allowed > 0),
        reason=reason,
        message=message,
        observed_generation=budget.metadata.generation,
    )
    return budget.with_status(conditions=with_condition(budget.status.conditions, condition, now))
