"""emptyDir: a directory that lives as long as the pod."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import ClassVar

from wherry.machinery.quantity import Quantity
from wherry.volumes.base import Host, VolumeType
from wherry.volumes.files import give_to_group
from wherry.volumes.memory import drop_memory_folder, make_memory_folder


class EmptyDir(VolumeType):
    """On disk, or in memory with `medium` Memory. Differs: on disk, `sizeLimit` is not enforced."""

    key: ClassVar[str] = "emptyDir"

    medium: str = ""
    size_limit: Quantity | None = None

    async def mount(self, host: Host, path: Path) -> Path:
        """Everyone in the pod may write; with an fsGroup, what is written belongs to that group."""
        return await asyncio.to_thread(self._make, host, path)

    def _make(self, host: Host, path: Path) -> Path:
        if self.medium == "Memory":
            size = self.size_limit.value if self.size_limit else 0
            make_memory_folder(path, host.memory_folder / path.name, size_bytes=size, mode=0o777)
        path.mkdir(parents=True, exist_ok=True)
        give_to_group(path, host.fs_group)
        path.chmod(0o777 if host.fs_group is None else 0o2777)
        return path.resolve()

    async def unmount(self, path: Path) -> None:
        """Memory is given back."""
        await asyncio.to_thread(drop_memory_folder, path)
