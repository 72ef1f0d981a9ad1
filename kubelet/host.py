"""Host: the node as its pods see it: settings, runtime, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from kubelet.images import SANDBOX_IMAGE, Images
from kubelet.resources.gpus import Gpus
from kubelet.runtime.base import Runtime
from wherry.api.coordination.node_loss import KUBERNETES
from wherry.api.core.service import Service
from wherry.client.events import EventRecorder
from wherry.client.http import Client
from wherry.client.informer import Informer
from wherry.machinery.quantity import Quantity

if TYPE_CHECKING:
    from kubelet.supplies.local_volumes import LocalVolumes
    from kubelet.supplies.objects import Objects
    from kubelet.supplies.tokens import Tokens


@dataclass(frozen=True)
class Settings:
    """What the kubelet was started with."""

    node_name: str
    data_dir: Path
    cluster: str = "wherry"
    network: str = "bridge"
    address: str = "127.0.0.1"
    port: int = 10250
    cluster_dns: str = ""
    cluster_domain: str = "cluster.local"
    sandbox_image: str = SANDBOX_IMAGE
    max_pods: int = 110
    labels: Mapping[str, str] = field(default_factory=dict)
    lease_seconds: int = KUBERNETES.lease_seconds

    @property
    def local_path_folder(self) -> Path:
        """Where volumes of the class `local-path` are; it outlives pods, and the kubelet."""
        return self.data_dir / "local-path"


@dataclass
class Host:
    """One per kubelet."""

    settings: Settings
    runtime: Runtime
    client: Client
    recorder: EventRecorder
    images: Images
    gpus: Gpus
    objects: Objects
    tokens: Tokens
    local_volumes: LocalVolumes
    services: Informer[Service]
    memory_bytes: int
    allocatable: Mapping[str, Quantity]
    # Which devices are written down for which pod, by uuid.
    recorded: Callable[[], Mapping[str, str]]
