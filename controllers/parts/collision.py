"""When the name of a new version is taken. Kubernetes: `status.collisionCount`.

Differs: what an earlier owner of the same name left behind is no collision. It goes soon, or is gone already and only
the watch has not said so; another name for the same template would roll every pod for nothing.
"""

from __future__ import annotations

from wherry.api.apps.daemonset import DaemonSet
from wherry.api.apps.deployment import Deployment
from wherry.api.apps.statefulset import StatefulSet
from wherry.client.plan import CheckAgain, Plan, SetStatus
from wherry.machinery.resource import Resource

# Garbage collection needs about this long.
AGAIN_SECONDS = 0.5


def avoided(owner: Deployment | StatefulSet | DaemonSet, taken: Resource) -> Plan:
    """Wait for what was left behind; else another template has the same hash, and the next plan tries another one."""
    if _is_left_behind(taken, owner):
        yield CheckAgain(AGAIN_SECONDS)
    else:
        yield SetStatus(owner.with_status(collision_count=(owner.status.collision_count or 0) + 1))


def _is_left_behind(taken: Resource, owner: Resource) -> bool:
    controller = taken.metadata.controller
    if controller is None or controller.uid == owner.metadata.uid:
        return False
    return (controller.kind, controller.name) == (owner.kind.name, owner.metadata.name)
