"""projected: several sources in one directory, the pod's token among them."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from wherry.machinery.view import View
from wherry.volumes.base import Host, MountFailed
from wherry.volumes.files import File
from wherry.volumes.sources import DEFAULT_MODE, ConfigMapFiles, DownwardFiles, FileVolume, SecretFiles, TokenFiles


class Projection(View):
    """One of the sources; exactly one field is set."""

    config_map: ConfigMapFiles | None = None
    secret: SecretFiles | None = None
    downward_api: DownwardFiles | None = msgspec.field(name="downwardAPI", default=None)
    service_account_token: TokenFiles | None = None

    async def files(self, host: Host, mode: int) -> dict[str, File]:
        """The files of the source that is set."""
        sources = (self.config_map, self.secret, self.downward_api, self.service_account_token)
        for source in sources:
            if source is not None:
                return await source.files(host, mode)
        raise MountFailed("a projected source of this kind is not supported on this node")


class ProjectedVolume(FileVolume):
    """Later sources win over earlier ones. In memory, because of the token."""

    key: ClassVar[str] = "projected"
    is_in_memory: ClassVar[bool] = True

    sources: tuple[Projection, ...] = ()
    default_mode: int = DEFAULT_MODE

    async def files(self, host: Host) -> dict[str, File]:
        """All sources' files together."""
        files: dict[str, File] = {}
        for source in self.sources:
            files |= await source.files(host, self.default_mode)
        return files
