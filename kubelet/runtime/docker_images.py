"""The files of an image, for volumes: through a container that never runs, since Docker before 28 mounts no images."""

from __future__ import annotations

import io
import shutil
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import docker  # type: ignore[import-untyped]

from kubelet.runtime import docker_format as form
from kubelet.runtime.base import RuntimeFailure

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK_BYTES = 1024 * 1024
# What Docker puts into every container, beside what is in the image.
_MARK = ".dockerenv"


def unpack(client: docker.APIClient, image: str, folder: Path, owner: Mapping[str, str]) -> None:
    """Make the folder, all of it at once. Devices stay away, and nothing is written outside."""
    part = folder.with_name(f"{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True, mode=0o755)
    # It needs some command, though it is never started; and without the node's label it is no container of a pod.
    labels = {form.CLUSTER: owner[form.CLUSTER]}
    container = client.create_container(image, command=["/"], labels=labels)["Id"]
    try:
        stream = io.BufferedReader(_Chunks(client.export(container, chunk_size=_CHUNK_BYTES)), _CHUNK_BYTES)
        with tarfile.open(fileobj=stream, mode="r|", bufsize=_CHUNK_BYTES) as files:
            files.extractall(part, filter=_wanted)
    except (tarfile.TarError, OSError) as error:
        raise RuntimeFailure(f"image {image} cannot be unpacked: {error}") from error
    finally:
        client.remove_container(container, force=True, v=True)
    part.rename(folder)


def _wanted(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    if member.isdev() or member.name == _MARK:
        return None
    return tarfile.tar_filter(member, folder)


class _Chunks(io.RawIOBase):
    """A stream of bytes as a file to read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._left = memoryview(b"")

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        """What fits of one chunk; 0 at the end."""
        if not self._left:
            self._left = memoryview(next(self._chunks, b""))
        room = memoryview(buffer)
        size = min(len(room), len(self._left))
        room[:size], self._left = self._left[:size], self._left[size:]
        return size
