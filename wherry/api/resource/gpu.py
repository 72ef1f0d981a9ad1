"""GPUs as devices: what a node tells of its cards, and the record by which a pod holds some of them.

A node's cards stand in one ResourceSlice, named after the node. A pod that asks for `nvidia.com/gpu: 2` gets two of
them by uuid, in an annotation that is written with the binding and by nothing else.

Kubernetes: the names and attributes are those of NVIDIA's DRA driver. Differs: `nvlinkGroup` is the same text for cards
that are linked with each other; pods that only count their cards get named ones all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from wherry.api.core.pod import Pod
from wherry.api.core.pod.container import Container

DRIVER = "gpu.nvidia.com"
RESOURCE = "nvidia.com/gpu"
GRANTED = "gpu.wherry.dev/devices"
"""The annotation that names a pod's cards by uuid, with commas between them."""
MEMORY = "wherry.dev/gpu-memory"
"""The resource by which a container asks for a part of one card: so many bytes of its memory."""
SHARE = "gpu.wherry.dev/share"
"""The annotation that says how much of its card a pod has: `bytes/bytes of the card`."""
PLACEMENT = "gpu.wherry.dev/placement"
"""The annotation by which a pod asks for `spread`: an emptier node, rather than the fullest where it fits."""
UNHEALTHY = f"{DRIVER}/unhealthy"
"""The taint of a card that does not work."""
WHOLE = "gpu"

Json = dict[str, Any]


@dataclass(frozen=True)
class Gpu:
    """A card, or a slice of one (`profile` and `parent` say which). Without a `name` it is not told of as a device."""

    uuid: str
    name: str = ""
    product: str = ""
    architecture: str = ""
    brand: str = ""
    compute_capability: str = ""
    driver_version: str = ""
    memory_bytes: int = 0
    pci_bus: str = ""
    pcie_root: str = ""
    numa_node: int | None = None
    nvlink_group: str = ""
    profile: str = ""
    parent: str = ""
    # Why it cannot be used; empty if it can.
    trouble: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it counts as one `nvidia.com/gpu`."""
        return not self.profile

    @property
    def is_healthy(self) -> bool:
        """Whether it can be given out."""
        return not self.trouble


def fake_gpus(node: str, count: int) -> tuple[Gpu, ...]:
    """Cards of a node that only pretends; each two are linked."""
    return tuple(
        Gpu(
            uuid=f"GPU-{node}-{index}",
            name=f"gpu-{index}",
            product="NVIDIA A100-SXM4-40GB",
            architecture="Ampere",
            brand="Nvidia",
            compute_capability="8.0.0",
            driver_version="550.54.15",
            memory_bytes=40 * 1024**3,
            pci_bus=f"0000:{16 + index:02x}:00.0",
            pcie_root=f"pci0000:{16 * (1 + index // 2):02x}",
            numa_node=0 if index < (count + 1) // 2 else 1,
            nvlink_group=f"pair-{index // 2}" if index ^ 1 < count else "",
        )
        for index in range(count)
    )


def slice_manifest(node: str, node_uid: str, gpus: Iterable[Gpu], generation: int) -> Json:
    """The ResourceSlice that tells of a node's cards; it goes when the node goes."""
    owner = {"apiVersion": "v1", "kind": "Node", "name": node, "uid": node_uid, "controller": True}
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceSlice",
        "metadata": {"name": slice_name(node), "ownerReferences": [owner]},
        "spec": {
            "driver": DRIVER,
            "nodeName": node,
            "pool": {"name": node, "generation": generation, "resourceSliceCount": 1},
            "devices": [_device(gpu) for gpu in gpus if gpu.name],
        },
    }


def slice_name(node: str) -> str:
    """The slice of a node's cards."""
    return f"{node}-{DRIVER}"


def _device(gpu: Gpu) -> Json:
    texts = {
        "type": WHOLE if gpu.is_whole else "mig",
        "uuid": gpu.uuid,
        "productName": gpu.product,
        "architecture": gpu.architecture,
        "brand": gpu.brand,
        "profile": gpu.profile,
        "parentUUID": gpu.parent,
        "nvlinkGroup": gpu.nvlink_group,
        "resource.kubernetes.io/pciBusID": gpu.pci_bus,
        "resource.kubernetes.io/pcieRoot": gpu.pcie_root,
    }
    versions = {"cudaComputeCapability": gpu.compute_capability, "driverVersion": _semantic(gpu.driver_version)}
    attributes: Json = {name: {"string": text} for name, text in texts.items() if text}
    attributes |= {name: {"version": text} for name, text in versions.items() if text}
    if gpu.numa_node is not None:
        attributes["numaNode"] = {"int": gpu.numa_node}
    device: Json = {
        "name": gpu.name,
        "attributes": attributes,
        "capacity": {"memory": {"value": str(gpu.memory_bytes)}},
    }
    if gpu.trouble:
        device["taints"] = [{"key": UNHEALTHY, "value": "true", "effect": "NoSchedule"}]
    return device


def _semantic(version: str) -> str:
    """Three numbers without leading zeros, as attributes that are versions must have.

    >>> _semantic("535.05"), _semantic("")
    ('535.5.0', '')
    """
    numbers = [part.lstrip("0") or "0" for part in version.split(".") if part.isdigit()]
    return ".".join([*numbers, "0", "0"][:3]) if numbers else ""


def granted_to(pod: Pod) -> tuple[str, ...] | None:
    """The uuids in a pod's record; None if it has none."""
    record = pod.metadata.annotations.get(GRANTED)
    return None if record is None else tuple(filter(None, record.split(",")))


@dataclass(frozen=True)
class Share:
    """A part of a card's memory: so many bytes of so many. It is counted, and nothing keeps anybody to it."""

    size: int
    whole: int

    @property
    def fraction(self) -> float:
        """Which part of the card that is."""
        return self.size / self.whole


def read_share(annotations: Mapping[str, str]) -> Share | None:
    """The part that a record speaks of; None if it speaks of whole cards, or cannot be read.

    >>> read_share({"gpu.wherry.dev/share": "10/40"})
    Share(size=10, whole=40)
    >>> read_share({"gpu.wherry.dev/share": "²/40"})
    """
    size, _, whole = annotations.get(SHARE, "").partition("/")
    if not (size.isdecimal() and whole.isdecimal()) or not 0 < int(size) <= int(whole):
        return None
    return Share(int(size), int(whole))


def share_record(uuid: str, share: Share) -> Mapping[str, str]:
    """The annotations of a binding that grants a part of this card."""
    return {GRANTED: uuid, SHARE: f"{share.size}/{share.whole}"}


def memory_asked(container: Container) -> int:
    """How many bytes of a card's memory a container wants."""
    amount = container.resources.limits.get(MEMORY) or container.resources.requests.get(MEMORY)
    return amount.value if amount else 0


def asks_for_share(pod: Pod) -> bool:
    """Whether any of its containers wants a part of a card."""
    return any(memory_asked(container) for container in _containers(pod))


def memory_of(gpus: Iterable[Gpu]) -> int:
    """The memory of the cards of which parts may be had, in bytes."""
    return sum(gpu.memory_bytes for gpu in gpus if gpu.is_whole and gpu.name)


def grant_record(uuids: Iterable[str]) -> Mapping[str, str]:
    """The annotations of a binding that grants these cards."""
    return {GRANTED: ",".join(uuids)}


def asked(container: Container) -> int:
    """How many cards a container wants."""
    amount = container.resources.limits.get(RESOURCE) or container.resources.requests.get(RESOURCE)
    return amount.value if amount else 0


def asks_for_gpus(pod: Pod) -> bool:
    """Whether any of its containers counts cards."""
    return any(asked(container) for container in _containers(pod))


def _containers(pod: Pod) -> Iterator[Container]:
    yield from pod.spec.containers
    yield from pod.spec.init_containers
