"""Seen: one pod as its node shows it at one moment. `plan` and `status` read nothing else beside the pod itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from kubelet.runtime.base import ContainerRecord, Image, Sandbox, State
from wherry.api.core.pod import ContainerStatus, Pod
from wherry.machinery.quantity import Quantity

# Kubernetes: the kubelet's MaxContainerBackOff, its base and the good run after which the past is forgotten.
FIRST_DELAY_SECONDS = 10
LONGEST_DELAY_SECONDS = 300
GOOD_RUN_SECONDS = 600
# Where a pod's status tells of its containers.
CONTAINER_STATUSES = ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")


class Trouble(NamedTuple):
    """Why a container, or the whole pod, waits; nothing is tried again before `until`."""

    reason: str
    message: str
    until: datetime | None = None


class Failure(NamedTuple):
    """Why the pod as a whole is given up."""

    reason: str
    message: str


class Stopping(NamedTuple):
    """A container that is being stopped: its hook first, then its signal, then, when time is up, SIGKILL."""

    begun_at: datetime
    grace_seconds: float
    is_hook_done: bool = True
    signalled_at: datetime | None = None
    killed_at: datetime | None = None

    @property
    def kill_at(self) -> datetime:
        """When patience ends; a signal that came late, after a slow hook, still gets two seconds."""
        end = self.begun_at + timedelta(seconds=self.grace_seconds)
        if self.signalled_at is None or self.grace_seconds == 0:
            return end
        return max(end, min(self.signalled_at, end) + timedelta(seconds=min(2, self.grace_seconds)))


class Hook(NamedTuple):
    """A post-start hook of a container."""

    is_done: bool = False
    failure: str = ""


class Health(NamedTuple):
    """What the probes of a running container say, thresholds applied."""

    is_started: bool = True
    is_live: bool = True
    is_ready: bool = True
    complaint: str = ""


class ImageReading(NamedTuple):
    """An image as one container needs it. `pulled_for` is the last attempt it was fetched for."""

    image: Image | None = None
    is_pulling: bool = False
    pulled_for: int = -1


@dataclass(frozen=True, slots=True)
class Seen:
    """One observation. Sandboxes and containers are newest first; `troubles[""]` is the pod's own."""

    now: datetime
    sandboxes: tuple[Sandbox, ...] = ()
    containers: tuple[ContainerRecord, ...] = ()
    health: Mapping[str, Health] = field(default_factory=dict)
    stopping: Mapping[str, Stopping] = field(default_factory=dict)
    hooks: Mapping[str, Hook] = field(default_factory=dict)
    images: Mapping[str, ImageReading] = field(default_factory=dict)
    troubles: Mapping[str, Trouble] = field(default_factory=dict)
    messages: Mapping[str, str] = field(default_factory=dict)
    are_volumes_ready: bool = False
    failure: Failure | None = None
    # What the node can give at all, and why the engine refused to give it, by container.
    allocatable: Mapping[str, Quantity] = field(default_factory=dict)
    resize_failures: Mapping[str, str] = field(default_factory=dict)
    is_pod_gone: bool = False

    @property
    def sandbox(self) -> Sandbox | None:
        """The sandbox that runs, if one does."""
        newest = self.sandboxes[0] if self.sandboxes else None
        return newest if newest and newest.state is State.RUNNING else None

    def attempts(self, name: str) -> Iterator[ContainerRecord]:
        """Every container of that name, newest first."""
        return (record for record in self.containers if record.name == name)

    def latest(self, name: str) -> ContainerRecord | None:
        """The newest container of that name, in whichever sandbox."""
        return next(self.attempts(name), None)

    @property
    def running(self) -> tuple[ContainerRecord, ...]:
        """Every container that runs."""
        return tuple(record for record in self.containers if record.is_running)

    def is_started(self, record: ContainerRecord) -> bool:
        """Running, its post-start hook done and its start-up probe content."""
        hook, health = self.hooks.get(record.id), self.health.get(record.id)
        return record.is_running and (hook is None or hook.is_done) and (health is None or health.is_started)


def restart_at(record: ContainerRecord) -> datetime:
    """When an ended container may be started again."""
    ended_at = record.finished_at or record.created_at
    return ended_at if _had_a_good_run(record) else ended_at + timedelta(seconds=record.restart_delay_seconds)


def next_delay_seconds(record: ContainerRecord) -> int:
    """The delay that will follow the end of the next attempt: 0 for the first, then 10 s doubling to 300 s."""
    if record.restart_delay_seconds == 0 or _had_a_good_run(record):
        return FIRST_DELAY_SECONDS
    return min(LONGEST_DELAY_SECONDS, 2 * record.restart_delay_seconds)


def _had_a_good_run(record: ContainerRecord) -> bool:
    if record.started_at is None or record.finished_at is None:
        return False
    return record.finished_at - record.started_at >= timedelta(seconds=GOOD_RUN_SECONDS)


def should_restart(pod: Pod, name: str, record: ContainerRecord) -> bool:
    """Whether an ended container is wanted again: sidecars always are, init containers when they failed.

    Ephemeral ones run once.
    """
    policy = pod.spec.restart_policy
    if any(container.name == name for container in pod.spec.ephemeral_containers):
        return False
    init = next((container for container in pod.spec.init_containers if container.name == name), None)
    if init is not None and init.is_sidecar:
        return True
    is_wanted_after_success = policy == "Always" and init is None
    return is_wanted_after_success or (policy != "Never" and record.exit_code != 0)


def is_done_for_good(pod: Pod, seen: Seen) -> bool:
    """Every container has ended and none will be started again; or initialisation failed for good."""
    for init in pod.spec.init_containers:
        record = seen.latest(init.name)
        if (
            record
            and record.state is State.EXITED
            and record.exit_code != 0
            and not should_restart(pod, init.name, record)
        ):
            return True
    if pod.spec.restart_policy == "Never" and seen.sandboxes and seen.sandbox is None and seen.containers:
        return not seen.running  # its sandbox died, and it may not have another
    ended = [seen.latest(container.name) for container in pod.spec.containers]
    return bool(ended) and all(
        record is not None and record.state is State.EXITED and not should_restart(pod, record.name, record)
        for record in ended
    )


def reported(pod: Pod, name: str) -> ContainerStatus | None:
    """What the API server knows of a container."""
    known = (
        *pod.status.init_container_statuses,
        *pod.status.container_statuses,
        *pod.status.ephemeral_container_statuses,
    )
    return next((status for status in known if status.name == name), None)


def next_attempt(pod: Pod, seen: Seen, name: str) -> int:
    """The number of the next container of that name; counts on from what the API server knows if the engine forgot."""
    latest = seen.latest(name)
    if latest is not None:
        return latest.attempt + 1
    known = reported(pod, name)
    return known.restart_count + 1 if known and (known.container_id or known.last_state.terminated) else 0
