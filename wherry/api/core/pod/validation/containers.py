"""Containers: the rules they share, and those of plain, init and ephemeral ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from wherry.api.core.pod.container import Container, ContainerPort, EphemeralContainer, VolumeDevice, VolumeMount
from wherry.api.core.pod.spec import PodSpec
from wherry.api.core.pod.validation.environment import check_variable, check_variables_from
from wherry.api.core.pod.validation.paths import check_descending
from wherry.api.core.pod.validation.probes import check_probes_and_hooks
from wherry.api.core.pod.validation.security import check_container_security
from wherry.api.core.resource_rules import check_requests_and_limits
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, duplicate, forbidden, invalid, not_found, not_supported, required
from wherry.machinery.validation import each, in_range, one_of, required_name, under

PROTOCOLS = ("SCTP", "TCP", "UDP")
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
RECURSIVE_READ_ONLY = ("Disabled", "Enabled", "IfPossible")
_NOT_FOR_INIT = "may not be set for init containers without restartPolicy=Always"
_NOT_FOR_EPHEMERAL = "cannot be set for an Ephemeral Container"


class Surroundings(NamedTuple):
    """What the rules of a container need to know of its pod. `volumes`: name to the kind of its source."""

    volumes: Mapping[str, str]
    claims: frozenset[str]
    restart_policy: str
    grace_seconds: int
    has_host_users: bool

    @classmethod
    def of(cls, spec: PodSpec) -> Surroundings:
        """The surroundings in this pod."""
        volumes = {volume.name: volume.source[0] for volume in spec.volumes}
        claims = frozenset(claim.name for claim in spec.resource_claims)
        grace = spec.termination_grace_period_seconds
        return cls(volumes, claims, spec.restart_policy, grace, spec.host_users is not False)


def check_all_containers(spec: PodSpec) -> Iterator[FieldError]:
    """All three lists of the pod; paths begin at its spec."""
    around = Surroundings.of(spec)
    yield from under("containers", _check_containers(spec.containers, around))
    if spec.init_containers:
        yield from under("initContainers", _check_init_containers(spec, around))
    if spec.ephemeral_containers:
        yield from under("ephemeralContainers", _check_ephemeral_containers(spec, around))


def _check_containers(containers: tuple[Container, ...], around: Surroundings) -> Iterator[FieldError]:
    if not containers:
        yield required("")
    seen: set[str] = set()
    for index, container in enumerate(containers):
        path = f"[{index}]"
        yield from under(path, _check_container(container, around))
        if container.name in seen:
            yield duplicate(f"{path}.name", container.name)
        seen.add(container.name)
        yield from under(path, check_probes_and_hooks(container, around.grace_seconds))
        if container.restart_policy:
            yield forbidden(f"{path}.restartPolicy", "may not be set for non-init containers")
    yield from _check_host_ports(enumerate(containers))


def _check_init_containers(spec: PodSpec, around: Surroundings) -> Iterator[FieldError]:
    seen = {container.name for container in spec.containers}
    for index, container in enumerate(spec.init_containers):
        path = f"[{index}]"
        yield from under(path, _check_container(container, around))
        if container.name in seen:
            yield duplicate(f"{path}.name", container.name)
        seen.add(container.name)
        if container.restart_policy not in ("", "Always"):
            yield not_supported(f"{path}.restartPolicy", container.restart_policy, ("Always",))
        # One after the other, init containers may use the same port of the host.
        yield from _check_host_ports([(index, container)])
        if container.is_sidecar:
            yield from under(path, check_probes_and_hooks(container, around.grace_seconds))
            continue
        for field in ("lifecycle", "livenessProbe", "readinessProbe", "startupProbe"):
            if field in container.to_wire():
                yield forbidden(f"{path}.{field}", _NOT_FOR_INIT)


def _check_ephemeral_containers(spec: PodSpec, around: Surroundings) -> Iterator[FieldError]:
    others = {container.name for container in (*spec.containers, *spec.init_containers)}
    seen = set(others)
    for index, container in enumerate(spec.ephemeral_containers):
        path = f"[{index}]"
        yield from under(path, _check_container(container, around))
        yield from under(path, check_image_of_pod(container))
        if container.name in seen:
            yield duplicate(f"{path}.name", container.name)
        seen.add(container.name)
        target = container.target_container_name
        if target and target not in others:
            yield not_found(f"{path}.targetContainerName", target)
        yield from under(path, _check_only_for_debugging(container))


def _check_only_for_debugging(container: EphemeralContainer) -> Iterator[FieldError]:
    given = container.to_wire()
    for field in ("ports", "resources", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle"):
        if given.get(field):
            yield forbidden(field, _NOT_FOR_EPHEMERAL)
    for index, mount in enumerate(container.volume_mounts):
        if mount.sub_path:
            yield forbidden(f"volumeMounts[{index}].subPath", _NOT_FOR_EPHEMERAL)
        if mount.sub_path_expr:
            yield forbidden(f"volumeMounts[{index}].subPathExpr", _NOT_FOR_EPHEMERAL)


def check_image_of_pod(container: Container) -> Iterator[FieldError]:
    """In a pod (a template may hold placeholders) the image is a clean reference."""
    if container.image != container.image.strip():
        yield invalid("image", container.image, "must not have leading or trailing whitespace")


def _check_container(container: Container, around: Surroundings) -> Iterator[FieldError]:
    yield from required_name("name", container.name, names.dns1123_label)
    if not container.image:
        yield required("image")
    yield from one_of("terminationMessagePolicy", container.termination_message_policy, MESSAGE_POLICIES)
    yield from under("ports", _check_ports(container.ports))
    yield from each("env", container.env, check_variable)
    yield from check_variables_from("envFrom", container.env_from)
    yield from under("volumeMounts", _check_mounts(container, around.volumes))
    yield from under("volumeDevices", _check_devices(container, around.volumes))
    yield from one_of("imagePullPolicy", container.image_pull_policy, PULL_POLICIES)
    resources = container.resources
    if resources.requests or resources.limits:
        yield from under("resources", check_requests_and_limits(resources.requests, resources.limits))
    yield from under("resources.claims", _check_claims(container, around.claims))
    yield from _check_resize_policy(container, around.restart_policy)
    if container.restart_policy_rules:
        yield forbidden("restartPolicyRules", "containers follow the restart policy of their pod")
    yield from under("securityContext", check_container_security(container.security_context, around.has_host_users))


def _check_ports(ports: Iterable[ContainerPort]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, port in enumerate(ports):
        path = f"[{index}]"
        if port.name:
            problems = names.port_name(port.name)
            yield from (invalid(f"{path}.name", port.name, problem) for problem in problems)
            if not problems and port.name in seen:
                yield duplicate(f"{path}.name", port.name)
            seen.add(port.name)
        if port.container_port == 0:
            yield required(f"{path}.containerPort")
        else:
            yield from in_range(f"{path}.containerPort", port.container_port, 1, 65535)
        if port.host_port:
            yield from in_range(f"{path}.hostPort", port.host_port, 1, 65535)
        yield from one_of(f"{path}.protocol", port.protocol, PROTOCOLS)


def _check_host_ports(containers: Iterable[tuple[int, Container]]) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, container in containers:
        for port_index, port in enumerate(container.ports):
            if port.host_port:
                taken = f"{port.protocol}/{port.host_ip}/{port.host_port}"
                if taken in seen:
                    yield duplicate(f"[{index}].ports[{port_index}].hostPort", taken)
                seen.add(taken)


def _check_mounts(container: Container, volumes: Mapping[str, str]) -> Iterator[FieldError]:
    devices = {device.name for device in container.volume_devices}
    device_paths = {device.device_path for device in container.volume_devices}
    seen: set[str] = set()
    for index, mount in enumerate(container.volume_mounts):
        path = f"[{index}]"
        if not mount.name:
            yield required(f"{path}.name")
        if mount.name not in volumes:
            yield not_found(f"{path}.name", mount.name)
        if not mount.mount_path:
            yield required(f"{path}.mountPath")
        if mount.mount_path in seen:
            yield invalid(f"{path}.mountPath", mount.mount_path, "must be unique")
        seen.add(mount.mount_path)
        if mount.name in devices:
            yield invalid(f"{path}.name", mount.name, "must not already exist in volumeDevices")
        if mount.mount_path in device_paths:
            why = "must not already exist as a path in volumeDevices"
            yield invalid(f"{path}.mountPath", mount.mount_path, why)
        yield from _check_sub_paths(mount, path, volumes)
        yield from _check_propagation(mount, container.security_context.privileged)


def _check_sub_paths(mount: VolumeMount, path: str, volumes: Mapping[str, str]) -> Iterator[FieldError]:
    for field, value in (("subPath", mount.sub_path), ("subPathExpr", mount.sub_path_expr)):
        if value and volumes.get(mount.name) == "image":
            yield invalid(f"{path}.{field}", value, "not allowed in image volume sources")
        # Kubernetes names the list here, not the item.
        yield from check_descending(field, value)
    if mount.sub_path and mount.sub_path_expr:
        yield invalid(f"{path}.subPathExpr", mount.sub_path_expr, "subPathExpr and subPath are mutually exclusive")


def _check_propagation(mount: VolumeMount, is_privileged: bool) -> Iterator[FieldError]:
    mode = mount.mount_propagation
    if mode and mode not in PROPAGATIONS:
        yield not_supported("mountPropagation", mode, PROPAGATIONS)
    if mode == "Bidirectional" and not is_privileged:
        why = "Bidirectional mount propagation is available only to privileged containers"
        yield forbidden("mountPropagation", why)
    recursive = mount.recursive_read_only
    if recursive and recursive not in RECURSIVE_READ_ONLY:
        yield not_supported("recursiveReadOnly", recursive, RECURSIVE_READ_ONLY)
    elif recursive in ("Enabled", "IfPossible"):
        if not mount.read_only:
            yield forbidden("recursiveReadOnly", "may only be specified when readOnly is true")
        if mode not in ("", "None"):
            why = "may only be specified when mountPropagation is None or not specified"
            yield forbidden("recursiveReadOnly", why)


def _check_devices(container: Container, volumes: Mapping[str, str]) -> Iterator[FieldError]:
    mounts = {mount.name for mount in container.volume_mounts}
    mount_paths = {mount.mount_path for mount in container.volume_mounts}
    names_seen: set[str] = set()
    paths_seen: set[str] = set()
    for index, device in enumerate(container.volume_devices):
        path = f"[{index}]"
        yield from under(path, _check_device(device, volumes))
        if device.name in names_seen:
            yield invalid(f"{path}.name", device.name, "must be unique")
        if device.device_path in paths_seen:
            yield invalid(f"{path}.devicePath", device.device_path, "must be unique")
        if device.name in mounts:
            yield invalid(f"{path}.name", device.name, "must not already exist in volumeMounts")
        if device.device_path in mount_paths:
            why = "must not already exist as a path in volumeMounts"
            yield invalid(f"{path}.devicePath", device.device_path, why)
        names_seen.add(device.name)
        paths_seen.add(device.device_path)


def _check_device(device: VolumeDevice, volumes: Mapping[str, str]) -> Iterator[FieldError]:
    if not device.name:
        yield required("name")
    if device.name not in volumes:
        yield not_found("name", device.name)
    elif volumes[device.name] not in ("persistentVolumeClaim", "ephemeral"):
        why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode"
        yield invalid("name", device.name, why)
    if not device.device_path:
        yield required("devicePath")
    if ".." in device.device_path.split("/"):
        yield invalid("devicePath", device.device_path, "can not contain backsteps ('..')")


def _check_claims(container: Container, claims: frozenset[str]) -> Iterator[FieldError]:
    allowed = f": {', '.join(sorted(claims))}" if claims else " which is empty"
    seen: set[str] = set()
    used_in_part: set[str] = set()
    for index, use in enumerate(container.resources.claims):
        path, key = f"[{index}]", f"{use.name}/{use.request}" if use.request else use.name
        if not use.name:
            yield required(path)
            continue
        if use.name in seen or key in seen or (not use.request and use.name in used_in_part):
            yield duplicate(path, key)
        seen.add(key)
        if use.request:
            used_in_part.add(use.name)
        if use.name not in claims:
            missing = not_found(path, use.name)
            yield missing._replace(
                message=f"{missing.message}: must be one of the names in pod.spec.resourceClaims{allowed}"
            )


def _check_resize_policy(container: Container, pod_restart_policy: str) -> Iterator[FieldError]:
    seen: set[str] = set()
    for index, policy in enumerate(container.resize_policy):
        if policy.resource_name in seen:
            yield duplicate(f"resizePolicy[{index}]", policy.resource_name)
        seen.add(policy.resource_name)
        yield from one_of("resizePolicy", policy.resource_name, ("cpu", "memory"))
        yield from one_of("resizePolicy", policy.restart_policy, ("NotRequired", "RestartContainer"))
        if pod_restart_policy == "Never" and policy.restart_policy != "NotRequired":
            why = "must be 'NotRequired' when `restartPolicy` is 'Never'"
            yield invalid("resizePolicy", policy.restart_policy, why)
