"""The status of one container: waiting, running or terminated, and what it was before. Pure."""

from __future__ import annotations

from typing import Any

from kubelet.plan import back_off_message
from kubelet.resources import resizing
from kubelet.runtime.base import ContainerRecord, State
from kubelet.seen import CONTAINER_STATUSES, Seen, is_done_for_good, restart_at, should_restart
from wherry.api.core.pod import Container, Pod
from wherry.machinery.time import time_text

Json = dict[str, Any]

# What is reported of a container that ran and that the engine no longer knows. Kubernetes: ContainerStatusUnknown.
_LOST_EXIT_CODE = 137
_LOST_MESSAGE = "The container could not be located when the pod was terminated"


def container_status(pod: Pod, container: Container, seen: Seen, before: Json, *, has_ended: bool) -> Json:
    """One entry of `containerStatuses` or `initContainerStatuses`."""
    known = _known(container.name, before)
    attempts = list(seen.attempts(container.name))
    latest = attempts[0] if attempts else None
    if latest is None or latest.state is State.CREATED:
        previous = attempts[1] if len(attempts) > 1 else None
        return _not_there(pod, container, seen, known, previous, has_ended=has_ended)
    status = _base(container, latest, seen)
    older = next((record for record in attempts[1:] if record.state is State.EXITED), None)
    last = {"terminated": _terminated(older, seen)} if older else known.get("lastState") or {}
    if latest.is_running:
        state: Json = {"running": {"startedAt": time_text(latest.started_at or latest.created_at)}}
    elif waiting := _waiting_after_end(pod, container, latest, seen, has_ended=has_ended):
        state, last = {"waiting": waiting}, {"terminated": _terminated(latest, seen)}
    else:
        state = {"terminated": _terminated(latest, seen)}
    started = seen.is_started(latest)
    return (
        status
        | resizing.told(pod, container, latest, known)
        | {
            "state": state,
            "lastState": last,
            "started": started,
            "ready": _is_ready(pod, container, latest, seen),
        }
    )


def ephemeral_status(pod: Pod, container: Container, seen: Seen, before: Json, *, has_ended: bool) -> Json:
    """One entry of `ephemeralContainerStatuses`: who only looks on is never ready, and never waited for."""
    status = container_status(pod, container, seen, before, has_ended=has_ended)
    return {key: value for key, value in status.items() if key != "started"} | {"ready": False}


def is_complete(container: Container, status: Json) -> bool:
    """Whether an init container no longer keeps the others from starting."""
    if container.is_sidecar:
        return bool(status["started"])
    ended = status["state"].get("terminated")
    return ended is not None and ended["exitCode"] == 0


def _known(name: str, before: Json) -> Json:
    statuses = (each for kind in CONTAINER_STATUSES for each in before.get(kind) or ())
    known: Json = next((status for status in statuses if status["name"] == name), {})
    # After a start of the kubelet this is what a view shows, which leaves out an exit code of 0.
    ends = {key: _with_exit_code(known[key]) for key in ("state", "lastState") if known.get(key)}
    return {**known, **ends}


def _with_exit_code(state: Json) -> Json:
    ended = state.get("terminated")
    return state if ended is None else {**state, "terminated": {"exitCode": 0, **ended}}


def _base(container: Container, record: ContainerRecord, seen: Seen) -> Json:
    image = seen.images[container.name].image if container.name in seen.images else None
    image_id = f"docker-pullable://{image.digests[0]}" if image and image.digests else f"docker://{record.image_id}"
    return {
        "name": container.name,
        "image": record.image or container.image,
        "imageID": image_id,
        "containerID": f"docker://{record.id}",
        "restartCount": record.attempt,
    }


def _is_ready(pod: Pod, container: Container, record: ContainerRecord, seen: Seen) -> bool:
    if container in pod.spec.init_containers and not container.is_sidecar:
        return record.state is State.EXITED and record.exit_code == 0
    health = seen.health.get(record.id)
    is_ready = health.is_ready if health is not None else container.readiness_probe is None
    return seen.is_started(record) and is_ready and record.id not in seen.stopping


def _not_there(
    pod: Pod, container: Container, seen: Seen, known: Json, previous: ContainerRecord | None, *, has_ended: bool
) -> Json:
    """The engine has no such container: not yet, or not any more."""
    status: Json = {"name": container.name, "image": container.image, "imageID": "", "restartCount": 0}
    status |= {"ready": False, "started": False, "lastState": {}}
    old_state = known.get("state") or {}
    if known.get("containerID"):
        status |= {key: known[key] for key in ("image", "imageID", "containerID", "restartCount") if key in known}
        if "terminated" in old_state:
            status |= {"state": old_state, "lastState": known.get("lastState") or {}}
            is_init = container in pod.spec.init_containers and not container.is_sidecar
            return status | {"ready": is_init and old_state["terminated"]["exitCode"] == 0}
        if has_ended:
            lost = {"exitCode": _LOST_EXIT_CODE, "reason": "ContainerStatusUnknown", "message": _LOST_MESSAGE}
            lost |= {"startedAt": None, "finishedAt": None, "containerID": known["containerID"]}
            return status | {"state": {"terminated": lost}, "lastState": known.get("lastState") or {}}
        status["lastState"] = known.get("lastState") or {}
    if previous is not None:
        status |= {"lastState": {"terminated": _terminated(previous, seen)}, "restartCount": previous.attempt}
    return status | {"state": {"waiting": _waiting(pod, container, seen)}}


def _waiting(pod: Pod, container: Container, seen: Seen) -> Json:
    trouble = seen.troubles.get(container.name)
    if trouble is not None and trouble.reason:
        return {"reason": trouble.reason, "message": trouble.message}
    # Init containers too wait for the pod's initialization: Kubernetes goes by the pod, not by the container.
    return {"reason": "PodInitializing" if pod.spec.init_containers else "ContainerCreating"}


def _waiting_after_end(
    pod: Pod, container: Container, record: ContainerRecord, seen: Seen, *, has_ended: bool
) -> Json | None:
    if has_ended or seen.failure or is_done_for_good(pod, seen) or pod.metadata.deleted_at is not None:
        return None
    if not should_restart(pod, container.name, record):
        return None
    trouble = seen.troubles.get(container.name)
    if trouble is not None and trouble.reason:
        return {"reason": trouble.reason, "message": trouble.message}
    # Also while it is being started again: only a container that starts at once shows how it ended.
    if restart_at(record) > (record.finished_at or record.created_at):
        return {"reason": "CrashLoopBackOff", "message": back_off_message(pod, record)}
    return None


def _terminated(record: ContainerRecord, seen: Seen) -> Json:
    ended: Json = {
        "exitCode": record.exit_code,
        "reason": _end_reason(record),
        "startedAt": time_text(record.started_at or record.created_at),
        "finishedAt": time_text(record.finished_at or record.created_at),
        "containerID": f"docker://{record.id}",
    }
    message = record.error or seen.messages.get(record.id, "")
    return ended | ({"message": message} if message else {})


def _end_reason(record: ContainerRecord) -> str:
    if record.error:
        return "StartError"
    if record.is_oom_killed:
        return "OOMKilled"
    return "Completed" if record.exit_code == 0 else "Error"
