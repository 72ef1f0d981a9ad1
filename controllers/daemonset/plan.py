"""Keep one pod on every node that matches. Kubernetes: the DaemonSet controller.

Pods come first, versions second: the roll-out takes a step only when every node has what it should have. The status
is written first, because an action that fails ends the plan.
"""

from __future__ import annotations

from collections.abc import Iterator

from controllers.daemonset.keeping import Change, kept
from controllers.daemonset.pods import new_pod
from controllers.daemonset.rollout import rolled
from controllers.daemonset.roster import Roster, roster_of
from controllers.daemonset.status import counted
from controllers.parts.history import REVISION_LABEL, History, forgotten, history_of, numbered, remembered
from controllers.parts.readiness import next_availability
from wherry.api.apps.controller_revision import ControllerRevision
from wherry.api.apps.daemonset import DaemonSet
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.client.controller import controller
from wherry.client.plan import CheckAgain, Create, Delete, Event, Plan, SetStatus
from wherry.client.world import World

# So many pods at most are made, and so many deleted, in one plan. Kubernetes: BurstReplicas.
BURST = 250


def everyone(_: Node, world: World) -> Iterator[str]:
    """A node may matter to every DaemonSet."""
    for ds in world.list(DaemonSet):
        yield ds.key


def what_matters(node: Node) -> object:
    """Of a node only what pods are placed by: heartbeats wake nobody."""
    return node.metadata.labels, node.spec.taints


@controller(
    DaemonSet,
    owns=[Pod, ControllerRevision],
    wakes={Node: everyone},
    notices={Node: what_matters},
    name="daemonset",
)
def plan(ds: DaemonSet, world: World) -> Plan:
    """Report, then make, delete or replace."""
    if ds.metadata.deleted_at is not None:
        return
    history = history_of(ds, (yield from world.claim(ds, ControllerRevision, ds.spec.selector)))
    pods = yield from world.claim(ds, Pod, ds.spec.selector)
    if history.wanted is None:
        yield from remembered(ds, history, REVISION_LABEL, world)
        return
    version = history.wanted.metadata.labels.get(REVISION_LABEL, "")
    roster = roster_of(ds, version, pods, world.list(Node), world.now)
    yield SetStatus(counted(roster))
    yield from numbered(history)
    change = kept(roster)
    if change.is_settled:
        step = rolled(roster)
        change.made, change.deleted = step.made, step.deleted
    yield from _changed(roster, change)
    yield from forgotten(history, _living(history, pods, version), ds.spec.revision_history_limit)
    wait = next_availability(pods, ds.spec.min_ready_seconds, world.now)
    if wait is not None:
        yield CheckAgain(wait)


def _changed(roster: Roster, change: Change) -> Plan:
    ds = roster.ds
    for pod in change.ended:
        phase = pod.status.phase
        word, type = ("kill", "Warning") if phase == "Failed" else ("delete", "Normal")
        message = f"Found {phase.lower()} daemon pod {pod.key} on node {pod.spec.node_name}, will try to {word} it"
        yield Event(ds, f"{phase}DaemonPod", message, type)
    for node, failures in list(change.made.items())[:BURST]:
        yield Create(new_pod(ds, node, roster.version, failures))
    for pod in (change.ended + change.deleted)[:BURST]:
        yield Delete(pod)
    if change.check_after is not None:
        yield CheckAgain(change.check_after)


def _living(history: History, pods: list[Pod], version: str) -> set[str]:
    """The versions that pods are of, by name."""
    hashes = {version, *(pod.metadata.labels.get(REVISION_LABEL, "") for pod in pods)}
    return {one.metadata.name for one in history.revisions if one.metadata.labels.get(REVISION_LABEL) in hashes}
