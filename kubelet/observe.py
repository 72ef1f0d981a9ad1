"""Look at one pod: what the runtime shows, what its files say, what the kubelet remembers."""

from __future__ import annotations

import asyncio
from pathlib import Path

from kubelet.charge import Charge
from kubelet.runtime.base import ContainerRecord, LogRequest, RuntimeFailure, State
from kubelet.seen import Health, ImageReading, Seen, reported
from wherry.client import clock

# Kubernetes: MaxContainerTerminationMessageLength and MaxContainerTerminationMessageLogLength, in bytes and lines.
_MESSAGE_BYTES = 4096
_LOG_BYTES, _LOG_LINES = 2048, 80


async def observe(charge: Charge) -> Seen:
    """One look; raises RuntimeUnavailable when the engine is away."""
    inventory = await charge.host.runtime.inventory(charge.uid)
    for vanished in charge.health.keys() - {record.id for record in inventory.containers}:
        charge.forget_container(vanished)
    for record in inventory.containers:
        if record.is_running:
            _adopt(charge, record)
        elif record.state is State.EXITED:
            charge.forget_container(record.id)
            if record.id not in charge.messages:
                charge.messages[record.id] = await _termination_message(charge, record)
    return Seen(
        now=clock.now(),
        sandboxes=inventory.sandboxes,
        containers=inventory.containers,
        health=dict(charge.health),
        stopping=dict(charge.stopping),
        hooks=dict(charge.hooks),
        images=await _images(charge, inventory.containers),
        troubles=dict(charge.troubles),
        messages=dict(charge.messages),
        are_volumes_ready=charge.are_volumes_ready,
        failure=charge.failure,
        allocatable=charge.host.allocatable,
        resize_failures=dict(charge.resize_failures),
        is_pod_gone=charge.is_pod_gone,
    )


def _adopt(charge: Charge, record: ContainerRecord) -> None:
    """A running container has a health from the first look on, that of before if another kubelet left it to us."""
    container = charge.container(record.name)
    if record.id in charge.health or container is None:
        return
    known = reported(charge.pod, record.name)
    was_ours = known is not None and known.container_id == f"docker://{record.id}"
    is_started = container.startup_probe is None or bool(was_ours and known and known.started)
    is_ready = container.readiness_probe is None or bool(was_ours and known and known.ready)
    charge.health[record.id] = Health(is_started=is_started, is_ready=is_ready)


async def _images(charge: Charge, records: tuple[ContainerRecord, ...]) -> dict[str, ImageReading]:
    """The images of the containers that do not run: others need none now."""
    running = {record.name for record in records if record.is_running}
    readings: dict[str, ImageReading] = {}
    spec = charge.pod.spec
    for container in (*spec.init_containers, *spec.containers, *spec.ephemeral_containers):
        if container.name not in running:
            image = await charge.host.images.find(container.image)
            is_pulling = container.name in charge.pulling
            readings[container.name] = ImageReading(image, is_pulling, charge.pulled_for.get(container.name, -1))
    return readings


async def _termination_message(charge: Charge, record: ContainerRecord) -> str:
    container = charge.container(record.name)
    message = await asyncio.to_thread(_read, record.message_file) if record.message_file else ""
    policy = container.termination_message_policy if container else "File"
    if message or policy != "FallbackToLogsOnError" or record.exit_code == 0:
        return message
    try:
        pieces = charge.host.runtime.logs(record.id, LogRequest(tail=_LOG_LINES))
        output = b"".join([piece async for piece in pieces])
    except RuntimeFailure:
        return ""
    return output[-_LOG_BYTES:].decode(errors="replace")


def _read(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return file.read(_MESSAGE_BYTES).decode(errors="replace")
    except OSError:
        return ""
