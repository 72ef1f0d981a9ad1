"""Act: each step of a plan, done. Answers whether something changed that is worth another look at once."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import singledispatch

import structlog

from kubelet.actions import Target, perform_hook
from kubelet.charge import Charge
from kubelet.cleanup import remove_pod_folder
from kubelet.images import SANDBOX_COMMAND
from kubelet.making import make_container
from kubelet.pulling import pull
from kubelet.recipe.container import sandbox_spec
from kubelet.recipe.network_files import hostname
from kubelet.runtime.base import ContainerRecord, RuntimeFailure, RuntimeUnavailable
from kubelet.seen import Failure, Stopping, Trouble
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
)
from kubelet.supplies.sub_paths import take_back
from wherry.api.core.pod import Pod
from wherry.client import clock
from wherry.machinery.errors import ApiError, Conflict, NotFound
from wherry.volumes import MountFailed

log = structlog.get_logger()

_RETRY_SECONDS = 2


@singledispatch
async def act(step: Step, charge: Charge) -> bool:
    """Do one step; raises what the runtime or the API server raises, for the worker to try again."""
    raise TypeError(f"{type(step).__name__} is no step")


def _hold_pod(charge: Charge, reason: str, message: str) -> None:
    charge.troubles[""] = Trouble("", message, clock.now() + timedelta(seconds=_RETRY_SECONDS))
    key = f"{reason} {message}"
    if key not in charge.told:
        charge.told.add(key)
        charge.tell(reason, message, "Warning")


@act.register
async def _(step: MountVolumes, charge: Charge) -> bool:
    try:
        await charge.volumes.mount()
    except (MountFailed, ApiError) as error:
        _hold_pod(charge, "FailedMount", str(error))
        return True
    charge.troubles.pop("", None)
    charge.are_volumes_ready = True
    return True


@act.register
async def _(step: CreateSandbox, charge: Charge) -> bool:
    settings = charge.host.settings
    pod = charge.pod
    name = hostname(pod)
    spec = sandbox_spec(pod, step.attempt, settings.sandbox_image, SANDBOX_COMMAND, settings.network, name)
    try:
        await charge.host.runtime.create_sandbox(spec)
    except RuntimeUnavailable:
        raise
    except RuntimeFailure as error:
        _hold_pod(charge, "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
        return True
    charge.troubles.pop("", None)
    return True


@act.register
async def _(step: PullImage, charge: Charge) -> bool:
    charge.pulling.add(step.container.name)
    charge.spawn(pull(charge, step.container, step.attempt))
    return False


@act.register
async def _(step: Start, charge: Charge) -> bool:
    return await make_container(charge, step)


@act.register
async def _(step: BeginStop, charge: Charge) -> bool:
    record = step.record
    known = charge.stopping.get(record.id)
    if known is not None:
        charge.stopping[record.id] = known._replace(grace_seconds=step.grace_seconds)
        return True
    container = charge.container(record.name)
    hook = container.lifecycle.pre_stop if container and container.lifecycle else None
    has_hook = hook is not None and step.grace_seconds > 0
    charge.stopping[record.id] = Stopping(clock.now(), step.grace_seconds, is_hook_done=not has_hook)
    charge.tell("Killing", step.why, container=record.name)
    log.info("stopping container", pod=charge.pod.key, container=record.name, grace_seconds=step.grace_seconds)
    if has_hook:
        charge.spawn(_pre_stop(charge, record, step.grace_seconds))
    return True


async def _pre_stop(charge: Charge, record: ContainerRecord, grace_seconds: float) -> None:
    container = charge.container(record.name)
    if container and container.lifecycle and container.lifecycle.pre_stop:
        sandboxes = (await charge.host.runtime.inventory(charge.uid)).sandboxes
        target = Target(charge.host.runtime, record.id, container, sandboxes[0].ip if sandboxes else "")
        outcome = await perform_hook(container.lifecycle.pre_stop, target, grace_seconds)
        if not outcome.is_success:
            charge.tell("FailedPreStopHook", f"PreStopHook failed: {outcome.message}", "Warning", container=record.name)
    stopping = charge.stopping.get(record.id)
    if stopping is not None:
        charge.stopping[record.id] = stopping._replace(is_hook_done=True)
        charge.wake()


@act.register
async def _(step: Resize, charge: Charge) -> bool:
    record = step.record
    try:
        await charge.host.runtime.resize(record.id, step.limits)
    except RuntimeUnavailable:
        raise
    except RuntimeFailure as error:
        if charge.resize_failures.get(record.name) != str(error):
            charge.tell("ResizeError", f"Error: {error}", "Warning", container=record.name)
        charge.resize_failures[record.name] = str(error)
        return False
    charge.resize_failures.pop(record.name, None)
    charge.tell("ResizeCompleted", f"Resized container {record.name}", container=record.name)
    return True


@act.register
async def _(step: Signal, charge: Charge) -> bool:
    await charge.host.runtime.signal(step.record.id, step.signal)
    stopping = charge.stopping.get(step.record.id)
    if stopping is not None and step.signal == "SIGKILL":
        charge.stopping[step.record.id] = stopping._replace(killed_at=clock.now())
    elif stopping is not None:
        charge.stopping[step.record.id] = stopping._replace(signalled_at=clock.now())
    return True


@act.register
async def _(step: Remove, charge: Charge) -> bool:
    await charge.host.runtime.remove(step.id)
    charge.forget_container(step.id)
    charge.messages.pop(step.id, None)
    return True


@act.register
async def _(step: Hold, charge: Charge) -> bool:
    charge.troubles[step.container] = Trouble(step.reason, step.message, clock.now() + timedelta(seconds=10))
    key = f"{step.container} {step.reason}"
    if key not in charge.told:
        charge.told.add(key)
        charge.tell("Failed", step.message, "Warning", container=step.container)
        charge.tell("Failed", f"Error: {step.reason}", "Warning", container=step.container)
    return True


@act.register
async def _(step: Tell, charge: Charge) -> bool:
    if step.key not in charge.told:
        charge.told.add(step.key)
        charge.tell(step.reason, step.message, step.type, container=step.container)
    return False


@act.register
async def _(step: Fail, charge: Charge) -> bool:
    charge.failure = Failure(step.reason, step.message)
    charge.tell(step.reason, step.message, "Normal" if step.reason == "DeadlineExceeded" else "Warning")
    return True


@act.register
async def _(step: ReleaseVolumes, charge: Charge) -> bool:
    if not charge.is_released:
        charge.host.gpus.release(charge.uid)
        charge.host.images.forget(charge.uid)
        await asyncio.to_thread(take_back, charge.sub_paths)
        await charge.volumes.release()
        charge.is_released = True
    return False


@act.register
async def _(step: ConfirmEnd, charge: Charge) -> bool:
    """The final status first: once the object is deleted nobody can read it any more."""
    if not charge.is_pod_gone:
        await charge.status.accepted()
    if charge.is_pod_gone or charge.pod.metadata.deleted_at is not None:
        await confirm_deletion(charge)
    charge.is_confirmed = True
    return True


async def confirm_deletion(charge: Charge) -> None:
    """Nothing of the pod is left here: its folder goes, and its object."""
    await asyncio.to_thread(remove_pod_folder, charge.folder)
    if charge.is_pod_gone:
        return
    metadata = charge.pod.metadata
    try:
        await charge.host.client.delete(Pod, metadata.name, metadata.namespace, uid=metadata.uid, grace_seconds=0)
    except (NotFound, Conflict):
        return  # gone already, or another pod has its name
