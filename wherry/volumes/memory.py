"""Directories in memory: a tmpfs of its own where this process may mount one, else one in the machine's shared memory.

Differs: without the right to mount (a kubelet that is not root), a size limit is not enforced, and folders that a
container made as root go with the cluster, not with their pod. The engine must share this process's view of mounts,
which one that runs in a virtual machine does not.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")


def shared_memory_of(pod_uid: str) -> Path:
    """A pod's part of the machine's shared memory; there only if it needs one."""
    return SHARED_MEMORY / f"wherry-{pod_uid}"


def make_memory_folder(path: Path, fallback: Path, *, size_bytes: int = 0, mode: int = 0o755) -> None:
    """Put `path` in memory; `fallback`, a folder in the machine's shared memory, serves if we may not mount."""
    if path.is_mount():
        return
    if not path.is_symlink():
        path.mkdir(parents=True, exist_ok=True)
        options = f"mode={mode:o}" + (f",size={size_bytes}" if size_bytes else "")
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            return
        path.rmdir()
        path.symlink_to(fallback)
    # Shared memory is everybody's: the pod's folder there is for nobody else on the machine to look into. Made again
    # also for a link that is there: after a reboot it leads nowhere.
    fallback.parent.mkdir(parents=True, mode=0o700, exist_ok=True)
    fallback.parent.chmod(0o700)
    fallback.mkdir(exist_ok=True)
    fallback.chmod(mode)


def drop_memory_folder(path: Path) -> None:
    """Undo `make_memory_folder`; what is not there is no error."""
    if path.is_symlink():
        shutil.rmtree(path.resolve(), ignore_errors=True)
        path.unlink()
    elif path.is_mount():
        # Lazily: a container that is just ending may still hold it.
        subprocess.run(["umount", "-l", str(path)], capture_output=True, check=False)
