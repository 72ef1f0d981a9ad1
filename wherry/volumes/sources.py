"""Where the files of configMap, secret, downwardAPI and projected volumes come from: parts that can be combined.

A source gives files; the volume types write them. `is_live` types read them again when something changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from wherry.machinery.view import View
from wherry.volumes.base import Host, MountFailed, VolumeType
from wherry.volumes.files import File, checked, write_atomically
from wherry.volumes.memory import drop_memory_folder, make_memory_folder

DEFAULT_MODE = 0o644


class KeyToPath(View):
    """One key, the file it becomes, and that file's mode."""

    key: str = ""
    path: str = ""
    mode: int | None = None


def chosen(
    what: str, data: Mapping[str, bytes], items: tuple[KeyToPath, ...], mode: int, *, is_optional: bool
) -> dict[str, File]:
    """The files for some keys, or for all; `what` names the object in errors."""
    if not items:
        return {checked(key): File(content, mode) for key, content in data.items()}
    files = {}
    for item in items:
        if item.key in data:
            files[checked(item.path)] = File(data[item.key], mode if item.mode is None else item.mode)
        elif not is_optional:
            raise MountFailed(f"{what} references non-existent config key: {item.key}")
    return files


class FileVolume(VolumeType):
    """Base of the types whose content is files made by the node."""

    is_live: ClassVar[bool] = True
    is_read_only: ClassVar[bool] = True
    is_in_memory: ClassVar[bool] = False

    async def files(self, host: Host) -> dict[str, File]:
        """The content as it should be now."""
        raise NotImplementedError

    async def mount(self, host: Host, path: Path) -> Path:
        """A directory with the files."""
        files = await self.files(host)
        return await asyncio.to_thread(self._make, host, path, files)

    def _make(self, host: Host, path: Path, files: dict[str, File]) -> Path:
        if self.is_in_memory:
            make_memory_folder(path, host.memory_folder / path.name)
        write_atomically(path, files, host.fs_group)
        return path.resolve()

    async def refresh(self, host: Host, path: Path) -> None:
        """Write again what changed; content that cannot be read now stays as it is."""
        await asyncio.to_thread(write_atomically, path, await self.files(host), host.fs_group)

    async def unmount(self, path: Path) -> None:
        """Memory is given back."""
        if self.is_in_memory:
            await asyncio.to_thread(drop_memory_folder, path)


class ConfigMapFiles(View):
    """Keys of a ConfigMap."""

    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    optional: bool = False

    async def files(self, host: Host, mode: int) -> dict[str, File]:
        """Missing ones are an error unless they are optional."""
        data = await host.config_map(self.name)
        if data is None and not self.optional:
            raise MountFailed(f'configmap "{self.name}" not found')
        return chosen(f"configmap {self.name}", data or {}, self.items, mode, is_optional=self.optional)


class SecretFiles(View):
    """Keys of a Secret."""

    name: str = ""
    items: tuple[KeyToPath, ...] = ()
    optional: bool = False

    async def files(self, host: Host, mode: int) -> dict[str, File]:
        """Missing ones are an error unless they are optional."""
        data = await host.secret(self.name)
        if data is None and not self.optional:
            raise MountFailed(f'secret "{self.name}" not found')
        return chosen(f"secret {self.name}", data or {}, self.items, mode, is_optional=self.optional)


class PodFieldRef(View):
    """A field of the pod."""

    field_path: str = ""


class PodResourceRef(View):
    """A request or limit of a container."""

    container_name: str = ""
    resource: str = ""
    divisor: str | int = "0"


class DownwardItem(View):
    """One file about the pod itself."""

    path: str = ""
    field_ref: PodFieldRef | None = None
    resource_field_ref: PodResourceRef | None = None
    mode: int | None = None


class DownwardFiles(View):
    """What the pod may know about itself, as files."""

    items: tuple[DownwardItem, ...] = ()

    async def files(self, host: Host, mode: int) -> dict[str, File]:
        """Each item's current text."""
        return {
            checked(item.path): File(_downward(host, item).encode(), mode if item.mode is None else item.mode)
            for item in self.items
        }


def _downward(host: Host, item: DownwardItem) -> str:
    if item.field_ref is not None:
        return host.field(item.field_ref.field_path)
    if item.resource_field_ref is not None:
        reference = item.resource_field_ref
        return host.resource(reference.container_name, reference.resource, str(reference.divisor))
    raise MountFailed(f"downwardAPI item {item.path!r} names neither fieldRef nor resourceFieldRef")


class TokenFiles(View):
    """A service account token, renewed before it expires."""

    audience: str = ""
    expiration_seconds: int = 3600
    path: str = ""

    async def files(self, host: Host, mode: int) -> dict[str, File]:
        """One file, with the mode of the volume's other files."""
        token = await host.token(self.audience, self.expiration_seconds)
        return {checked(self.path): File(token.text.encode(), mode)}
