"""ephemeral: a claim of the pod's own, which a controller makes and which goes with the pod."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from wherry.volumes.base import Host, VolumeType
from wherry.volumes.claim import ClaimVolume


class EphemeralVolume(VolumeType):
    """The volume that the claim `POD-VOLUME` is bound to."""

    key: ClassVar[str] = "ephemeral"

    async def mount(self, host: Host, path: Path) -> Path:
        """The directory of the bound volume."""
        return await ClaimVolume(claim_name=f"{host.field('metadata.name')}-{path.name}").mount(host, path)
