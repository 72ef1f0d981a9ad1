"""A file system of a few megabytes, to be filled to the last byte and freed again."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

SIZE_BYTES = 8 * 1024 * 1024


class SmallDisk:
    """Mounted at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Until nothing more fits."""
        with contextlib.suppress(OSError), self._ballast.open("ab", buffering=0) as file:
            while file.write(b"x" * 4096):
                pass

    def free(self) -> None:
        self._ballast.unlink()


@contextlib.contextmanager
def a_small_disk(folder: Path) -> Iterator[SmallDisk]:
    """Skips where nothing may be mounted."""
    if os.geteuid() != 0:
        pytest.skip("a disk to be filled takes root to mount it")
    folder.mkdir()
    command = ("mount", "-t", "tmpfs", "-o", f"size={SIZE_BYTES},mode=0700", "wherry-test", str(folder))
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing may be mounted here: {done.stderr.strip()}")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(("umount", "--lazy", str(folder)), check=True)
