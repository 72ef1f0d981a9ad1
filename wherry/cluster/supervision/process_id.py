"""Which process is meant: a pid alone may long belong to somebody else, pid and start time together do not.

Also how a process is told to end with the one that started it, and how it is named (Linux only).
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15
_POLL_SECONDS = 0.02
# Loaded before anyone forks: between fork and exec nothing may be loaded.
_libc = ctypes.CDLL(None) if sys.platform.startswith("linux") else None


class ProcessId(msgspec.Struct, frozen=True):
    """A process of this machine, of this boot."""

    pid: int
    started: str

    @property
    def is_alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return start_time(self.pid) == self.started != ""

    def signal(self, number: int) -> None:
        """Send a signal to it, and to nobody else."""
        if self.is_alive:
            try:
                os.kill(self.pid, number)
            except ProcessLookupError:
                return

    def ends_within(self, seconds: float) -> bool:
        """Wait until it has ended; says whether it did in time."""
        deadline = time.monotonic() + seconds
        while self.is_alive:
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_SECONDS)
        return True


def identify(pid: int) -> ProcessId:
    """The process that has this pid now."""
    return ProcessId(pid, start_time(pid))


def start_time(pid: int) -> str:
    """When a process was started, in whatever words the system has for it; empty if it does not run."""
    if not sys.platform.startswith("linux"):
        found = subprocess.run(("ps", "-o", "stat=,lstart=", "-p", str(pid)), capture_output=True, text=True)
        return "" if found.stdout.startswith("Z") else " ".join(found.stdout.split()[1:])
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
    # The name, in brackets, may hold anything; the state and field 22, the start in clock ticks, come after it.
    state, *rest = stat.rpartition(")")[2].split()
    return "" if state in "ZX" else f"{boot}/{rest[18]}"


def end_with_parent(parent: int) -> None:
    """In a new child of `parent`: be sent SIGTERM when the parent ends, in whatever way."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        if os.getppid() != parent:  # it ended before we asked
            os.kill(os.getpid(), signal.SIGTERM)


def rename(name: str) -> None:
    """Be called so by `ps -e` and `top`, as far as the system can; Linux shows the first 15 bytes."""
    if _libc is not None:
        _libc.prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def entitle(title: str) -> None:
    """Be shown so by `ps -f` and `pgrep -f`, as far as the command line that it replaces leaves room."""
    try:
        fields = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
        start, end = int(fields[45]), int(fields[46])
    except (OSError, ValueError, IndexError):
        return
    room = end - start - 2
    if room > 0:
        # The kernel shows all of the old length, unless its last byte is none: then what stands before the first NUL.
        ctypes.memmove(start, title.encode()[:room].ljust(room + 1, b"\0") + b".", room + 2)
