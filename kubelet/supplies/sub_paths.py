"""Sub-paths: a place inside a volume, which no container can make lead out of it.

A container that shares the volume may put a link where a folder was, at any moment. So every step down is taken from
a file descriptor of the one before, links are not followed, and what the engine is given is not the path but a mount
of what was opened. Mounts stand apart from the pods' folders: those are removed with all they hold.

Kubernetes: pkg/volume/util/subpath. Differs: a kubelet that may not mount (one that is not root) gives the engine the
path; a container that swaps a link between the check and the mount is not caught then.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

_OPEN = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class LeadsOut(Exception):
    """The sub-path does not stay in its volume."""


def sub_paths_of(pod_folder: Path) -> Path:
    """Where the sub-paths of a pod are mounted, a folder for each of its containers."""
    return pod_folder.parent.parent / "sub_paths" / pod_folder.name


def give_sub_path(volume: Path, sub_path: str, place: Path) -> Path:
    """The folder or file at `sub_path`, a folder made if need be, at `place` if we may mount it there.

    Raises LeadsOut, and OSError when a step cannot be taken.
    """
    root = volume.resolve()
    target = (root / sub_path).resolve()
    if not target.is_relative_to(root):
        raise LeadsOut(f"subPath {sub_path!r} leads out of its volume")
    opened = _open_below(root, target.relative_to(root).parts, sub_path)
    try:
        return place if _mount(opened, place) else target
    finally:
        os.close(opened)


def take_back(folder: Path) -> None:
    """Unmount what was given to the containers of a pod; never looks into a place, where a user's files may be."""
    containers = list(folder.iterdir()) if folder.is_dir() else []
    for container in containers:
        for place in container.iterdir():
            _clear(place)
        with suppress(OSError):
            container.rmdir()
    with suppress(OSError):
        folder.rmdir()


def _open_below(root: Path, parts: tuple[str, ...], sub_path: str) -> int:
    """Steps down from `root`, which is ours; folders that are missing get the permissions of the volume."""
    here = os.open(root, _OPEN)
    mode = stat.S_IMODE(os.fstat(here).st_mode)
    for part in parts:
        try:
            following = _step(here, part, mode)
        finally:
            os.close(here)
        here = following
        if stat.S_ISLNK(os.fstat(here).st_mode):
            os.close(here)
            raise LeadsOut(f"subPath {sub_path!r}: {part} has become a link")
    return here


def _step(parent: int, name: str, mode: int) -> int:
    try:
        return os.open(name, _OPEN, dir_fd=parent)
    except FileNotFoundError:
        os.mkdir(name, mode, dir_fd=parent)
    made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        os.fchmod(made, mode)  # which the umask has cut
        return os.open(name, _OPEN, dir_fd=parent)
    finally:
        os.close(made)


def _mount(opened: int, place: Path) -> bool:
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    _clear(place)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.parent.chmod(0o700)
    if stat.S_ISDIR(os.fstat(opened).st_mode):
        place.mkdir()
    else:
        place.touch()
    source = f"/proc/{os.getpid()}/fd/{opened}"
    # The name of the source leads through the descriptor; read as a path it would be open to links again.
    command = ("mount", "--no-canonicalize", "--bind", source, str(place))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        # Giving out the path instead would let whoever removed the folder choose where it leads.
        _clear(place)
        raise OSError(f"it cannot be mounted: {done.stderr.strip()}")
    return True


def _clear(place: Path) -> None:
    """Lazily: a container that is just ending may still hold it. What cannot be unmounted stays."""
    subprocess.run(("umount", "-l", str(place)), capture_output=True, check=False)
    with suppress(OSError):
        place.rmdir() if place.is_dir() else place.unlink()
