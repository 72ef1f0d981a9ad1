"""What a pod needs next, from what the node shows of it: pure. One function for each state of `worker`.

Kubernetes: computePodActions in kuberuntime_manager.go and killContainer, without their clients and locks.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from kubelet.recipe.image_names import default_pull_policy, is_image_name
from kubelet.resources import resizing, sysctls
from kubelet.runtime.base import ContainerRecord, Sandbox, State
from kubelet.seen import (
    ImageReading,
    Seen,
    is_done_for_good,
    next_attempt,
    next_delay_seconds,
    reported,
    restart_at,
    should_restart,
)
from kubelet.steps import (
    BeginStop,
    ConfirmEnd,
    CreateSandbox,
    Fail,
    Hold,
    MountVolumes,
    PullImage,
    ReleaseVolumes,
    Remove,
    Resize,
    Signal,
    Start,
    Step,
    Tell,
    Wait,
)
from wherry.api.core.pod import Container, Pod

KILL_AGAIN_SECONDS = 10
# Kubernetes bounds no grace period. Nothing here outlives a century, and beyond it there are no dates to reckon with.
LONGEST_GRACE_SECONDS = 100 * 365 * 86400
# A pod that was deleted by force is gone from the API; nobody waits for it. Kubernetes: minimum grace period of 1 s.
GONE_GRACE_SECONDS = 1.0
# Dead containers kept per name, beside the newest: the one that `logs --previous` reads.
_KEPT_ATTEMPTS = 2


def sync(pod: Pod, seen: Seen) -> Iterator[Step]:
    """Bring the pod up and keep it up."""
    if seen.failure is not None:
        return  # rejected before anything began
    if why := sysctls.refusal(pod):
        yield Fail("SysctlForbidden", why)
        return
    yield from _deadline(pod, seen)
    if is_done_for_good(pod, seen):
        return
    if not seen.are_volumes_ready:
        yield from _unless_troubled("", seen, MountVolumes())
        return
    if seen.sandbox is None:
        yield from _replace_sandbox(pod, seen)
        return
    yield from _tidy(pod, seen)
    yield from _carry_on_stopping(seen)
    yield from _keep_containers(pod, seen, seen.sandbox)
    yield from _begin_ephemeral(pod, seen, seen.sandbox)


def wind_down(pod: Pod, seen: Seen) -> Iterator[Step]:
    """Stop every container: the main ones first, then the sidecars, the last started first."""
    grace = grace_seconds(pod, seen)
    sidecars = {
        container.name: place for place, container in enumerate(pod.spec.init_containers) if container.is_sidecar
    }
    running = [record for record in seen.running if record.name not in sidecars]
    if not running and seen.running:
        running = [max(seen.running, key=lambda record: sidecars[record.name])]
    for record in running:
        stopping = seen.stopping.get(record.id)
        if stopping is None or stopping.grace_seconds > grace:
            yield BeginStop(record, grace, f"Stopping container {record.name}")
    yield from _carry_on_stopping(seen)


def clean_up(pod: Pod, seen: Seen) -> Iterator[Step]:
    """Nothing runs any more: give everything back. What ended keeps its logs until the pod's object goes."""
    for sandbox in seen.sandboxes:
        yield Remove(sandbox.id)
    if seen.is_pod_gone or pod.metadata.deleted_at is not None:
        for record in seen.containers:
            yield Remove(record.id)
    yield ReleaseVolumes()
    yield ConfirmEnd()


def grace_seconds(pod: Pod, seen: Seen) -> float:
    """How long the containers of a pod that ends may take."""
    if seen.is_pod_gone:
        return GONE_GRACE_SECONDS
    asked = pod.metadata.deletion_grace_seconds
    return _bounded(pod.spec.termination_grace_period_seconds if asked is None else asked)


def _bounded(seconds: int) -> float:
    """Kubernetes takes a negative grace period for one second."""
    return float(min(seconds, LONGEST_GRACE_SECONDS)) if seconds >= 0 else 1.0


def _deadline(pod: Pod, seen: Seen) -> Iterator[Step]:
    limit, started_at = pod.spec.active_deadline_seconds, pod.status.start_time
    if limit is None or started_at is None:
        return
    ends_at = started_at + timedelta(seconds=limit)
    if seen.now >= ends_at:
        yield Fail("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
    else:
        yield Wait(ends_at)


def _replace_sandbox(pod: Pod, seen: Seen) -> Iterator[Step]:
    """Containers cannot outlive the sandbox whose network they use."""
    for record in seen.running:
        if record.id not in seen.stopping:
            why = f"Stopping container {record.name}: the pod's sandbox is gone"
            yield BeginStop(record, grace_seconds(pod, seen), why)
    yield from _carry_on_stopping(seen)
    if seen.running:
        return
    if seen.sandboxes:
        key, message = f"sandbox {seen.sandboxes[0].id}", "Pod sandbox changed, it will be killed and re-created."
        yield Tell(key, "SandboxChanged", message, type="Normal")
    for sandbox in seen.sandboxes:
        yield Remove(sandbox.id)
    attempt = seen.sandboxes[0].attempt + 1 if seen.sandboxes else _first_sandbox_attempt(seen)
    yield from _unless_troubled("", seen, CreateSandbox(attempt))


def _first_sandbox_attempt(seen: Seen) -> int:
    # Containers without any sandbox: someone removed it; the next must not share its name.
    return 1 if seen.containers else 0


def _unless_troubled(name: str, seen: Seen, step: Step) -> Iterator[Step]:
    trouble = seen.troubles.get(name)
    yield Wait(trouble.until) if trouble and trouble.until and trouble.until > seen.now else step


def _tidy(pod: Pod, seen: Seen) -> Iterator[Step]:
    """Remove older dead containers and sandboxes."""
    for sandbox in seen.sandboxes[1:]:
        yield Remove(sandbox.id)
    for name in {record.name for record in seen.containers}:
        for record in list(seen.attempts(name))[_KEPT_ATTEMPTS:]:
            if not record.is_running:
                yield Remove(record.id)


def _carry_on_stopping(seen: Seen) -> Iterator[Step]:
    for record in seen.running:
        stopping = seen.stopping.get(record.id)
        if stopping is None:
            continue
        again_at = stopping.killed_at and stopping.killed_at + timedelta(seconds=KILL_AGAIN_SECONDS)
        if again_at is not None and seen.now < again_at:
            yield Wait(again_at)
        elif stopping.signalled_at is None and stopping.grace_seconds > 0:
            is_late = seen.now >= stopping.kill_at
            yield (
                Signal(record, record.stop_signal or "SIGTERM")
                if stopping.is_hook_done or is_late
                else Wait(stopping.kill_at)
            )
        elif seen.now >= stopping.kill_at:
            yield Signal(record, "SIGKILL")
        else:
            yield Wait(stopping.kill_at)


def _keep_containers(pod: Pod, seen: Seen, sandbox: Sandbox) -> Iterator[Step]:
    """Init containers one after the other, sidecars beside them, then the main containers."""
    is_initialized = any(_here(seen, container.name, sandbox) for container in pod.spec.containers)
    for container in pod.spec.init_containers:
        record = _here(seen, container.name, sandbox)
        if container.is_sidecar:
            yield from _keep(pod, container, seen, sandbox)
            is_passed = record is not None and seen.is_started(record)
        else:
            is_passed = record is not None and record.state is State.EXITED and record.exit_code == 0
            if not is_passed and not is_initialized:
                yield from _keep(pod, container, seen, sandbox)
        if not is_passed and not is_initialized:
            return
    for container in pod.spec.containers:
        yield from _keep(pod, container, seen, sandbox)


def _begin_ephemeral(pod: Pod, seen: Seen, sandbox: Sandbox) -> Iterator[Step]:
    """Ephemeral containers start once, whatever the others do, and wait only for the one that they look into."""
    for container in pod.spec.ephemeral_containers:
        latest, known = seen.latest(container.name), reported(pod, container.name)
        if latest is not None and latest.state is State.CREATED and latest.sandbox_id == sandbox.id:
            yield Remove(latest.id)
        elif latest is not None or (known is not None and known.container_id):
            continue
        target = seen.latest(container.target_container_name) if container.target_container_name else None
        if not container.target_container_name or (target is not None and target.is_running):
            yield from _launch(container, 0, 0, seen, sandbox)


def _here(seen: Seen, name: str, sandbox: Sandbox) -> ContainerRecord | None:
    latest = seen.latest(name)
    return latest if latest is not None and latest.sandbox_id == sandbox.id else None


def _keep(pod: Pod, container: Container, seen: Seen, sandbox: Sandbox) -> Iterator[Step]:
    """Start the container, start it again, stop it because it is ill, or leave it alone."""
    latest, here = seen.latest(container.name), _here(seen, container.name, sandbox)
    if here is not None and here.is_running:
        yield from _stop_if_ill(pod, container, here, seen)
        yield from _resize(pod, container, here, seen)
        return
    if here is not None and here.state is State.CREATED:
        # A start that never happened: its answer was lost, or the kubelet died in between.
        yield Remove(here.id)
        yield from _launch(container, here.attempt, here.restart_delay_seconds, seen, sandbox)
        return
    delay = 0
    if latest is not None and latest.state is State.EXITED:
        # Under a new sandbox, initialisation runs again; what the pod's policy has done with is left alone.
        runs_again = here is None and container in pod.spec.init_containers
        if not runs_again and not should_restart(pod, container.name, latest):
            return
        if restart_at(latest) > seen.now:
            yield _back_off_event(pod, latest)
            yield Wait(restart_at(latest))
            return
        delay = next_delay_seconds(latest)
    yield from _launch(container, next_attempt(pod, seen, container.name), delay, seen, sandbox)


def _back_off_event(pod: Pod, record: ContainerRecord) -> Tell:
    return Tell(f"back-off {record.id}", "BackOff", back_off_message(pod, record, short=True), record.name)


def back_off_message(pod: Pod, record: ContainerRecord, *, short: bool = False) -> str:
    """Kubernetes' words for a container that is not restarted yet; the event does not say how long."""
    where = f"failed container={record.name} in pod={pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})"
    if short:
        return f"Back-off restarting failed container {record.name} in pod {where.split('pod=')[1]}"
    seconds = record.restart_delay_seconds
    length = f"{seconds // 60}m{seconds % 60}s" if seconds >= 60 else f"{seconds}s"
    return f"back-off {length} restarting {where.replace(' in pod=', ' pod=')}"


def _stop_if_ill(pod: Pod, container: Container, record: ContainerRecord, seen: Seen) -> Iterator[Step]:
    if record.id in seen.stopping:
        return
    grace = _bounded(pod.spec.termination_grace_period_seconds)
    hook, health = seen.hooks.get(record.id), seen.health.get(record.id)
    if record.spec_hash and record.spec_hash != spec_hash(container):
        yield BeginStop(record, grace, f"Container {record.name} definition changed, will be restarted")
    elif hook is not None and hook.failure:
        yield BeginStop(record, grace, "FailedPostStartHook")
    elif health is not None and not health.is_live:
        probe = container.liveness_probe if health.is_started else container.startup_probe
        own = probe.termination_grace_period_seconds if probe else None
        kind = "liveness" if health.is_started else "startup"
        why = f"Container {record.name} failed {kind} probe, will be restarted"
        yield BeginStop(record, grace if own is None else _bounded(own), why)


def _resize(pod: Pod, container: Container, record: ContainerRecord, seen: Seen) -> Iterator[Step]:
    """Give the container what it should have now, unless the node never could."""
    is_open = record.id not in seen.stopping and not resizing.is_applied(pod, container, record)
    if not is_open or resizing.lacking(pod, seen.allocatable):
        return
    if resizing.needs_restart(pod, container, record):
        grace = _bounded(pod.spec.termination_grace_period_seconds)
        yield BeginStop(record, grace, f"Container {container.name} resize requires restart")
    else:
        yield Resize(record, resizing.wanted(pod, container))


def spec_hash(container: Container) -> str:
    """What about a container cannot change while it runs: its name and image. Kubernetes: HashContainer since 1.31."""
    return f"{container.name}={container.image}"


def _launch(container: Container, attempt: int, delay: int, seen: Seen, sandbox: Sandbox) -> Iterator[Step]:
    trouble = seen.troubles.get(container.name)
    if trouble and trouble.until and trouble.until > seen.now:
        yield Wait(trouble.until)
        return
    reading = seen.images.get(container.name, ImageReading())
    if reading.is_pulling:
        return
    if not is_image_name(container.image):
        problem = f'Failed to apply default image tag "{container.image}": couldn\'t parse image name'
        yield Hold(container.name, "InvalidImageName", f"{problem}: invalid reference format")
    elif _must_pull(container, attempt, reading):
        yield PullImage(container, attempt)
    elif reading.image is None:
        message = f'Container image "{container.image}" is not present with pull policy of Never'
        yield Hold(container.name, "ErrImageNeverPull", message)
    else:
        yield Start(container, attempt, sandbox.id, delay)


def _must_pull(container: Container, attempt: int, reading: ImageReading) -> bool:
    policy = container.image_pull_policy or default_pull_policy(container.image)
    if policy == "Always":
        return reading.pulled_for != attempt
    return policy == "IfNotPresent" and reading.image is None
