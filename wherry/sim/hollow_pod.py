"""The pods of a node without a machine: what they are said to do, and the status that says it. Pure.

A pod's fate is chosen by whoever runs the node, by default by an annotation of the pod's own.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Any

from wherry.api.core.pod import Pod
from wherry.machinery.time import time_text

Json = dict[str, Any]


FATE = "sim.wherry.dev/fate"
"""The annotation by which a pod chooses its own fate: a name of `Fate` in lower case, such as `no-image`."""
EXIT_CODE = "sim.wherry.dev/exit-code"
"""The annotation by which a pod chooses to end, and with which code: 0 to 255."""


class Fate(Enum):
    """What becomes of a pod."""

    READY = "ready"  # runs and is ready
    UNREADY = "unready"  # runs and never is ready
    NO_IMAGE = "no-image"  # waits for an image that does not exist
    SUCCEEDS = "succeeds"  # ends with exit code 0
    FAILS = "fails"  # ends with exit code 1, or the one it chose


Play = Callable[[Pod], Fate]
_PHASES = {Fate.NO_IMAGE: "Pending", Fate.SUCCEEDS: "Succeeded", Fate.FAILS: "Failed"}
_FATES = {fate.value: fate for fate in Fate}


def usual_fate(pod: Pod) -> Fate:
    """What the pod's annotation says; else it runs and is ready, or succeeds if it is meant to end."""
    code = exit_code(pod)
    if code is not None and FATE not in pod.metadata.annotations:
        return Fate.FAILS if code else Fate.SUCCEEDS
    runs_for_ever = pod.spec.restart_policy in ("", "Always")
    return _FATES.get(pod.metadata.annotations.get(FATE, ""), Fate.READY if runs_for_ever else Fate.SUCCEEDS)


def exit_code(pod: Pod) -> int | None:
    """The code that the pod chose to end with, if it did."""
    text = pod.metadata.annotations.get(EXIT_CODE, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 3 and int(text) <= 255 else None


def hollow_status(pod: Pod, fate: Fate, host_ip: str, pod_ip: str, now: datetime) -> Json:
    """The status, as JSON, that a kubelet would report."""
    at = time_text(now)
    status: Json = {
        "phase": _PHASES.get(fate, "Running"),
        "observedGeneration": pod.metadata.generation,
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "startTime": time_text(pod.status.start_time or now),
        "conditions": _conditions(pod, fate, at),
        "containerStatuses": [_container(pod, c.name, c.image, fate, at) for c in pod.spec.containers],
    }
    ended = [_container(pod, c.name, c.image, Fate.SUCCEEDS, at) for c in pod.spec.init_containers]
    status |= {"initContainerStatuses": ended} if ended else {}
    return status | {"podIP": pod_ip, "podIPs": [{"ip": pod_ip}]}


def _conditions(pod: Pod, fate: Fate, at: str) -> list[Json]:
    is_up = {
        "PodReadyToStartContainers": True,
        "Initialized": fate is not Fate.NO_IMAGE or not pod.spec.init_containers,
        "Ready": fate is Fate.READY,
        "ContainersReady": fate is Fate.READY,
        "PodScheduled": True,
    }
    unready = {"reason": "ContainersNotReady", "message": f"containers with unready status: [{_names(pod)}]"}
    if fate is Fate.SUCCEEDS:
        unready = {"reason": "PodCompleted"}
    # What others set (readiness gates, disruption) is theirs.
    others = [condition.to_wire() for condition in pod.status.conditions if condition.type not in is_up]
    since = {condition.type: condition for condition in pod.status.conditions}
    conditions = []
    for type, holds in is_up.items():
        before = since.get(type)
        same = before is not None and before.is_true is holds and before.last_transition_time is not None
        changed = time_text(before.last_transition_time) if same and before and before.last_transition_time else at
        condition = {"type": type, "status": str(holds), "lastTransitionTime": changed}
        conditions.append(condition | (unready if not holds else {}))
    return conditions + others


def _names(pod: Pod) -> str:
    return " ".join(container.name for container in pod.spec.containers)


def _container(pod: Pod, name: str, image: str, fate: Fate, at: str) -> Json:
    container_id = f"hollow://{pod.metadata.uid}/{name}"
    status: Json = {"name": name, "image": image, "imageID": "", "restartCount": 0, "ready": fate is Fate.READY}
    if fate is Fate.NO_IMAGE:
        message = f'Back-off pulling image "{image}"'
        state: Json = {"waiting": {"reason": "ImagePullBackOff", "message": message}}
        return {**status, "started": False, "state": state}
    if fate in (Fate.SUCCEEDS, Fate.FAILS):
        code, reason = (0, "Completed") if fate is Fate.SUCCEEDS else (exit_code(pod) or 1, "Error")
        ended = {"exitCode": code, "reason": reason, "startedAt": at, "finishedAt": at, "containerID": container_id}
        return {**status, "started": False, "state": {"terminated": ended}, "containerID": container_id}
    return {**status, "started": True, "state": {"running": {"startedAt": at}}, "containerID": container_id}
