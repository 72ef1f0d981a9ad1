"""The status a pod's node reports: pure, from the pod, what was seen, and what was reported before.

Kubernetes: generateAPIPodStatus, getPhase, convertToAPIContainerStatuses in kubelet_pods.go, and status/generate.go.
Differs: no user and volume details within container statuses.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kubelet.reporting.container_status import Json, container_status, ephemeral_status, is_complete
from kubelet.resources import resizing
from kubelet.resources.qos import qos_class
from kubelet.seen import Seen
from wherry.api.core.pod import Container, Pod
from wherry.api.meta import has_condition
from wherry.machinery.time import time_text

# The conditions this node owns; others (readiness gates, disruption) belong to those who set them.
OWN_CONDITIONS = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
TERMINAL = ("Succeeded", "Failed")


def status_of(pod: Pod, seen: Seen, before: Json, *, host_ip: str, has_ended: bool) -> Json:
    """The pod's status as JSON. `before` is the last one reported; `has_ended`: nothing will run here again."""
    inits = [
        container_status(pod, container, seen, before, has_ended=has_ended) for container in pod.spec.init_containers
    ]
    mains = [container_status(pod, container, seen, before, has_ended=has_ended) for container in pod.spec.containers]
    failure = seen.failure
    phase = _phase(pod, inits, mains, has_ended=has_ended)
    if failure is not None:
        phase = "Failed"
    if before.get("phase") in TERMINAL:
        phase = before["phase"]
    if phase in TERMINAL and not has_ended:
        # The end is not announced while something still runs.
        phase = before.get("phase") or "Pending"
    status: Json = {"phase": phase, "qosClass": qos_class(pod.spec), "observedGeneration": pod.metadata.generation}
    status |= {"reason": failure.reason, "message": failure.message} if failure else {}
    status |= {key: before[key] for key in ("reason", "message") if not failure and before.get(key)}
    status["startTime"] = before.get("startTime") or time_text(seen.now)
    status |= _addresses(pod, seen, before, host_ip)
    status |= {"initContainerStatuses": inits} if inits else {}
    status["containerStatuses"] = mains
    if pod.spec.ephemeral_containers:
        status["ephemeralContainerStatuses"] = [
            ephemeral_status(pod, container, seen, before, has_ended=has_ended)
            for container in pod.spec.ephemeral_containers
        ]
    status["conditions"] = _with_times(_conditions(pod, seen, phase, inits, mains), before, seen.now)
    return status


def _addresses(pod: Pod, seen: Seen, before: Json, host_ip: str) -> Json:
    addresses: Json = {"hostIP": host_ip, "hostIPs": [{"ip": host_ip}]}
    pod_ip = host_ip if pod.spec.host_network and seen.sandboxes else seen.sandbox.ip if seen.sandbox else ""
    pod_ip = pod_ip or (before.get("podIP") or "" if not seen.sandboxes else "")
    return addresses | ({"podIP": pod_ip, "podIPs": [{"ip": pod_ip}]} if pod_ip else {})


def _phase(pod: Pod, inits: list[Json], mains: list[Json], *, has_ended: bool) -> str:
    spec = pod.spec
    policy = "Never" if has_ended else spec.restart_policy
    plain = [status for container, status in zip(spec.init_containers, inits, strict=True) if not container.is_sidecar]
    sidecars = [status for container, status in zip(spec.init_containers, inits, strict=True) if container.is_sidecar]
    if policy == "Never" and any(_has_failed(status) for status in plain):
        return "Failed"
    running = sum("running" in status["state"] for status in mains)
    stopped = [ended for status in mains if (ended := _ended(status)) is not None]
    is_initializing = not all(_has_succeeded(status) for status in plain) or not all(
        status["started"] for status in sidecars
    )
    if is_initializing and not running and not stopped and not has_ended:
        return "Pending"
    if running + len(stopped) < len(mains):
        return "Failed" if has_ended else "Pending"
    if running or policy == "Always":
        return "Running"
    if all(ended["exitCode"] == 0 for ended in stopped):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def _ended(status: Json) -> Json | None:
    """The end of a container that does not run: its state, or for a waiting one what it did last."""
    state = status["state"]
    ended: Json | None = state.get("terminated")
    return status["lastState"].get("terminated") if ended is None and "waiting" in state else ended


def _has_failed(status: Json) -> bool:
    ended = _ended(status)
    return ended is not None and ended["exitCode"] != 0


def _has_succeeded(status: Json) -> bool:
    ended = status["state"].get("terminated")
    return ended is not None and ended["exitCode"] == 0


def _conditions(pod: Pod, seen: Seen, phase: str, inits: list[Json], mains: list[Json]) -> list[Json]:
    containers_ready = _containers_ready(pod, phase, inits, mains)
    conditions = [
        _condition("PodReadyToStartContainers", phase not in TERMINAL and seen.sandbox is not None),
        _initialized(pod, phase, inits),
        _ready(pod, phase, containers_ready),
        containers_ready,
        _condition("PodScheduled", True),
        *resizing.conditions(pod, seen),
    ]
    return [condition | {"observedGeneration": pod.metadata.generation} for condition in conditions]


def _condition(type: str, is_true: bool, reason: str = "", message: str = "") -> Json:
    condition: Json = {"type": type, "status": "True" if is_true else "False"}
    condition |= {"reason": reason} if reason else {}
    return condition | ({"message": message} if message else {})


def _initialized(pod: Pod, phase: str, inits: list[Json]) -> Json:
    if phase == "Succeeded":
        return _condition("Initialized", True, "PodCompleted")
    incomplete = [
        container.name
        for container, status in zip(pod.spec.init_containers, inits, strict=True)
        if not is_complete(container, status)
    ]
    if not incomplete:
        return _condition("Initialized", True)
    return _condition("Initialized", False, "ContainersNotInitialized", _listing("incomplete", incomplete))


def _containers_ready(pod: Pod, phase: str, inits: list[Json], mains: list[Json]) -> Json:
    if phase in TERMINAL:
        return _condition("ContainersReady", False, "PodCompleted" if phase == "Succeeded" else "PodFailed")
    pairs: Iterable[tuple[Container, Json]] = zip(pod.spec.containers, mains, strict=True)
    sidecars = [pair for pair in zip(pod.spec.init_containers, inits, strict=True) if pair[0].is_sidecar]
    unready = [container.name for container, status in (*sidecars, *pairs) if not status["ready"]]
    if not unready:
        return _condition("ContainersReady", True)
    return _condition("ContainersReady", False, "ContainersNotReady", _listing("unready", unready))


def _listing(what: str, names: list[str]) -> str:
    return f"containers with {what} status: [{' '.join(names)}]"


def _ready(pod: Pod, phase: str, containers_ready: Json) -> Json:
    if containers_ready["status"] != "True":
        return containers_ready | {"type": "Ready"}
    wanted = [gate.condition_type for gate in pod.spec.readiness_gates]
    missing = [type for type in wanted if not has_condition(pod.status.conditions, type)]
    if not missing:
        return _condition("Ready", True)
    known = {condition.type for condition in pod.status.conditions}
    texts = [
        f'the status of pod readiness gate "{type}" is not "True", but False'
        if type in known
        else f'corresponding condition of pod readiness gate "{type}" does not exist.'
        for type in missing
    ]
    return _condition("Ready", False, "ReadinessGatesNotReady", ", ".join(texts))


def _with_times(conditions: list[Json], before: Json, now: datetime) -> list[Json]:
    """Each condition with the time its status last changed."""
    old = {condition["type"]: condition for condition in before.get("conditions") or ()}
    timed = []
    for condition in conditions:
        known = old.get(condition["type"]) or {}
        is_same = known.get("status") == condition["status"] and known.get("lastTransitionTime")
        timed.append(condition | {"lastTransitionTime": known["lastTransitionTime"] if is_same else time_text(now)})
    return timed


def status_patch(pod_uid: str, before: Json, after: Json) -> dict[str, Any] | None:
    """The strategic merge patch from one status to the next; None when nothing changed.

    Conditions are merged by type, so that those of others stay; the uid keeps the patch from another pod of that name.
    """
    changes = {key: value for key, value in after.items() if before.get(key) != value}
    changes |= {key: None for key in ("reason", "message", "podIP", "podIPs") if before.get(key) and key not in after}
    if not changes:
        return None
    if "conditions" in changes:
        changes["conditions"] = _changed_conditions(before.get("conditions") or (), after["conditions"])
    for addresses in ("podIPs", "hostIPs"):
        if addresses in changes:
            changes[addresses] = [{"$patch": "replace"}, *(after.get(addresses) or ())]
    return {"metadata": {"uid": pod_uid}, "status": changes}


def _changed_conditions(before: Iterable[Json], after: list[Json]) -> list[Json]:
    """The conditions that changed; what they no longer say is taken out, which leaving it out would not do."""
    old = {condition["type"]: condition for condition in before}
    changed: list[Json] = []
    for condition in after:
        known = old.get(condition["type"], {})
        if condition != known:
            changed.append({key: None for key in ("reason", "message") if known.get(key)} | condition)
    reported = {condition["type"] for condition in after}
    over = (type for type in resizing.CONDITIONS if type in old and type not in reported)
    changed += ({"type": type, "$patch": "delete"} for type in over)
    return changed
