"""PodView: a pod as the scheduler's plugins see it, with its arithmetic done once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from scheduler.pods.attachable import Attachable, attachables_of
from scheduler.pods.devices import NO_DEVICES, DeviceNeeds
from scheduler.pods.disks import disks_of
from scheduler.pods.remembered import remembered
from scheduler.pods.requests import Amounts, pod_amounts, pod_share
from scheduler.pods.spreading import Constraint, constraints_of
from scheduler.pods.terms import Group, Term, group_of, terms_of
from scheduler.pods.volumes import NO_VOLUMES, VolumeNeeds
from wherry.api.core.pod import Pod, PodSpec
from wherry.api.resource.gpu import PLACEMENT, asks_for_share
from wherry.machinery.meta import ObjectMeta
from wherry.machinery.selectors import Requirements
from wherry.machinery.view import Verbatim

ANY_ADDRESS = "0.0.0.0"


class HostPort(NamedTuple):
    """A port of the node that a container takes for itself."""

    protocol: str
    port: int
    address: str

    def collides_with(self, address: str) -> bool:
        """Whether somebody on `address` with this protocol and port is in the way."""
        return ANY_ADDRESS in (self.address, address) or self.address == address


class PodView:
    """A pod with what it asks of a node; what its `volumes` and `devices` ask, others must say: their `lookup.py`.

    `quota` says why its queue keeps it waiting; nothing if it does not. `kin` selects the pods that are its like, if it
    is of a service or a workload.

    Everything else is worked out when first read, and kept.
    """

    def __init__(
        self,
        pod: Pod,
        volumes: VolumeNeeds = NO_VOLUMES,
        devices: DeviceNeeds = NO_DEVICES,
        quota: str = "",
        kin: Requirements | None = None,
    ) -> None:
        self.pod, self.volumes, self.devices, self.quota, self.kin = pod, volumes, devices, quota, kin
        self._signed: dict[tuple[str, ...], bytes] = {}

    def replace(self, **asked: Any) -> PodView:
        """The same pod, with other `volumes`, `devices`, `quota` or `kin`; what is not named stays."""
        other = PodView.__new__(PodView)
        # What was worked out of the pod itself stays true.
        other.__dict__.update(self.__dict__, _signed={}, **asked)
        return other

    @property
    def key(self) -> str:
        """`namespace/name`."""
        return self.pod.metadata.key

    @property
    def uid(self) -> str:
        """The identity that survives a second pod of the same name."""
        return self.pod.metadata.uid or self.key

    @property
    def metadata(self) -> ObjectMeta:
        """Name, namespace, labels."""
        return self.pod.metadata

    @property
    def spec(self) -> PodSpec:
        """The desired state."""
        return self.pod.spec

    @remembered
    def requests(self) -> Amounts:
        """What must be free on its node, `pods: 1` included."""
        return self._amounts[0]

    @remembered
    def gpu_share(self) -> int:
        """How much of one card's memory it wants, in bytes; 0 if it wants whole cards, or none."""
        return pod_share(self.pod) if asks_for_share(self.pod) else 0

    @remembered
    def estimates(self) -> Amounts:
        """Cpu and memory as scores count them."""
        return self._amounts[1]

    @remembered
    def _amounts(self) -> tuple[Amounts, Amounts]:
        return pod_amounts(self.pod)

    @remembered
    def host_ports(self) -> tuple[HostPort, ...]:
        """The ports it takes on its node."""
        return tuple(_host_ports(self.pod.spec))

    @remembered
    def images(self) -> tuple[str, ...]:
        """The images of its containers and volumes, with their tags."""
        containers = (*self.pod.spec.init_containers, *self.pod.spec.containers)
        volumes = (source for key, source in (volume.source for volume in self.pod.spec.volumes) if key == "image")
        references = (str(source.get("reference", "")) for source in volumes)
        return tuple(_with_tag(image) for image in (*(each.image for each in containers), *references))

    @remembered
    def claims(self) -> tuple[str, ...]:
        """The keys of the claims that its volumes are on, and how it uses the disks that it names itself."""
        own = (f"{self.metadata.namespace}/{name}" for name in self.pod.claim_names)
        return (*own, *(disk.use for disk in disks_of(self.pod)))

    @remembered
    def attachables(self) -> tuple[Attachable, ...]:
        """The disks that it names itself and that a driver attaches."""
        return attachables_of(self.pod)

    @remembered
    def gpu_placement(self) -> str:
        """How it wants to be placed among GPUs, `pack` or `spread`; empty if it does not care."""
        return self.pod.metadata.annotations.get(PLACEMENT, "")

    @remembered
    def group(self) -> Group:
        """What selectors can know of it."""
        return _same_group(group_of(self.pod))

    @remembered
    def terms(self) -> tuple[Term, ...]:
        """What it says about other pods."""
        return terms_of(self.pod)

    @remembered
    def constraints(self) -> tuple[Constraint, ...]:
        """How it is to be spread with its like."""
        return constraints_of(self.pod)

    def signature(self, paths: tuple[str, ...]) -> bytes:
        """Equal for two pods that have the same values at these attribute paths, such as `spec.tolerations`."""
        signed = self._signed.get(paths)
        if signed is None:
            encoded = msgspec.json.encode(_reader(paths)(self), enc_hook=_plain, order="sorted")
            signed = self._signed[paths] = _same_signature(encoded)
        return signed

    def __repr__(self) -> str:
        return f"PodView({self.key})"


def _with_tag(image: str) -> str:
    return image if ":" in image.rpartition("/")[2] else f"{image}:latest"


def _host_ports(spec: PodSpec) -> Iterator[HostPort]:
    sidecars = (container for container in spec.init_containers if container.is_sidecar)
    for container in (*spec.containers, *sidecars):
        for port in container.ports:
            if port.host_port > 0:
                yield HostPort(port.protocol or "TCP", port.host_port, port.host_ip or ANY_ADDRESS)


# Pods by the thousand look alike and have the same labels: one value serves them all. Nobody changes it.


@lru_cache(maxsize=4096)
def _same_signature(signature: bytes) -> bytes:
    return signature


@lru_cache(maxsize=4096)
def _same_group(group: Group) -> Group:
    return group


@lru_cache
def _reader(paths: tuple[str, ...]) -> Callable[[PodView], Any]:
    return attrgetter(*paths) if paths else str


def _plain(value: Any) -> Any:
    return value.raw if isinstance(value, Verbatim) else str(value)
