"""Leave the machine as it was: remove every container, mount and folder that a node's kubelet has made.

For whoever takes a cluster down; the kubelet itself leaves pods running when it stops. Only what carries the labels of
this cluster and node is touched.
"""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from kubelet.runtime.base import Runtime
from kubelet.supplies.sub_paths import sub_paths_of, take_back
from wherry.volumes.memory import shared_memory_of


async def remove_everything(runtime: Runtime, data_dir: Path) -> int:
    """How many containers and sandboxes there were."""
    inventory = await runtime.inventory()
    for thing in inventory.all:
        await runtime.remove(thing.id)
    await asyncio.to_thread(remove_pod_folders, pod_folders(data_dir))
    await asyncio.to_thread(shutil.rmtree, data_dir / "pods", ignore_errors=True)
    return len(inventory.all)


def pod_folders(data_dir: Path) -> list[Path]:
    """The folders of pods, each named by its pod's uid."""
    pods = data_dir / "pods"
    return list(pods.iterdir()) if pods.is_dir() else []


def remove_pod_folders(folders: Iterable[Path]) -> None:
    """Remove folders of pods with all that is mounted there, and what the pods had in memory."""
    for folder in folders:
        take_back(sub_paths_of(folder))
        unmount_below(folder)
        remove_pod_folder(folder)


def remove_pod_folder(folder: Path) -> None:
    """Remove it and what the pod had in memory. While something there is not ours to remove, since a container wrote
    it as root and we are not, the folder stays too: by it one knows whose memory that is.
    """
    memory = shared_memory_of(folder.name)
    shutil.rmtree(memory, ignore_errors=True)
    if not memory.exists():
        shutil.rmtree(folder, ignore_errors=True)


def unmount_below(folder: Path) -> None:
    """Unmount every file system under a folder, the deepest first."""
    prefix = str(folder.resolve()) + "/"
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    points = [line.split()[4].encode().decode("unicode_escape") for line in lines]
    for point in sorted((point for point in points if point.startswith(prefix)), key=len, reverse=True):
        subprocess.run(["umount", "-l", point], capture_output=True, check=False)
