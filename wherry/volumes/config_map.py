"""configMap: the keys of a ConfigMap as files."""

from __future__ import annotations

from typing import ClassVar

from wherry.volumes.base import Host
from wherry.volumes.files import File
from wherry.volumes.sources import DEFAULT_MODE, ConfigMapFiles, FileVolume, KeyToPath


class ConfigMapVolume(FileVolume):
    """All keys, or `items`; follows changes of the ConfigMap."""

    key: ClassVar[str] = "configMap"

    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: int = DEFAULT_MODE
    optional: bool = False

    async def files(self, host: Host) -> dict[str, File]:
        """See `ConfigMapFiles`."""
        source = ConfigMapFiles(name=self.name, items=self.items, optional=self.optional)
        return await source.files(host, self.default_mode)
