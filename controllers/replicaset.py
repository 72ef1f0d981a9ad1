"""Keep as many pods as `spec.replicas` says. Kubernetes: the ReplicaSet controller.

The status is written before pods are made or deleted: an action that fails ends the plan, and why it failed must still
be told (`ReplicaFailure`, from the error of the last attempt).
"""

from __future__ import annotations

from collections.abc import Iterable

from controllers.parts.readiness import is_available, next_availability
from controllers.parts.scale_down import cheapest_to_lose
from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.core.pod import Pod
from wherry.api.core.pod.resource import pod_from
from wherry.api.meta import Condition, Conditions, with_condition, without_condition
from wherry.client.controller import controller
from wherry.client.plan import CheckAgain, Create, Delete, Plan, SetStatus
from wherry.client.world import World

# So many pods at most are made or deleted in one plan; then the status is told. Kubernetes: BurstReplicas.
BURST = 500


@controller(ReplicaSet, owns=[Pod])
def plan(rs: ReplicaSet, world: World) -> Plan:
    """Adopt and release, report, then make or delete what is missing or too many."""
    pods = yield from world.claim(rs, Pod, rs.spec.selector)
    active = [pod for pod in pods if pod.is_active]
    surplus = len(active) - rs.spec.replicas
    yield SetStatus(_reported(rs, pods, active, world))

    if rs.metadata.deleted_at is None:
        for _ in range(min(-surplus, BURST)):
            yield Create(pod_from(rs.spec.template, owner=rs))
        if surplus > 0:
            for pod in cheapest_to_lose(active, _neighbours(rs, active, world), world.now)[: min(surplus, BURST)]:
                yield Delete(pod)

    wait = next_availability(active, rs.spec.min_ready_seconds, world.now)
    if wait is not None:
        yield CheckAgain(wait)


def _reported(rs: ReplicaSet, pods: Iterable[Pod], active: list[Pod], world: World) -> ReplicaSet:
    template_labels = rs.spec.template.metadata.labels.items()
    ready = [pod for pod in active if pod.status.ready]
    return rs.with_status(
        replicas=len(active),
        fully_labeled_replicas=sum(template_labels <= pod.metadata.labels.items() for pod in active),
        ready_replicas=len(ready),
        available_replicas=sum(is_available(pod, rs.spec.min_ready_seconds, world.now) for pod in ready),
        terminating_replicas=sum(pod.metadata.deleted_at is not None and not pod.is_finished for pod in pods),
        observed_generation=rs.metadata.generation,
        conditions=_conditions(rs, len(active) - rs.spec.replicas, world),
    )


def _conditions(rs: ReplicaSet, surplus: int, world: World) -> Conditions:
    if world.failure is None or surplus == 0:
        return without_condition(rs.status.conditions, "ReplicaFailure")
    reason = "FailedCreate" if surplus < 0 else "FailedDelete"
    failure = Condition(type="ReplicaFailure", status="True", reason=reason, message=world.failure.message)
    return with_condition(rs.status.conditions, failure, world.now)


def _neighbours(rs: ReplicaSet, own: list[Pod], world: World) -> list[Pod]:
    """The active pods of every ReplicaSet of the same Deployment: a node that has two of them can spare one."""
    parent = rs.metadata.controller
    if parent is None:
        return own
    siblings = [
        sibling
        for sibling in world.list(ReplicaSet, namespace=rs.metadata.namespace)
        if sibling.metadata.controller and sibling.metadata.controller.uid == parent.uid and sibling.key != rs.key
    ]
    others = [pod for sibling in siblings for pod in world.owned(sibling, Pod) if pod.is_active]
    return own + others
