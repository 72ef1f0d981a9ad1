"""image: the files of a container image, to be read."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from wherry.volumes.base import Host, MountFailed, VolumeType


class ImageFiles(VolumeType):
    """What an image holds when the pod starts; `pullPolicy` says whether it is fetched, as for containers."""

    key: ClassVar[str] = "image"
    is_read_only: ClassVar[bool] = True

    reference: str = ""
    pull_policy: str = ""

    async def mount(self, host: Host, path: Path) -> Path:
        """A folder of this pod's own, filled once."""
        if not self.reference:
            raise MountFailed("image volume names no reference")
        if not await asyncio.to_thread(path.exists):
            await host.image(self.reference, self.pull_policy, path)
        return path
