"""Containers' groups in the kernel: cgroup v1 and v2, under either of Docker's drivers.

What containers have used is read from the kernel's own counters: a few small files each, which is a hundred times
cheaper than asking the daemon to read the same ones. Containers whose group is not found here (an engine in a virtual
machine) are the engine's to ask about.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from kubelet.runtime.base import Usage

ROOT = Path("/sys/fs/cgroup")
# Where Docker puts a container: under its own driver, and under systemd's.
_PLACES = ("docker/{}", "system.slice/docker-{}.scope")

# In which the kernel tells times in cgroup v1, whatever its own clock: USER_HZ.
_TICK_NANOS = 10**7

# A process that has it may ask the kernel to spare others.
_CAP_SYS_RESOURCE = 24


class Traffic(NamedTuple):
    """What an interface received and sent since it is there: bytes, packets, errors, dropped packets."""

    received: tuple[int, int, int, int]
    sent: tuple[int, int, int, int]


class Cgroups:
    """Groups of containers, by container id."""

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

    def let_die_as_one(self, container_id: str) -> None:
        """Have the kernel end all of a container that is out of memory, not one process of it; v2 alone can.

        Kubernetes: memory.oom.group, as singleProcessOOMKill is false by default. Limit: an ordinary user may not.
        """
        for place in _PLACES if self._is_v2 else ():
            switch = self._root / place.format(container_id) / "memory.oom.group"
            with suppress(OSError), switch.open("r+") as file:
                file.write("1")

    def _second(self, group: Path) -> Usage:
        cpu, memory, used = _table(group / "cpu.stat"), _table(group / "memory.stat"), _number(group / "memory.current")
        return Usage(
            cpu_nanos=cpu["usage_usec"] * 1000,
            memory_bytes=max(0, used - memory.get("inactive_file", 0)),
            user_nanos=cpu.get("user_usec", 0) * 1000,
            system_nanos=cpu.get("system_usec", 0) * 1000,
            periods=cpu.get("nr_periods", 0),
            throttled_periods=cpu.get("nr_throttled", 0),
            throttled_nanos=cpu.get("throttled_usec", 0) * 1000,
            charged_bytes=used,
            rss_bytes=memory.get("anon", 0),
            cache_bytes=memory.get("file", 0),
        )

    def _first(self, path: str) -> Usage:
        cpu, memory = self._root / "cpuacct" / path, self._root / "memory" / path
        details, used = _table(memory / "memory.stat"), _number(memory / "memory.usage_in_bytes")
        ticks, turns = _table_if_there(cpu / "cpuacct.stat"), _table_if_there(self._root / "cpu" / path / "cpu.stat")
        return Usage(
            cpu_nanos=_number(cpu / "cpuacct.usage"),
            memory_bytes=max(0, used - details.get("total_inactive_file", 0)),
            user_nanos=ticks.get("user", 0) * _TICK_NANOS,
            system_nanos=ticks.get("system", 0) * _TICK_NANOS,
            periods=turns.get("nr_periods", 0),
            throttled_periods=turns.get("nr_throttled", 0),
            throttled_nanos=turns.get("throttled_time", 0),
            charged_bytes=used,
            rss_bytes=details.get("total_rss", 0),
            cache_bytes=details.get("total_cache", 0),
        )

    def traffic(self, container_id: str) -> dict[str, Traffic]:
        """What went through the interfaces of a container's network, loopback apart; empty if it has no group here."""
        root = self._root if self._is_v2 else self._root / "memory"
        for place in _PLACES:
            try:
                pid = (root / place.format(container_id) / "cgroup.procs").read_text().split()[0]
                lines = Path(f"/proc/{pid}/net/dev").read_text().splitlines()[2:]
            except (OSError, IndexError):
                continue
            return dict(_interface(line) for line in lines if not line.lstrip().startswith("lo:"))
        return {}


def _interface(line: str) -> tuple[str, Traffic]:
    name, _, numbers = line.partition(":")
    counts = [int(number) for number in numbers.split()]
    return name.strip(), Traffic(
        (counts[0], counts[1], counts[2], counts[3]), (counts[8], counts[9], counts[10], counts[11])
    )


def _table_if_there(path: Path) -> dict[str, int]:
    return _table(path) if path.exists() else {}


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
