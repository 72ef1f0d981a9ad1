"""What every volume type has, and what it may ask of the node it is mounted on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol

from wherry.machinery.view import View


class MountFailed(Exception):
    """The volume cannot be mounted now; the message is for people and becomes an event."""


class Token(NamedTuple):
    """A service account token and when it should be replaced."""

    text: str
    refresh_at: datetime


class Host(Protocol):
    """What the node offers to one pod's volumes. Lookups read the pod's own namespace; None means there is none."""

    pod_uid: str
    # The group that owns the files, if the pod wants one.
    fs_group: int | None
    # A folder of this pod in memory, for machines where tmpfs cannot be mounted.
    memory_folder: Path

    async def config_map(self, name: str) -> Mapping[str, bytes] | None:
        """The keys of a ConfigMap, binary ones included."""
        ...

    async def secret(self, name: str) -> Mapping[str, bytes] | None:
        """The decoded keys of a Secret."""
        ...

    async def token(self, audience: str, seconds: int) -> Token:
        """A token of the pod's service account; the same one until it should be replaced."""
        ...

    async def claimed(self, claim: str) -> Mapping[str, Any]:
        """The spec of the PersistentVolume that a claim is bound to; MountFailed if it is not."""
        ...

    async def image(self, reference: str, pull_policy: str, folder: Path) -> None:
        """Make the folder, with the files of an image; MountFailed if there is no such image."""
        ...

    def field(self, path: str) -> str:
        """A field of the pod, such as `metadata.labels['app']`."""
        ...

    def resource(self, container: str, resource: str, divisor: str) -> str:
        """A request or limit of one of the pod's containers."""
        ...


class VolumeType(View):
    """A volume's source: its fields are the JSON below `key`. Paths are directories of the node, owned by the pod."""

    key: ClassVar[str] = ""
    # Whether containers should see new content when `refresh` finds it.
    is_live: ClassVar[bool] = False
    # Whether containers may only read it, whatever they ask for: the node writes there as root, and nobody else may.
    is_read_only: ClassVar[bool] = False

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if cls.key:
            _TYPES[cls.key] = cls

    async def mount(self, host: Host, path: Path) -> Path:
        """Make the volume ready; gives the directory or file that containers see. Mounting again changes nothing."""
        raise NotImplementedError

    async def refresh(self, host: Host, path: Path) -> None:
        """Bring the content up to date, all of it at once."""

    async def unmount(self, path: Path) -> None:
        """Undo `mount`; the directory itself is removed by the caller."""


_TYPES: dict[str, type[VolumeType]] = {}


def volume_type(key: str) -> type[VolumeType]:
    """The type for a JSON key; MountFailed names those that exist."""
    if key not in _TYPES:
        raise MountFailed(f"volume type {key!r} is not supported on this node: allowed are {', '.join(sorted(_TYPES))}")
    return _TYPES[key]
