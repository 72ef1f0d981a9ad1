"""Logs of processes: appended to, cut when large, read from the end."""

from __future__ import annotations

import os
import shutil
from functools import partial
from pathlib import Path
from typing import BinaryIO

MOST_BYTES = 16 * 1024 * 1024
_TAIL_BYTES = 64 * 1024


def open_log(log: Path) -> BinaryIO:
    """A log to append to, closed to others than its owner."""
    return open(log, "ab", opener=partial(os.open, mode=0o600))


def keep_small(folder: Path) -> None:
    """Move what a large log holds to NAME.log.1. Writers append, so they go on at the start of the emptied file.

    A line written between the copy and the cut is lost.
    """
    for log in folder.glob("*.log"):
        if log.stat().st_size > MOST_BYTES:
            shutil.copy(log, log.with_name(log.name + ".1"))
            os.truncate(log, 0)


def last_lines(log: Path, count: int) -> list[str]:
    """The end of a log; empty if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - _TAIL_BYTES))
            return file.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []
