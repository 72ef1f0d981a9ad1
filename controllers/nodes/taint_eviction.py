"""Evict pods from nodes with NoExecute taints that they do not tolerate, or no longer. Kubernetes: tainteviction.

A toleration with `tolerationSeconds` counts from the time in the taint, which node_lifecycle.py stamps, or from when
the pod came to the node if that is later; so a new leader does not begin to count anew. Differs: Kubernetes counts from
when its controller first saw the two together.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from wherry.api.core.node import Node, Taint
from wherry.api.core.pod import Pod, Toleration
from wherry.api.meta import Condition, find_condition, with_condition
from wherry.client.controller import controller
from wherry.client.plan import CheckAgain, Delete, Event, Plan, SetStatus
from wherry.client.world import World


def pods_on(node: Node, world: World) -> Iterator[str]:
    """The pods that a change of this node may drive out, or spare."""
    if any(evicting_taints(node)):
        for pod in world.on_node(Pod, node.metadata.name):
            yield pod.key


def evicting_taints(node: Node) -> list[Taint]:
    """The taints that pods must tolerate to stay."""
    return [taint for taint in node.spec.taints if taint.effect == "NoExecute"]


@controller(Pod, wakes={Node: pods_on}, component="taint-eviction-controller")
def plan(pod: Pod, world: World) -> Plan:
    """Delete the pod when its time is up."""
    node = world.get(Node, pod.spec.node_name) if pod.spec.node_name and pod.is_active else None
    waits = [wait for taint in (evicting_taints(node) if node else ()) for wait in _waits(pod, taint, world.now)]
    event = Event(pod, "TaintManagerEviction", f"Marking for deletion Pod {pod.key}")
    message = "Taint manager: deleting due to NoExecute taint"
    disrupted = Condition(type="DisruptionTarget", status="True", reason="DeletionByTaintManager", message=message)
    yield from driven_out(pod, waits, event, disrupted, world.now)


def driven_out(pod: Pod, waits: Sequence[float], event: Event, disrupted: Condition, now: datetime) -> Plan:
    """Delete the pod, and say why, once the shortest of these waits is over; nothing drives it out if there is none."""
    if not waits:
        return
    if min(waits) > 0:
        yield CheckAgain(min(waits))
        return
    yield event
    yield SetStatus(pod.with_status(conditions=with_condition(pod.status.conditions, disrupted, now)))
    yield Delete(pod)


def _waits(pod: Pod, taint: Taint, now: datetime) -> Iterator[float]:
    """How many more seconds the pod may stay in spite of the taint; nothing if that is for ever."""
    matching = [toleration for toleration in pod.spec.tolerations if tolerates(toleration, taint)]
    limits = [one.toleration_seconds for one in matching if one.toleration_seconds is not None]
    if not matching:
        yield 0.0
    elif limits and taint.time_added is not None:  # a taint without a time is about to get one
        since = max(taint.time_added, _arrived_at(pod) or taint.time_added)
        yield min(limits) - (now - since).total_seconds()


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether the toleration covers the taint."""
    is_about_it = toleration.effect in ("", taint.effect) and toleration.key in ("", taint.key)
    return is_about_it and (toleration.operator == "Exists" or toleration.value == taint.value)


def _arrived_at(pod: Pod) -> datetime | None:
    scheduled = find_condition(pod.status.conditions, "PodScheduled")
    return scheduled.last_transition_time if scheduled is not None and scheduled.is_true else pod.metadata.created_at
