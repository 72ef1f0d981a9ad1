"""Disks that a pod names itself, without a claim, and that a node cannot give to everybody at once.

Kubernetes: the VolumeRestrictions plugin's rules about GCE persistent disks, AWS volumes, iSCSI and RBD.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from wherry.api.core.pod import Pod

# How a disk is called, by the source of its volume. An RBD image is the same if one of its monitors is.
_NAMES = {"gcePersistentDisk": ("pdName",), "awsElasticBlockStore": ("volumeID",), "iscsi": ("iqn",)}


class Disk(NamedTuple):
    """A disk, and whether this pod only reads it."""

    name: str
    is_read_only: bool

    @property
    def use(self) -> str:
        """How the pod's use of it is counted on its node."""
        return f"{self.name} {'read' if self.is_read_only else 'written'}"

    @property
    def in_the_way(self) -> tuple[str, ...]:
        """What others may not do with it on the same node meanwhile."""
        written = Disk(self.name, is_read_only=False).use
        return (written,) if self.is_read_only else (written, Disk(self.name, is_read_only=True).use)


def disks_of(pod: Pod) -> tuple[Disk, ...]:
    """See the module."""
    return tuple(disk for volume in pod.spec.volumes for disk in _disks(*volume.source))


def _disks(kind: str, source: Mapping[str, Any]) -> Iterator[Disk]:
    # Two pods may never have one AWS volume, not even to read it.
    is_read_only = bool(source.get("readOnly")) and kind != "awsElasticBlockStore"
    if kind in _NAMES:
        yield Disk("/".join((kind, *(str(source.get(field, "")) for field in _NAMES[kind]))), is_read_only)
    elif kind == "rbd":
        image = f"{source.get('pool') or 'rbd'}/{source.get('image', '')}"
        for monitor in source.get("monitors") or ():
            yield Disk(f"rbd/{monitor}/{image}", is_read_only)
