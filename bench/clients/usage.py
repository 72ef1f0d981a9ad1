"""What processes use, and what the machine gives to others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")


class Used(NamedTuple):
    """What a process has used: seconds of a core, and MiB of memory that are its own."""

    cpu_seconds: float
    resident_mib: float

    @classmethod
    def by(cls, pid: int) -> Used:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        resident = Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]
        return cls((int(fields[11]) + int(fields[12])) / TICKS, int(resident) / 1024)


def stolen() -> float:
    """Seconds that the host of this machine gave to others while somebody here wanted them."""
    return int(Path("/proc/stat").read_text().split(maxsplit=9)[8]) / TICKS
