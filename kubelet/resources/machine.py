"""What this machine is: its measures and versions, read from the kernel."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from typing import NamedTuple

_GO_NAMES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


class Machine(NamedTuple):
    """Capacity in whole units, and names."""

    cpus: int
    memory_bytes: int
    disk_bytes: int
    architecture: str
    kernel: str
    os_image: str
    machine_id: str
    system_uuid: str
    boot_id: str


def read_machine(data_dir: Path) -> Machine:
    """Read once at start; capacity does not change while a machine runs."""
    return Machine(
        cpus=len(os.sched_getaffinity(0)),
        memory_bytes=_meminfo()["MemTotal"],
        disk_bytes=shutil.disk_usage(data_dir).total,
        architecture=_GO_NAMES.get(platform.machine(), platform.machine()),
        kernel=platform.release(),
        os_image=_os_name(),
        machine_id=_text("/etc/machine-id"),
        system_uuid=_text("/sys/class/dmi/id/product_uuid") or _text("/etc/machine-id"),
        boot_id=_text("/proc/sys/kernel/random/boot_id"),
    )


class Pressure(NamedTuple):
    """What of the machine is nearly used up."""

    memory: bool
    disk: bool
    pids: bool


# Kubernetes' default hard eviction thresholds.
_MIN_MEMORY_BYTES = 100 * 1024**2
_MIN_DISK_FRACTION = 0.10
_MIN_PID_FRACTION = 0.05
EVICTION_HARD = {
    "memory.available": f"{_MIN_MEMORY_BYTES // 1024**2}Mi",
    "nodefs.available": f"{_MIN_DISK_FRACTION:.0%}",
    "pid.available": f"{_MIN_PID_FRACTION:.0%}",
}


def read_pressure(data_dir: Path) -> Pressure:
    """How the machine is doing now."""
    disk = shutil.disk_usage(data_dir)
    highest = int(_text("/proc/sys/kernel/pid_max") or 0)
    used = int(_text("/proc/loadavg").split()[3].split("/")[1]) if _text("/proc/loadavg") else 0
    return Pressure(
        memory=_meminfo()["MemAvailable"] < _MIN_MEMORY_BYTES,
        disk=disk.free < disk.total * _MIN_DISK_FRACTION,
        pids=bool(highest) and highest - used < highest * _MIN_PID_FRACTION,
    )


def read_usage() -> tuple[int, int]:
    """What the machine has used since it started, in nanoseconds of cpu, and the bytes of memory it uses now."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = map(int, _text("/proc/stat").split()[1:9])
    ticks = user + nice + system + irq + softirq + steal
    memory = _meminfo()
    return ticks * 10**9 // os.sysconf("SC_CLK_TCK"), memory["MemTotal"] - memory["MemAvailable"]


def _meminfo() -> dict[str, int]:
    lines = (line.split() for line in Path("/proc/meminfo").read_text().splitlines())
    return {words[0].rstrip(":"): int(words[1]) * 1024 for words in lines}


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "Linux")
    except OSError:
        return "Linux"


def _text(path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except OSError:
        return ""
