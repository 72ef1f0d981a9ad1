"""See when a node dies: its conditions become Unknown, taints keep new pods away and evict old ones, and its pods count
as not ready, so that services leave them out.

Kubernetes: the node lifecycle controller. Nodes are marked for eviction one after the other, ten seconds apart. When no
node is up at all the fault is likely ours: none is marked then, and marks are taken back (`parts/node_health.py`).
`taint_eviction.py` does the evicting.
"""

from __future__ import annotations

from datetime import datetime

from controllers.parts.node_health import NOT_READY, PREFIX, UNREACHABLE, Health, Silence, Turns, mark_in
from wherry.api.coordination.lease import Lease
from wherry.api.core.node import Node, Taint
from wherry.api.core.pod import Pod
from wherry.api.meta import Condition, Conditions, find_condition, with_condition
from wherry.client.controller import Controller
from wherry.client.plan import CheckAgain, Event, Plan, SetStatus, Update
from wherry.client.world import World

GRACE_SECONDS = 50.0
# Condition that is bad when True -> taint
PRESSURES = {
    "MemoryPressure": f"{PREFIX}memory-pressure",
    "DiskPressure": f"{PREFIX}disk-pressure",
    "PIDPressure": f"{PREFIX}pid-pressure",
    "NetworkUnavailable": f"{PREFIX}network-unavailable",
}
UNSCHEDULABLE = f"{PREFIX}unschedulable"
REPORTED = ("Ready", "MemoryPressure", "DiskPressure", "PIDPressure")
OURS = {(key, "NoSchedule") for key in (NOT_READY, UNREACHABLE, UNSCHEDULABLE, *PRESSURES.values())}
OURS |= {(NOT_READY, "NoExecute"), (UNREACHABLE, "NoExecute")}


def node_lifecycle_controller(silence: Silence, grace_seconds: float = GRACE_SECONDS) -> Controller:
    """The controller for nodes that may be silent for so long."""

    turns = Turns()

    def planned(node: Node, world: World) -> Plan:
        return plan(node, world, silence, grace_seconds, turns)

    return Controller("node_lifecycle", Node, planned, reads=(Lease, Pod), component="node-controller")


def plan(node: Node, world: World, silence: Silence, grace_seconds: float, turns: Turns) -> Plan:
    """Judge one node."""
    left = grace_seconds - silence(node.metadata.name)
    conditions = node.status.conditions if left > 0 else _silenced(node, world.now)
    if conditions != node.status.conditions:
        yield SetStatus(node.with_status(conditions=conditions))
        message = f"Node {node.metadata.name} status is now: NodeNotReady"
        yield Event(node, "NodeNotReady", message)
    ready = find_condition(conditions, "Ready")
    is_down = ready is not None and not ready.is_true
    # Only of nodes that are down are the others asked about: heartbeats of thousands must stay cheap.
    health = turns.health(world, silence, grace_seconds) if is_down else Health((), silence, 0, world.now, turns)
    taints = _taints(node, conditions, health, world.now)
    if taints != node.spec.taints:
        if mark_in(taints) and not mark_in(node.spec.taints):
            turns.take(node, world.now)
        yield Update(node, {"spec": {"taints": [taint.to_wire() for taint in taints] or None}})
    if ready is not None and is_down:
        yield from _unready_pods(node, ready, world)
        # Whether it may be evicted depends on the others, whose changes do not wake us.
        turn = health.seconds_until_eviction(node) or 0.0
        yield CheckAgain(max(1.0, min(turn or grace_seconds, grace_seconds / 10)))
    else:
        yield CheckAgain(max(left, 0.1))


def _silenced(node: Node, now: datetime) -> Conditions:
    """The conditions of a node that says nothing any more."""
    conditions = node.status.conditions
    for type in REPORTED:
        old = find_condition(conditions, type)
        if old is None:
            reason, message = "NodeStatusNeverUpdated", "Kubelet never posted node status."
            new = Condition(type=type, reason=reason, message=message, last_heartbeat_time=node.metadata.created_at)
        elif old.status != "Unknown":
            message = "Kubelet stopped posting node status."
            new = old.replace(status="Unknown", reason="NodeStatusUnknown", message=message)
        else:
            continue
        conditions = with_condition(conditions, new, now)
    return conditions


def _taints(node: Node, conditions: Conditions, health: Health, now: datetime) -> tuple[Taint, ...]:
    """What others put there and what the conditions ask for; a taint that stays keeps its time."""
    present = {(taint.key, taint.effect): taint for taint in node.spec.taints}
    wanted = {(key, "NoSchedule") for key in _avoided(node, conditions)}
    ready = find_condition(conditions, "Ready")
    if ready is not None and not ready.is_true:
        evicting = (UNREACHABLE if ready.status == "Unknown" else NOT_READY, "NoExecute")
        may = health.is_anyone_up if mark_in(node.spec.taints) else health.seconds_until_eviction(node) == 0
        if may:
            wanted.add(evicting)
    others = (taint for identity, taint in present.items() if identity not in OURS)
    stamped = (
        taint if taint.time_added or taint.effect != "NoExecute" else taint.replace(time_added=now) for taint in others
    )
    new = (Taint(key=key, effect=effect, time_added=now) for key, effect in sorted(wanted - present.keys()))
    kept = (taint for identity, taint in present.items() if identity in wanted)
    return (*stamped, *kept, *new)


def _avoided(node: Node, conditions: Conditions) -> list[str]:
    """The keys of the taints that keep new pods away."""
    ready = find_condition(conditions, "Ready")
    keys = [taint for type, taint in PRESSURES.items() if (found := find_condition(conditions, type)) and found.is_true]
    if ready is None or not ready.is_true:
        keys.append(UNREACHABLE if ready is not None and ready.status == "Unknown" else NOT_READY)
    return [*keys, UNSCHEDULABLE] if node.spec.unschedulable else keys


def _unready_pods(node: Node, ready: Condition, world: World) -> Plan:
    """A pod that its kubelet calls ready after the node stopped being so is left alone: that kubelet is alive."""
    for pod in world.on_node(Pod, node.metadata.name):
        said = find_condition(pod.status.conditions, "Ready")
        if said is None or not said.is_true:
            continue
        if ready.status == "Unknown" or _is_before(said.last_transition_time, ready.last_transition_time):
            conditions = with_condition(pod.status.conditions, said.replace(status="False"), world.now)
            yield SetStatus(pod.with_status(conditions=conditions))
            yield Event(pod, "NodeNotReady", "Node is not ready", "Warning")


def _is_before(one: datetime | None, other: datetime | None) -> bool:
    return one is not None and other is not None and one < other
