"""What `kubectl get pods` shows. Kubernetes: printers `printPod`."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

from wherry.api.core.pod.status import ContainerStatus, Terminated
from wherry.api.meta import find_condition, has_condition
from wherry.machinery.resource import Column
from wherry.machinery.table_cells import AGE, Since

if TYPE_CHECKING:
    from wherry.api.core.pod.resource import Pod

NODE_LOST = "NodeLost"


class Summary(NamedTuple):
    """A pod in one line."""

    ready: int
    total: int
    reason: str
    restarts: int
    restarted_at: datetime | None


class _Count:
    """Restarts added up, and the end of the latest run before one."""

    def __init__(self) -> None:
        self.restarts = 0
        self.last_at: datetime | None = None

    def add(self, status: ContainerStatus) -> None:
        self.restarts += status.restart_count
        ended = status.last_state.terminated
        if ended and ended.finished_at and (self.last_at is None or ended.finished_at > self.last_at):
            self.last_at = ended.finished_at


def summary(pod: Pod) -> Summary:
    """The pod's line, its containers taken together.

    While init containers run they speak for the pod; afterwards the first app container with something to say does.
    """
    sidecars = {container.name for container in pod.spec.init_containers if container.is_sidecar}
    total = len(pod.spec.containers) + len(sidecars)
    ready, initializing, count, sidecar_count = _initialization(pod, sidecars)
    reason = initializing or _first_reason(pod)
    if not initializing or has_condition(pod.status.conditions, "Initialized"):
        count = sidecar_count
        app_ready, reason = _app_containers(pod, reason, count)
        ready += app_ready
    return Summary(ready, total, _ending(pod, reason), count.restarts, count.last_at)


def _first_reason(pod: Pod) -> str:
    scheduled = find_condition(pod.status.conditions, "PodScheduled")
    if scheduled and scheduled.reason == "SchedulingGated":
        return "SchedulingGated"
    return pod.status.reason or pod.status.phase


def _initialization(pod: Pod, sidecars: set[str]) -> tuple[int, str, _Count, _Count]:
    """Ready sidecars, `Init:…` while initialization is not over, restarts of all and of sidecars alone."""
    ready, count, sidecar_count = 0, _Count(), _Count()
    for index, status in enumerate(pod.status.init_container_statuses):
        count.add(status)
        if status.name in sidecars:
            sidecar_count.add(status)
        ended, waiting = status.state.terminated, status.state.waiting
        if ended and ended.exit_code == 0:
            continue
        if status.name in sidecars and status.started:
            ready += status.ready
            continue
        if ended:
            return ready, f"Init:{_end_text(ended)}", count, sidecar_count
        if waiting and waiting.reason not in ("", "PodInitializing"):
            return ready, f"Init:{waiting.reason}", count, sidecar_count
        return ready, f"Init:{index}/{len(pod.spec.init_containers)}", count, sidecar_count
    return ready, "", count, sidecar_count


def _end_text(ended: Terminated) -> str:
    return ended.reason or (f"Signal:{ended.signal}" if ended.signal else f"ExitCode:{ended.exit_code}")


def _app_containers(pod: Pod, reason: str, count: _Count) -> tuple[int, str]:
    ready, is_running, error = 0, False, ""
    for status in reversed(pod.status.container_statuses):
        count.add(status)
        waiting, ended = status.state.waiting, status.state.terminated
        if waiting and waiting.reason:
            reason = waiting.reason
        elif ended:
            reason = _end_text(ended)
            error = reason if ended.exit_code else error
        elif status.ready and status.state.running:
            is_running = True
            ready += 1
    if reason == "Completed":
        if is_running and has_condition(pod.status.conditions, "Ready"):
            reason = "Running"
        elif error:
            reason = error
        elif is_running:
            reason = "NotReady"
    return ready, reason


def _ending(pod: Pod, reason: str) -> str:
    if pod.metadata.deleted_at is None:
        return reason
    if pod.status.reason == NODE_LOST:
        return "Unknown"
    return reason if pod.is_finished else "Terminating"


def _restarts(pod: Pod) -> str | Since:
    line = summary(pod)
    if not line.restarts or line.restarted_at is None:
        return str(line.restarts)
    return Since(line.restarted_at, shape=f"{line.restarts} ({{}} ago)")


def _ready(pod: Pod) -> str:
    line = summary(pod)
    return f"{line.ready}/{line.total}"


def _ip(pod: Pod) -> str:
    return (pod.status.pod_ips[0].ip if pod.status.pod_ips else "") or "<none>"


def _gates(pod: Pod) -> str:
    gates = pod.spec.readiness_gates
    true = sum(has_condition(pod.status.conditions, gate.condition_type) for gate in gates)
    return f"{true}/{len(gates)}" if gates else "<none>"


COLUMNS = (
    Column("Ready", _ready),
    Column("Status", lambda pod: summary(pod).reason),
    Column("Restarts", _restarts),
    AGE,
    Column("IP", _ip, priority=1),
    Column("Node", lambda pod: pod.spec.node_name or "<none>", priority=1),
    Column("Nominated Node", lambda pod: pod.status.nominated_node_name or "<none>", priority=1),
    Column("Readiness Gates", _gates, priority=1),
)


def finished_conditions(pod: Pod) -> list[dict[str, Any]]:
    """The row condition of a finished pod, by which clients hide it."""
    messages = {
        "Succeeded": "The pod has completed successfully.",
        "Failed": "The pod failed.",
    }
    phase = pod.status.phase
    if phase not in messages:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": messages[phase]}]
