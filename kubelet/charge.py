"""Charge: one pod in the kubelet's care, with all that the kubelet remembers of it between two looks.

What must survive the kubelet is not here but on the containers' labels and in the API.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubelet.host import Host
from kubelet.reporting.status_writer import StatusWriter
from kubelet.seen import Failure, Health, Hook, Stopping, Trouble
from kubelet.supplies.sub_paths import sub_paths_of
from kubelet.supplies.volumes import PodVolumes
from wherry.api.core.pod import Container, Pod

if TYPE_CHECKING:
    from kubelet.probes import ProbeTally

Spawn = Callable[[Coroutine[Any, Any, None]], None]


@dataclass
class Charge:
    """Mutable, and touched by the pod's own tasks only. `wake` makes the worker look again."""

    pod: Pod
    host: Host
    status: StatusWriter
    spawn: Spawn
    wake: Callable[[], None]
    is_pod_gone: bool = False
    failure: Failure | None = None
    are_volumes_ready: bool = False
    are_volumes_stale: bool = False
    is_released: bool = False
    is_confirmed: bool = False
    health: dict[str, Health] = field(default_factory=dict)
    stopping: dict[str, Stopping] = field(default_factory=dict)
    hooks: dict[str, Hook] = field(default_factory=dict)
    troubles: dict[str, Trouble] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    pulling: set[str] = field(default_factory=set)
    pulled_for: dict[str, int] = field(default_factory=dict)
    told: set[str] = field(default_factory=set)
    resize_failures: dict[str, str] = field(default_factory=dict)
    probed: set[str] = field(default_factory=set)
    probe_tallies: dict[tuple[str, str], ProbeTally] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.folder: Path = self.host.settings.data_dir / "pods" / self.pod.metadata.uid
        self.sub_paths = sub_paths_of(self.folder)
        self.volumes = PodVolumes(lambda: self.pod, self.folder, self.host)

    @property
    def uid(self) -> str:
        """The pod's uid."""
        return self.pod.metadata.uid

    def container(self, name: str) -> Container | None:
        """A container of the pod, of whichever sort."""
        spec = self.pod.spec
        every = (*spec.containers, *spec.init_containers, *spec.ephemeral_containers)
        return next((container for container in every if container.name == name), None)

    def tell(self, reason: str, message: str, type: str = "Normal", *, container: str = "") -> None:
        """An event about the pod, or about a container of it."""
        place = ""
        if container:
            place = f"spec.{self._kind_of(container)}{{{container}}}"
        self.host.recorder.record(self.pod, reason, message, type, field_path=place)

    def _kind_of(self, name: str) -> str:
        spec = self.pod.spec
        if any(each.name == name for each in spec.ephemeral_containers):
            return "ephemeralContainers"
        return "initContainers" if any(each.name == name for each in spec.init_containers) else "containers"

    def forget_container(self, container_id: str) -> None:
        """A container ended or was removed: what was true of it is no longer of use."""
        for memory in (self.health, self.stopping, self.hooks):
            memory.pop(container_id, None)
        self.probed.discard(container_id)
