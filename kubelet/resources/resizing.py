"""In-place resize: what a running container should have of the machine, and what its node tells about it. Pure.

Kubernetes: computePodResizeAction and the allocation manager. Differs: a resize is weighed against the whole node,
which can hold it or never will, and not against what other pods there ask for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from kubelet.resources.qos import limits_of
from kubelet.runtime.base import ContainerRecord, Limits
from kubelet.seen import Seen
from wherry.api.core.pod import Container, Pod
from wherry.api.core.pod.totals import pod_requests
from wherry.machinery.quantity import Quantity

Json = dict[str, Any]

PENDING, IN_PROGRESS = "PodResizePending", "PodResizeInProgress"
CONDITIONS = (PENDING, IN_PROGRESS)
_COMPUTE = ("cpu", "memory")


def shares(limits: Limits) -> tuple[int, int, int]:
    """What of the limits can change while a container runs: weight and bound of cpu, bound of memory."""
    return limits.cpu_shares, limits.cpu_nanos, limits.memory_bytes


def wanted(pod: Pod, container: Container) -> Limits:
    """What the container should have; its place in the queue when memory runs out stays as it was."""
    return limits_of(container, pod.spec, 1)


def is_applied(pod: Pod, container: Container, record: ContainerRecord) -> bool:
    """Whether a running container has what it should have."""
    return record.limits is None or shares(record.limits) == shares(wanted(pod, container))


def needs_restart(pod: Pod, container: Container, record: ContainerRecord) -> bool:
    """Whether the container asked to be started anew when what changes now changes."""
    if record.limits is None:
        return False
    now, then = shares(record.limits), shares(wanted(pod, container))
    changed = ["cpu"] if now[:2] != then[:2] else []
    changed += ["memory"] if now[2] != then[2] else []
    policies = {policy.resource_name: policy.restart_policy for policy in container.resize_policy}
    return any(policies.get(name) == "RestartContainer" for name in changed)


def lacking(pod: Pod, allocatable: Mapping[str, Quantity]) -> str:
    """Why the node can never give the pod what it asks for; empty if it can."""
    requests = pod_requests(pod.spec)
    for name in _COMPUTE:
        asked, there = requests.get(name), allocatable.get(name)
        if asked is not None and there is not None and asked > there:
            told = (asked.millis, there.millis) if name == "cpu" else (asked.value, there.value)
            return f"Node didn't have enough capacity: {name}, requested: {told[0]}, capacity: {told[1]}"
    return ""


def conditions(pod: Pod, seen: Seen) -> Iterator[Json]:
    """What the pod's status says of a resize that is wanted and not done."""
    containers = {each.name: each for each in (*pod.spec.containers, *pod.spec.init_containers)}
    open_ = [
        record.name
        for record in seen.running
        if record.name in containers and not is_applied(pod, containers[record.name], record)
    ]
    if not open_:
        return
    why = lacking(pod, seen.allocatable)
    if why:
        yield {"type": PENDING, "status": "True", "reason": "Infeasible", "message": why}
        return
    failures = [seen.resize_failures[name] for name in open_ if name in seen.resize_failures]
    more = {"reason": "Error", "message": failures[0]} if failures else {}
    yield {"type": IN_PROGRESS, "status": "True", **more}


def told(pod: Pod, container: Container, record: ContainerRecord, before: Json) -> Json:
    """What the container has, and what is set aside for it; as before, until what is wanted is there."""
    spec = {side: _texts(getattr(container.resources, side)) for side in ("requests", "limits")}
    now: Json = {side: amounts for side, amounts in spec.items() if amounts}
    if not now:
        return {}
    if record.is_running and not is_applied(pod, container, record) and before.get("resources"):
        return {key: before[key] for key in ("allocatedResources", "resources") if key in before}
    return {"resources": now} | ({"allocatedResources": now["requests"]} if "requests" in now else {})


def _texts(amounts: Mapping[str, Quantity]) -> dict[str, str]:
    return {name: str(amount) for name, amount in amounts.items()}
