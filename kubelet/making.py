"""Make one container: look up what it needs, create it, start it. Kubernetes: startContainer."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import structlog

from kubelet.actions import Target, perform_hook
from kubelet.charge import Charge
from kubelet.recipe.container import Ingredients, container_spec
from kubelet.recipe.environment import ConfigError, Sources, environment, expand_path, references
from kubelet.recipe.network_files import hostname, hosts_text, resolv_text
from kubelet.resources.gpus import NotEnough, StillInUse
from kubelet.runtime.base import Inventory, Missing, Mount, RuntimeFailure, RuntimeUnavailable
from kubelet.seen import Failure, Hook, Trouble
from kubelet.steps import Start
from kubelet.supplies.claims import NotPrepared, claimed_devices
from kubelet.supplies.sub_paths import LeadsOut, give_sub_path
from wherry.api.core.config_map import ConfigMap
from wherry.api.core.pod import Container
from wherry.api.core.pod.container import EphemeralContainer
from wherry.api.core.secret import Secret
from wherry.client import clock
from wherry.machinery.errors import ApiError
from wherry.volumes import volume_type

log = structlog.get_logger()

_RETRY_SECONDS = 10
_HOOK_SECONDS = 3600


async def make_container(charge: Charge, step: Start) -> bool:
    """Whether the container is there now; if not, it is in trouble and its pod's status says why."""
    container = step.container
    try:
        found = await _gather(charge, step)
        spec = container_spec(charge.pod, step, found)
    except NotEnough as error:
        charge.failure = Failure("UnexpectedAdmissionError", str(error))
        charge.tell("UnexpectedAdmissionError", str(error), "Warning")
        return True
    except (
        ConfigError,
        NotPrepared,
        StillInUse,
        ApiError,
        OSError,
        ValueError,
    ) as error:  # ValueError: a path with a NUL in it
        _trouble(charge, container, "CreateContainerConfigError", str(error))
        return True
    try:
        container_id = await charge.host.runtime.create_container(spec)
    except RuntimeUnavailable:
        raise
    except Missing:
        return True  # somebody removed the image since we looked: the next plan fetches it
    except RuntimeFailure as error:
        _trouble(charge, container, "CreateContainerError", str(error))
        return True
    charge.troubles.pop(container.name, None)
    if charge.pulled_for.get(container.name) != step.attempt:
        already = f'Container image "{container.image}" already present on machine'
        charge.tell("Pulled", already, container=container.name)
    charge.tell("Created", f"Created container: {container.name}", container=container.name)
    if container.lifecycle and container.lifecycle.post_start:
        charge.hooks[container_id] = Hook()
    await _start(charge, container, container_id)
    return True


async def _start(charge: Charge, container: Container, container_id: str) -> None:
    try:
        await charge.host.runtime.start(container_id)
    except RuntimeUnavailable:
        raise
    except RuntimeFailure as error:
        charge.tell("Failed", f"Error: {error}", "Warning", container=container.name)
        return
    charge.tell("Started", f"Started container {container.name}", container=container.name)
    log.info("started container", pod=charge.pod.key, container=container.name, id=container_id[:12])
    if container_id in charge.hooks:
        charge.spawn(_post_start(charge, container, container_id))


async def _post_start(charge: Charge, container: Container, container_id: str) -> None:
    action = container.lifecycle.post_start if container.lifecycle else None
    if action is None:
        return
    target = Target(charge.host.runtime, container_id, container, charge.volumes.pod_ip)
    outcome = await perform_hook(action, target, _HOOK_SECONDS)
    if container_id in charge.hooks:
        charge.hooks[container_id] = Hook(outcome.is_success, "" if outcome.is_success else outcome.message or "failed")
        if not outcome.is_success:
            why = f"PostStartHook failed: {outcome.message}"
            charge.tell("FailedPostStartHook", why, "Warning", container=container.name)
        charge.wake()


def _trouble(charge: Charge, container: Container, reason: str, message: str) -> None:
    charge.troubles[container.name] = Trouble(reason, message, clock.now() + timedelta(seconds=_RETRY_SECONDS))
    charge.tell("Failed", f"Error: {message}", "Warning", container=container.name)


async def _gather(charge: Charge, step: Start) -> Ingredients:
    pod, container, host = charge.pod, step.container, charge.host
    inventory = await host.runtime.inventory(charge.uid)
    sandbox = next(s for s in inventory.sandboxes if s.id == step.sandbox_id)
    charge.volumes.pod_ip = host.settings.address if pod.spec.host_network else sandbox.ip
    image = await host.images.find(container.image)
    if image is None:
        raise ConfigError(f"image {container.image} was removed")
    env = environment(pod, container, await _sources(charge, container))
    message_file = await asyncio.to_thread(_write_files, charge, step)
    mounts = (
        *await asyncio.to_thread(_volume_mounts, charge, container, env),
        *_own_mounts(charge, container, message_file),
    )
    claimed = await claimed_devices(host.client, host.gpus, pod, container)
    counted = (*host.gpus.allocate(pod, container, host.recorded()), *host.gpus.share(pod, container))
    return Ingredients(
        env=env,
        mounts=mounts,
        image=image,
        memory_bytes=host.memory_bytes,
        message_file=message_file,
        gpu_ids=(*counted, *claimed.own),
        watched_gpu_ids=claimed.watched,
        seccomp=await asyncio.to_thread(_seccomp, charge, container),
        target_id=_target_id(container, inventory),
    )


def _target_id(container: Container, inventory: Inventory) -> str:
    """The running container that an ephemeral one looks into."""
    name = container.target_container_name if isinstance(container, EphemeralContainer) else ""
    return next((record.id for record in inventory.containers if record.name == name and record.is_running), "")


async def _sources(charge: Charge, container: Container) -> Sources:
    pod, objects, namespace = charge.pod, charge.host.objects, charge.pod.metadata.namespace
    config_maps, secrets = references(pod, container)
    maps = {name: await objects.read(ConfigMap, namespace, name) for name in config_maps}
    hidden = {name: await objects.read(Secret, namespace, name) for name in secrets}
    return Sources(
        config_maps={name: found.data if found else None for name, found in maps.items()},
        secrets={name: _decoded(found) if found else None for name, found in hidden.items()},
        services=charge.host.services.list(),
        field=charge.volumes.field,
        resource=charge.volumes.resource,
    )


def _decoded(secret: Secret) -> dict[str, str]:
    return {key: base64.b64decode(value).decode(errors="replace") for key, value in secret.data.items()}


def _write_files(charge: Charge, step: Start) -> str:
    """The pod's network files, and an empty file for this container's last words; its path."""
    settings, folder = charge.host.settings, charge.folder
    texts = {
        "hosts": hosts_text(charge.pod, charge.volumes.pod_ip, settings.cluster_domain, _text("/etc/hosts")),
        "hostname": hostname(charge.pod) + "\n",
        "resolv.conf": resolv_text(
            charge.pod, settings.cluster_dns, settings.cluster_domain, _text("/etc/resolv.conf")
        ),
    }
    (folder / "etc").mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        # Written in place: containers that run already have this very file.
        (folder / "etc" / name).write_text(text)
        (folder / "etc" / name).chmod(0o644)
    message = folder / "messages" / step.container.name / str(step.attempt)
    message.parent.mkdir(parents=True, exist_ok=True)
    message.touch()
    message.chmod(0o666)
    return str(message)


def _text(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _own_mounts(charge: Charge, container: Container, message_file: str) -> tuple[Mount, ...]:
    taken = {mount.mount_path.rstrip("/") for mount in container.volume_mounts}
    files = ("hosts", "resolv.conf") if charge.pod.spec.host_network else ("hosts", "resolv.conf", "hostname")
    mounts = [Mount(str(charge.folder / "etc" / name), f"/etc/{name}") for name in files]
    mounts.append(Mount(message_file, container.termination_message_path or "/dev/termination-log"))
    return tuple(mount for mount in mounts if mount.target not in taken)


_PROPAGATION = {"": "rprivate", "None": "rprivate", "HostToContainer": "rslave", "Bidirectional": "rshared"}


def _volume_mounts(charge: Charge, container: Container, env: dict[str, str]) -> list[Mount]:
    mounts = []
    read_only = {volume.name for volume in charge.pod.spec.volumes if _is_read_only(*volume.source)}
    for index, mount in enumerate(container.volume_mounts):
        source = charge.volumes.source(mount.name)
        if sub_path := expand_path(mount.sub_path_expr, env) if mount.sub_path_expr else mount.sub_path:
            place = charge.sub_paths / container.name / str(index)
            source = _below(source, sub_path, place)
        is_read_only = mount.read_only or mount.name in read_only
        mounts.append(Mount(str(source), mount.mount_path, is_read_only, _PROPAGATION[mount.mount_propagation]))
    return mounts


def _is_read_only(key: str | None, source: Mapping[str, Any] | None) -> bool:
    return volume_type(key or "emptyDir").is_read_only or (source or {}).get("readOnly") is True


def _below(volume: Path, sub_path: str, place: Path) -> Path:
    try:
        return give_sub_path(volume, sub_path, place)
    except LeadsOut as error:
        raise ConfigError(str(error)) from error


def _seccomp(charge: Charge, container: Container) -> str:
    profile = container.security_context.seccomp_profile or charge.pod.spec.security_context.seccomp_profile
    if profile is None or profile.type == "RuntimeDefault":
        return ""
    if profile.type == "Unconfined":
        return "unconfined"
    path = charge.host.settings.data_dir / "seccomp" / profile.localhost_profile
    try:
        return path.read_text()
    except OSError as error:
        raise ConfigError(f"cannot load seccomp profile {path}: {error.strerror}") from error
