"""NVIDIA devices: which there are, and whose each is.

A device has one owner at a time: one container of one pod, which keeps it through restarts. The ids are labels on the
containers, so a kubelet that was killed knows again who owns what; nothing is kept on disk.

Kubernetes: a device plugin with the device manager. Differs: whole devices only.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from kubelet.runtime.base import ContainerRecord
from wherry.api.core.pod import Container, Pod

RESOURCE = "nvidia.com/gpu"


class Owner(NamedTuple):
    """One container of one pod."""

    pod_uid: str
    container: str


class NotEnough(Exception):
    """Fewer devices are free than asked for; the message is Kubernetes'."""


def asked(container: Container) -> int:
    """How many devices a container wants."""
    amount = container.resources.limits.get(RESOURCE) or container.resources.requests.get(RESOURCE)
    return amount.value if amount else 0


class Gpus:
    """The devices of this machine."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.ids = tuple(ids)
        self._owners: dict[str, Owner] = {}

    def adopt(self, records: Iterable[ContainerRecord]) -> None:
        """Learn from labels who owns what: after a start of the kubelet."""
        for record in records:
            for device in record.gpu_ids:
                self._owners.setdefault(device, Owner(record.pod.uid, record.name))

    def allocate(self, pod: Pod, container: Container) -> tuple[str, ...]:
        """The devices of a container: those it has, and free ones until it has as many as it asks for.

        Init containers end before the others start, so the others may have theirs.
        """
        owner, count = Owner(pod.metadata.uid, container.name), asked(container)
        if count == 0:
            return ()
        inits = {Owner(pod.metadata.uid, init.name) for init in pod.spec.init_containers if not init.is_sidecar}
        own = [device for device in self.ids if self._owners.get(device) == owner]
        free = [device for device in self.ids if device not in self._owners or self._owners[device] in inits - {owner}]
        granted = (*own, *free)[:count]
        if len(granted) < count:
            raise NotEnough(
                f"Allocate failed due to requested number of devices unavailable for {RESOURCE}. "
                f"Requested: {count}, Available: {len(own) + len(free)}, which is unexpected"
            )
        self._owners |= dict.fromkeys(granted, owner)
        return tuple(granted)

    def release(self, pod_uid: str) -> None:
        """The pod's containers have ended: its devices are free."""
        self._owners = {device: owner for device, owner in self._owners.items() if owner.pod_uid != pod_uid}


def find_gpus() -> tuple[str, ...]:
    """The ids of this machine's devices; none without a driver or without the `gpu` extra."""
    try:
        import pynvml  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        return ()
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return ()
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(pynvml.nvmlDeviceGetCount())]
        return tuple(_text(pynvml.nvmlDeviceGetUUID(handle)) for handle in handles)
    finally:
        pynvml.nvmlShutdown()


def _text(uuid: str | bytes) -> str:
    return uuid.decode() if isinstance(uuid, bytes) else uuid
