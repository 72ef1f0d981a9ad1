"""What containers have used, read from the kernel's own counters: cgroup v1 and v2, under either of Docker's drivers.

A few small files each, which is a hundred times cheaper than asking the daemon to read the same ones. Containers whose
group is not found here (an engine in a virtual machine) are the engine's to ask about.
"""

from __future__ import annotations

from pathlib import Path

from kubelet.runtime.base import Usage

ROOT = Path("/sys/fs/cgroup")
# Where Docker puts a container: under its own driver, and under systemd's.
_PLACES = ("docker/{}", "system.slice/docker-{}.scope")

# A process that has it may ask the kernel to spare others.
_CAP_SYS_RESOURCE = 24


class Cgroups:
    """Counters of containers by id."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root
        self._is_v2 = (root / "cgroup.controllers").exists()

    def read(self, container_id: str) -> Usage | None:
        """What a container has used so far; None if it has no group here."""
        for place in _PLACES:
            path = place.format(container_id)
            try:
                return self._second(self._root / path) if self._is_v2 else self._first(path)
            except (OSError, KeyError, ValueError):
                continue
        return None

    def _second(self, group: Path) -> Usage:
        cpu_micros = _table(group / "cpu.stat")["usage_usec"]
        used, cache = _number(group / "memory.current"), _table(group / "memory.stat").get("inactive_file", 0)
        return Usage(cpu_micros * 1000, max(0, used - cache))

    def _first(self, path: str) -> Usage:
        cpu_nanos = _number(self._root / "cpuacct" / path / "cpuacct.usage")
        memory = self._root / "memory" / path
        cache = _table(memory / "memory.stat").get("total_inactive_file", 0)
        return Usage(cpu_nanos, max(0, _number(memory / "memory.usage_in_bytes") - cache))


def _number(path: Path) -> int:
    return int(path.read_text())


def _table(path: Path) -> dict[str, int]:
    pairs = (line.split() for line in path.read_text().splitlines())
    return {name: int(value) for name, value in pairs}


def may_protect_from_oom() -> bool:
    """Whether a process of this machine may ask the kernel to spare it: inside another container it often may not."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return False
    bounding = next((line.split()[1] for line in status.splitlines() if line.startswith("CapBnd:")), "0")
    return bool(int(bounding, 16) >> _CAP_SYS_RESOURCE & 1)
