"""hostPath: a file or directory of the machine itself."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from wherry.volumes.base import Host, MountFailed, VolumeType

_TESTS: dict[str, tuple[str, Callable[[int], bool]]] = {
    "Directory": ("a directory", stat.S_ISDIR),
    "DirectoryOrCreate": ("a directory", stat.S_ISDIR),
    "File": ("a file", stat.S_ISREG),
    "FileOrCreate": ("a file", stat.S_ISREG),
    "Socket": ("a socket file", stat.S_ISSOCK),
    "CharDevice": ("a character device", stat.S_ISCHR),
    "BlockDevice": ("a block device", stat.S_ISBLK),
}


class HostPath(VolumeType):
    """A path of the machine; `type` says what must be there, or be created. Without a type a missing path is created,
    as Docker does.
    """

    key: ClassVar[str] = "hostPath"

    path: str = ""
    type: str = ""

    async def mount(self, host: Host, path: Path) -> Path:
        """The path itself."""
        await asyncio.to_thread(self._prepare)
        return Path(self.path)

    def _prepare(self) -> None:
        target = Path(self.path)
        if not self.type or self.type == "DirectoryOrCreate":
            if not target.exists():
                target.mkdir(parents=True, mode=0o755)
        elif self.type == "FileOrCreate" and not target.exists():
            target.touch(mode=0o644)
        if not self.type:
            return
        if self.type not in _TESTS:
            raise MountFailed(f"hostPath type {self.type!r} is unknown: allowed are {', '.join(sorted(_TESTS))}")
        wanted, test = _TESTS[self.type]
        if not target.exists() or not test(target.stat().st_mode):
            raise MountFailed(f"hostPath type check failed: {self.path} is not {wanted}")
