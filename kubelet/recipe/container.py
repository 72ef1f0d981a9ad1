"""From a pod's container to the spec a runtime makes one of. Pure.

Kubernetes: generateContainerConfig, security_context.go. Differs: where a pod names no seccomp profile, the engine's
default applies instead of none; AppArmor and SELinux options are not read; a limit of ephemeral-storage is not
enforced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubelet.plan import spec_hash
from kubelet.recipe.environment import ConfigError, expand
from kubelet.resources.qos import limits_of
from kubelet.resources.sysctls import dotted
from kubelet.runtime.base import ContainerSpec, Image, Mount, PodKey, PortMapping, SandboxSpec, Security
from kubelet.steps import Start
from wherry.api.core.pod import Container, Pod
from wherry.api.resource.gpu import memory_asked

# The label by which NVIDIA's container runtime shows no device at all, whatever the image asks for.
_NO_GPU = "void"
# How many bytes of its card's memory a container may use; it is told so, and nothing keeps it to that.
GPU_MEMORY = "WHERRY_GPU_MEMORY_BYTES"


@dataclass(frozen=True, slots=True)
class Ingredients:
    """What was looked up for one container."""

    env: Mapping[str, str]
    mounts: tuple[Mount, ...]
    image: Image
    memory_bytes: int
    message_file: str = ""
    gpu_ids: tuple[str, ...] = ()
    # Cards that it may look at, whoever has them.
    watched_gpu_ids: tuple[str, ...] = ()
    seccomp: str = ""
    # The container whose processes this one is to see.
    target_id: str = ""


def pod_key(pod: Pod) -> PodKey:
    """Which pod a container belongs to."""
    return PodKey(pod.metadata.namespace, pod.metadata.name, pod.metadata.uid)


def sandbox_spec(
    pod: Pod, attempt: int, image: str, command: tuple[str, ...], network: str, hostname: str
) -> SandboxSpec:
    """The sandbox of a pod; host ports are its own, as the network is."""
    ports = tuple(
        PortMapping(port.host_port, port.container_port, port.protocol.lower(), port.host_ip)
        for container in (*pod.spec.containers, *pod.spec.init_containers)
        for port in container.ports
        if port.host_port and not pod.spec.host_network
    )
    return SandboxSpec(
        pod=pod_key(pod),
        attempt=attempt,
        image=image,
        command=command,
        hostname=hostname,
        network="host" if pod.spec.host_network else network,
        uses_host_ipc=pod.spec.host_ipc,
        uses_host_pid=pod.spec.host_pid,
        ports=ports,
        sysctls={dotted(sysctl.name): sysctl.value for sysctl in pod.spec.security_context.sysctls},
    )


def container_spec(pod: Pod, step: Start, found: Ingredients) -> ContainerSpec:
    """Everything a runtime must know; ConfigError if the pod asks for what cannot be."""
    container = step.container
    visible = ",".join((*found.gpu_ids, *found.watched_gpu_ids))
    env = {**found.env, "NVIDIA_VISIBLE_DEVICES": visible or _NO_GPU}
    if share := memory_asked(container):
        env[GPU_MEMORY] = str(share)
    lifecycle = container.lifecycle
    shares_pids = "sandbox" if pod.spec.share_process_namespace else ""
    return ContainerSpec(
        pod=pod_key(pod),
        name=container.name,
        attempt=step.attempt,
        sandbox_id=step.sandbox_id,
        image=container.image,
        command=tuple(expand(word, found.env) for word in container.command),
        args=tuple(expand(word, found.env) for word in container.args),
        env=tuple(env.items()),
        working_dir=container.working_dir,
        mounts=found.mounts,
        limits=limits_of(container, pod.spec, found.memory_bytes),
        security=security(pod, container, found.image, found.seccomp),
        pid_namespace="host" if pod.spec.host_pid else shares_pids or found.target_id,
        tty=container.tty,
        stdin=container.stdin,
        stdin_once=container.stdin_once,
        stop_signal=lifecycle.stop_signal if lifecycle else "",
        gpu_ids=found.gpu_ids,
        watched_gpu_ids=found.watched_gpu_ids,
        spec_hash=spec_hash(container),
        restart_delay_seconds=step.delay_seconds,
        message_file=found.message_file,
    )


def security(pod: Pod, container: Container, image: Image, seccomp: str) -> Security:
    """Who the processes are and what they may do; the container's settings win over the pod's."""
    own, of_pod = container.security_context, pod.spec.security_context
    user = of_pod.run_as_user if own.run_as_user is None else own.run_as_user
    group = of_pod.run_as_group if own.run_as_group is None else own.run_as_group
    must_not_be_root = of_pod.run_as_non_root if own.run_as_non_root is None else own.run_as_non_root
    if must_not_be_root:
        _check_not_root(pod, container, user, image.user)
    groups = (*of_pod.supplemental_groups, *(() if of_pod.fs_group is None else (of_pod.fs_group,)))
    name = image.user.partition(":")[0] if user is None else str(user)
    capabilities = own.capabilities
    return Security(
        user=f"{name or 0}:{group}" if group is not None else name if user is not None else "",
        groups=tuple(str(number) for number in dict.fromkeys(groups)),
        added_capabilities=capabilities.add if capabilities else (),
        dropped_capabilities=capabilities.drop if capabilities else (),
        is_privileged=own.privileged,
        is_root_read_only=own.read_only_root_filesystem,
        may_gain_privileges=own.allow_privilege_escalation is not False,
        seccomp=seccomp,
    )


def _check_not_root(pod: Pod, container: Container, user: int | None, image_user: str) -> None:
    name = image_user.partition(":")[0]
    where = f'(pod: "{pod.metadata.name}_{pod.metadata.namespace}({pod.metadata.uid})", container: {container.name})'
    if user is not None:
        if user == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
    elif name in ("", "0", "root"):
        raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
    elif not name.isdigit():
        problem = f"container has runAsNonRoot and image has non-numeric user ({name})"
        raise ConfigError(f"{problem}, cannot verify user is non-root {where}")
