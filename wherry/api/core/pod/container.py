"""Views on a container: image, command, environment, resources, probes, security. Kubernetes: core/v1 Container.

They know every field of the schema, also those Wherry does nothing with, because an update of a pod is judged by
comparing views. `tests/house/test_views_match_schema.py` checks it.
"""

from __future__ import annotations

from wherry.machinery.quantity import Quantity
from wherry.machinery.view import Verbatim, View

IntOrString = int | str


class ContainerPort(View):
    """A port the container listens on; only `host_port` has an effect, the rest is documentation and a name."""

    name: str = ""
    container_port: int = 0
    host_port: int = 0
    host_ip: str = ""
    protocol: str = "TCP"


class FieldRef(View):
    """A field of the pod itself, such as `status.podIP` or `metadata.labels['app']`."""

    field_path: str = ""
    api_version: str = "v1"


class ResourceFieldRef(View):
    """A resource request or limit of a container, divided by `divisor`."""

    resource: str = ""
    container_name: str = ""
    divisor: Quantity | None = None


class KeyRef(View):
    """One key of a ConfigMap or Secret."""

    name: str = ""
    key: str = ""
    optional: bool = False


class EnvSource(View):
    """Where the value of a variable comes from; exactly one is set."""

    field_ref: FieldRef | None = None
    resource_field_ref: ResourceFieldRef | None = None
    config_map_key_ref: KeyRef | None = None
    secret_key_ref: KeyRef | None = None
    file_key_ref: Verbatim | None = None


class EnvVar(View):
    """One environment variable."""

    name: str = ""
    value: str = ""
    value_from: EnvSource | None = None


class EnvFromRef(View):
    """A ConfigMap or Secret whose every key becomes a variable."""

    name: str = ""
    optional: bool = False


class EnvFrom(View):
    """A batch of variables, with a prefix."""

    prefix: str = ""
    config_map_ref: EnvFromRef | None = None
    secret_ref: EnvFromRef | None = None


class VolumeMount(View):
    """Where a volume of the pod appears in the container."""

    name: str = ""
    mount_path: str = ""
    sub_path: str = ""
    sub_path_expr: str = ""
    read_only: bool = False
    mount_propagation: str = ""
    recursive_read_only: str = ""
    bind_mount_options: tuple[str, ...] = ()


class VolumeDevice(View):
    """Where a volume of the pod appears in the container as a raw block device."""

    name: str = ""
    device_path: str = ""


class ResourceClaimUse(View):
    """A claim of the pod that this container uses."""

    name: str = ""
    request: str = ""


class Resources(View):
    """What the container asks for (`requests`) and may use at most (`limits`)."""

    requests: dict[str, Quantity] = {}
    limits: dict[str, Quantity] = {}
    claims: tuple[ResourceClaimUse, ...] = ()


class ExecAction(View):
    """A command inside the container; exit code 0 is success."""

    command: tuple[str, ...] = ()


class HttpHeader(View):
    """One header of an HTTP probe."""

    name: str = ""
    value: str = ""


class HttpGetAction(View):
    """A GET to the pod; 200 to 399 is success. `port` may name a container port."""

    path: str = "/"
    port: IntOrString = 0
    host: str = ""
    scheme: str = "HTTP"
    http_headers: tuple[HttpHeader, ...] = ()
    protocol: str = ""


class TcpSocketAction(View):
    """A TCP connection to the pod; opening is success."""

    port: IntOrString = 0
    host: str = ""


class GrpcAction(View):
    """A gRPC health check."""

    port: int = 0
    service: str = ""
    mode: str = ""


class SleepAction(View):
    """A pause before the container is stopped."""

    seconds: int = 0


class Action(View):
    """What a probe or a lifecycle hook does; exactly one is set."""

    exec: ExecAction | None = None
    http_get: HttpGetAction | None = None
    tcp_socket: TcpSocketAction | None = None
    # Probes only.
    grpc: GrpcAction | None = None
    # Lifecycle hooks only.
    sleep: SleepAction | None = None


class Probe(Action):
    """A periodic check of a container; times in seconds."""

    initial_delay_seconds: int = 0
    timeout_seconds: int = 1
    period_seconds: int = 10
    success_threshold: int = 1
    failure_threshold: int = 3
    termination_grace_period_seconds: int | None = None


class Lifecycle(View):
    """Hooks after start and before stop."""

    post_start: Action | None = None
    pre_stop: Action | None = None
    stop_signal: str = ""


class Capabilities(View):
    """Linux capabilities added and dropped."""

    add: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()


class SeccompProfile(View):
    """Which system calls are allowed: RuntimeDefault, Unconfined or Localhost."""

    type: str = ""
    localhost_profile: str = ""


class SecurityContext(View):
    """Privileges of one container; set fields win over the pod's."""

    privileged: bool = False
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    read_only_root_filesystem: bool = False
    allow_privilege_escalation: bool | None = None
    capabilities: Capabilities | None = None
    seccomp_profile: SeccompProfile | None = None
    # The same two fields as a seccomp profile has.
    app_armor_profile: SeccompProfile | None = None
    proc_mount: str = ""
    se_linux_options: Verbatim | None = None
    windows_options: Verbatim | None = None


class ResizePolicy(View):
    """Whether a change of cpu or memory restarts the container."""

    resource_name: str = ""
    restart_policy: str = ""


class Container(View):
    """One container of a pod. `restart_policy` Always on an init container makes it a sidecar."""

    name: str = ""
    image: str = ""
    image_pull_policy: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    ports: tuple[ContainerPort, ...] = ()
    env: tuple[EnvVar, ...] = ()
    env_from: tuple[EnvFrom, ...] = ()
    resources: Resources = Resources()
    resize_policy: tuple[ResizePolicy, ...] = ()
    volume_mounts: tuple[VolumeMount, ...] = ()
    volume_devices: tuple[VolumeDevice, ...] = ()
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    security_context: SecurityContext = SecurityContext()
    termination_message_path: str = "/dev/termination-log"
    termination_message_policy: str = "File"
    restart_policy: str = ""
    restart_policy_rules: tuple[Verbatim, ...] = ()
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False

    @property
    def is_sidecar(self) -> bool:
        """An init container that keeps running beside the others."""
        return self.restart_policy == "Always"


class EphemeralContainer(Container):
    """A container added to a running pod for debugging, in the namespaces of another one."""

    target_container_name: str = ""
