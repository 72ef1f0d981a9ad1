"""persistentVolumeClaim: storage that outlives the pod. On this node: hostPath and local volumes."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from wherry.volumes.base import Host, MountFailed, VolumeType
from wherry.volumes.host_path import HostPath


class ClaimVolume(VolumeType):
    """The volume that a claim of the pod's namespace is bound to."""

    key: ClassVar[str] = "persistentVolumeClaim"

    claim_name: str = ""
    read_only: bool = False

    async def mount(self, host: Host, path: Path) -> Path:
        """The directory of the bound volume."""
        spec = await host.claimed(self.claim_name)
        if spec.get("hostPath"):
            return await HostPath.read(spec["hostPath"]).mount(host, path)
        if spec.get("local"):
            return await HostPath(path=spec["local"].get("path", ""), type="Directory").mount(host, path)
        raise MountFailed(
            f'claim "{self.claim_name}" is bound to a volume this node cannot mount: hostPath and local are allowed'
        )
