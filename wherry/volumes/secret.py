"""secret: the keys of a Secret as files in memory."""

from __future__ import annotations

from typing import ClassVar

from wherry.volumes.base import Host
from wherry.volumes.files import File
from wherry.volumes.sources import DEFAULT_MODE, FileVolume, KeyToPath, SecretFiles


class SecretVolume(FileVolume):
    """All keys, or `items`; follows changes of the Secret. The folder above lets nobody else on the machine in."""

    key: ClassVar[str] = "secret"
    is_in_memory: ClassVar[bool] = True

    secret_name: str = ""
    items: tuple[KeyToPath, ...] = ()
    default_mode: int = DEFAULT_MODE
    optional: bool = False

    async def files(self, host: Host) -> dict[str, File]:
        """See `SecretFiles`."""
        source = SecretFiles(name=self.secret_name, items=self.items, optional=self.optional)
        return await source.files(host, self.default_mode)
