"""downwardAPI: the pod's own fields as files."""

from __future__ import annotations

from typing import ClassVar

from wherry.volumes.base import Host
from wherry.volumes.files import File
from wherry.volumes.sources import DEFAULT_MODE, DownwardFiles, DownwardItem, FileVolume


class DownwardApi(FileVolume):
    """Names, labels, annotations, resources; follows changes of labels and annotations."""

    key: ClassVar[str] = "downwardAPI"

    items: tuple[DownwardItem, ...] = ()
    default_mode: int = DEFAULT_MODE

    async def files(self, host: Host) -> dict[str, File]:
        """See `DownwardFiles`."""
        return await DownwardFiles(items=self.items).files(host, self.default_mode)
