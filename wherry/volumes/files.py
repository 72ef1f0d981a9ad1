"""Files of a volume, replaced all at once.

    path/key      -> ..data/key
    path/..data   -> ..2026_11_22_10_00_00.123
    path/..2026_11_22_10_00_00.123/key

A reader sees the old content or the new, never a mixture: the new files are written beside the old, and one rename of
the `..data` link swaps them. Kubernetes: volume/util AtomicWriter, its layout included, because programs watch it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from wherry.volumes.base import MountFailed

_DATA = "..data"


class File(NamedTuple):
    """Content and permission bits."""

    content: bytes
    mode: int = 0o644


def checked(path: str) -> str:
    """A path inside a volume: relative and without `..`."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or parts[0].startswith(".."):
        raise MountFailed(f"invalid path {path!r}: it must be relative and must not contain '..'")
    return path


def write_atomically(path: Path, files: Mapping[str, File], group: int | None = None) -> bool:
    """Make `files` the whole content of a directory; whether anything changed."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o755)
    if _current(path) == dict(files):
        return False
    fresh = Path(tempfile.mkdtemp(prefix="..", dir=path))
    try:
        fresh.chmod(0o755)
        for name, file in files.items():
            _write(fresh, fresh / checked(name), file, group)
        (path / "..data_tmp").unlink(missing_ok=True)
        (path / "..data_tmp").symlink_to(fresh.name)
        (path / "..data_tmp").replace(path / _DATA)
        _link_names(path, {PurePosixPath(name).parts[0] for name in files})
    finally:
        _remove_versions(path)
    return True


def _remove_versions(path: Path) -> None:
    """Every version but the current one: the last, one that failed half-way, what a killed process left."""
    current = (path / _DATA).readlink() if (path / _DATA).is_symlink() else None
    for entry in path.iterdir():
        # Only what lies here: a link says where it leads, and nothing is removed because of where a link leads.
        if entry.name.startswith("..") and entry.name != str(current) and not entry.is_symlink():
            shutil.rmtree(entry, ignore_errors=True)


def _write(root: Path, target: Path, file: File, group: int | None) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(file.content)
    give_to_group(target, group)
    target.chmod(file.mode | (0o440 if group is not None else 0))
    for folder in target.relative_to(root).parents:
        (root / folder).chmod(0o755)


def give_to_group(path: Path, group: int | None) -> None:
    """Hand a file to the pod's group, where we may."""
    if group is not None and os.geteuid() == 0:
        os.chown(path, -1, group)


def _link_names(path: Path, names: set[str]) -> None:
    for name in names:
        if not (path / name).is_symlink():
            (path / name).symlink_to(f"{_DATA}/{name}")
    for entry in path.iterdir():
        if not entry.name.startswith("..") and entry.name not in names and entry.is_symlink():
            entry.unlink()


def _current(path: Path) -> dict[str, File] | None:
    data = path / _DATA
    if not data.exists():
        return None
    found = [file for file in data.resolve().rglob("*") if file.is_file()]
    root = data.resolve()
    return {str(file.relative_to(root)): File(file.read_bytes(), file.stat().st_mode & 0o777) for file in found}
