"""Keep as many pods as `spec.replicas` says, under the old name. Kubernetes: the replication manager."""

from __future__ import annotations

from collections.abc import Iterator

from controllers.parts.replicas import counted, sized
from wherry.api.core.pod import Pod
from wherry.api.core.replication_controller import ReplicationController
from wherry.client.controller import controller
from wherry.client.plan import Plan, SetStatus
from wherry.client.world import World
from wherry.machinery.selectors import from_labels


def adopting(pod: Pod, world: World) -> Iterator[str]:
    """Who might adopt an orphan: the selector is a plain map here, in which the runner sees none."""
    if pod.metadata.controller is None:
        for rc in world.list(ReplicationController, namespace=pod.metadata.namespace):
            if rc.spec.selector and rc.spec.selector.items() <= pod.metadata.labels.items():
                yield rc.key


# Kubernetes: events come from the `replication-controller`.
@controller(
    ReplicationController, owns=[Pod], component="replication-controller", wakes={Pod: adopting}, name="replication"
)
def plan(rc: ReplicationController, world: World) -> Plan:
    """Adopt and release, report, then make or delete what is missing or too many."""
    pods = yield from world.claim(rc, Pod, from_labels(rc.spec.selector))
    active = [pod for pod in pods if pod.is_active]
    yield SetStatus(rc.with_status(**counted(rc, active, world)))
    yield from sized(rc, pods, active, world)
