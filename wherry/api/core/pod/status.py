"""Views on a pod's observed state. Kubernetes: core/v1 PodStatus."""

from __future__ import annotations

from datetime import datetime

from wherry.api.core.pod.container import Resources
from wherry.api.meta import Conditions, has_condition
from wherry.machinery.quantity import Quantity
from wherry.machinery.view import View


class Waiting(View):
    """Not started, or waiting to be started again."""

    reason: str = ""
    message: str = ""


class Running(View):
    """Started and not finished."""

    started_at: datetime | None = None


class Terminated(View):
    """Finished."""

    exit_code: int = 0
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    container_id: str = ""


class ContainerState(View):
    """One of three; none set means waiting."""

    waiting: Waiting | None = None
    running: Running | None = None
    terminated: Terminated | None = None


class ContainerStatus(View):
    """What the node reports of one container."""

    name: str = ""
    state: ContainerState = ContainerState()
    last_state: ContainerState = ContainerState()
    ready: bool = False
    started: bool = False
    restart_count: int = 0
    image: str = ""
    image_id: str = ""
    container_id: str = ""
    # What the container has, and what the node has set aside for it; they differ from the spec during a resize.
    resources: Resources | None = None
    allocated_resources: dict[str, Quantity] = {}


class PodIP(View):
    """One address of the pod or its node."""

    ip: str = ""


class PodResourceClaimStatus(View):
    """What a claim of the pod is called that was made from a template."""

    name: str = ""
    resource_claim_name: str | None = None


class PodStatus(View):
    """The observed state of a pod."""

    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    conditions: Conditions = ()
    host_ip: str = ""
    host_ips: tuple[PodIP, ...] = ()
    pod_ip: str = ""
    pod_ips: tuple[PodIP, ...] = ()
    start_time: datetime | None = None
    nominated_node_name: str = ""
    qos_class: str = ""
    observed_generation: int = 0
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()
    ephemeral_container_statuses: tuple[ContainerStatus, ...] = ()
    resource_claim_statuses: tuple[PodResourceClaimStatus, ...] = ()

    @property
    def held(self) -> tuple[tuple[str, Resources | None, dict[str, Quantity]], ...]:
        """What the node says each container has, and has been allocated, by name."""
        seen = (*self.init_container_statuses, *self.container_statuses)
        return tuple((one.name, one.resources, one.allocated_resources) for one in seen)

    @property
    def ready(self) -> bool:
        """Whether the pod takes traffic."""
        return has_condition(self.conditions, "Ready")
