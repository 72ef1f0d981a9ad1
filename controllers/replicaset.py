"""Keep as many pods as `spec.replicas` says. Kubernetes: the ReplicaSet controller."""

from __future__ import annotations

from controllers.parts.replicas import counted, sized
from wherry.api.apps.replicaset import ReplicaSet
from wherry.api.core.pod import Pod
from wherry.client.controller import controller
from wherry.client.plan import Plan, SetStatus
from wherry.client.world import World


@controller(ReplicaSet, owns=[Pod])
def plan(rs: ReplicaSet, world: World) -> Plan:
    """Adopt and release, report, then make or delete what is missing or too many."""
    pods = yield from world.claim(rs, Pod, rs.spec.selector)
    active = [pod for pod in pods if pod.is_active]
    terminating = sum(pod.metadata.deleted_at is not None and not pod.is_finished for pod in pods)
    yield SetStatus(rs.with_status(**counted(rs, active, world), terminating_replicas=terminating))
    yield from sized(rs, pods, _neighbours(rs, active, world), world)


def _neighbours(rs: ReplicaSet, own: list[Pod], world: World) -> list[Pod]:
    """The active pods of every ReplicaSet of the same Deployment: a node that has two of them can spare one."""
    parent = rs.metadata.controller
    if parent is None or len(own) <= rs.spec.replicas:
        return own
    siblings = [
        sibling
        for sibling in world.list(ReplicaSet, namespace=rs.metadata.namespace)
        if sibling.metadata.controller and sibling.metadata.controller.uid == parent.uid and sibling.key != rs.key
    ]
    others = [pod for sibling in siblings for pod in world.owned(sibling, Pod) if pod.is_active]
    return own + others
