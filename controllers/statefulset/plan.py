"""Keep pods with names, storage and an order of their own. Kubernetes: the StatefulSet controller.

A pod's name is its identity, and a name is free only when its pod is gone: so there are never two pods of one
identity, even when a node falls silent with one. The status is written first, because an action that fails ends the
plan. Differs: events about pods read as those of ReplicaSets ("Created pod: db-0").
"""

from __future__ import annotations

from functools import partial

from controllers.parts.history import forgotten, history_of, numbered, remembered
from controllers.parts.readiness import next_availability
from controllers.statefulset.claims import sets_of
from controllers.statefulset.crew import Crew, crew_of, revision_of
from controllers.statefulset.identity import is_member
from controllers.statefulset.rollout import rolled
from controllers.statefulset.status import counted
from controllers.statefulset.steps import grown, shrunk
from wherry.api.apps.controller_revision import ControllerRevision
from wherry.api.apps.statefulset import StatefulSet
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.client.controller import controller
from wherry.client.plan import CheckAgain, Plan, SetStatus
from wherry.client.world import World

# Kubernetes: the label of revisions of StatefulSets; those of DaemonSets carry the one that pods have.
HASH_LABEL = "controller.kubernetes.io/hash"


@controller(StatefulSet, owns=[Pod, ControllerRevision], wakes={PersistentVolumeClaim: sets_of}, name="statefulset")
def plan(sts: StatefulSet, world: World) -> Plan:
    """Report, then take the next step."""
    history = history_of(sts, (yield from world.claim(sts, ControllerRevision, sts.spec.selector)))
    pods = yield from world.claim(sts, Pod, sts.spec.selector, partial(is_member, sts))
    is_going = sts.metadata.deleted_at is not None
    if history.wanted is None:
        yield from remembered(sts, history, HASH_LABEL, world) if not is_going else ()
        return
    crew = crew_of(sts, history, history.wanted, pods, world.now)
    yield SetStatus(sts.replace(status=counted(crew)))
    if is_going:
        return
    yield from numbered(history)
    yield from _stepped(crew, world)
    living = {crew.current.metadata.name, crew.update.metadata.name, *map(revision_of, pods)}
    yield from forgotten(history, living, sts.spec.revision_history_limit)
    wait = next_availability(pods, sts.spec.min_ready_seconds, world.now)
    if wait is not None:
        yield CheckAgain(wait)


def _stepped(crew: Crew, world: World) -> Plan:
    """Size comes before version, and growing before shrinking."""
    if (yield from grown(crew, world)) or (yield from shrunk(crew, world)):
        return
    yield from rolled(crew)
