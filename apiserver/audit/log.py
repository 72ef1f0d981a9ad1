"""The file: one JSON object per line, closed to everyone else, and a new one when it is large.

Kubernetes: the log backend (`--audit-log-path`). Lines of one turn of the event loop are written together, before the
next turn begins; what cannot be written is told in the server's own log, and the request goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import structlog

log = structlog.get_logger()

_MEBI = 1024 * 1024
_DAY_SECONDS = 86400


class Rotation(NamedTuple):
    """When a file is large, how many are kept, and for how long; 0 is no limit."""

    max_mebibytes: int = 100
    max_backups: int = 10
    max_days: int = 0


class AuditLog:
    """Appends events. `path` `-` is standard output."""

    def __init__(self, path: str, rotation: Rotation) -> None:
        self._path, self._rotation = path, rotation
        self._lines: list[bytes] = []
        self._is_due = False
        self._descriptor = self._size = 0
        self._open()

    def write(self, event: dict[str, Any]) -> None:
        """Write an event, with others of this turn."""
        self._lines.append(orjson.dumps(event))
        if not self._is_due:
            self._is_due = True
            asyncio.get_running_loop().call_soon(self.flush)

    def flush(self) -> None:
        """Write what there is."""
        self._is_due = False
        if not self._lines:
            return
        data = b"\n".join((*self._lines, b""))
        self._lines.clear()
        try:
            if self._is_full(len(data)):
                self._rotate()
            while data:
                written = os.write(self._descriptor, data)
                self._size += written
                data = data[written:]
        except OSError as error:
            log.error("audit events were lost", error=str(error), bytes=len(data))

    def close(self) -> None:
        """Write the rest and let go of the file."""
        self.flush()
        if self._path != "-":
            os.close(self._descriptor)

    def _open(self) -> None:
        if self._path == "-":
            self._descriptor = sys.stdout.fileno()
            return
        Path(self._path).parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.fchmod(self._descriptor, 0o600)
        self._size = os.fstat(self._descriptor).st_size

    def _is_full(self, more: int) -> bool:
        limit = self._rotation.max_mebibytes * _MEBI
        return self._path != "-" and bool(limit) and self._size > 0 and self._size + more > limit

    def _rotate(self) -> None:
        """The file gets the time into its name: `audit-2026-01-31T12-00-00.000000.log`."""
        path = Path(self._path)
        now = time.time()
        stamp = time.strftime("%Y-%m-%dT%H-%M-%S", time.gmtime(now)) + f".{int(now * 1_000_000) % 1_000_000:06d}"
        full = self._descriptor
        # Somebody may have moved it away already.
        with contextlib.suppress(FileNotFoundError):
            path.rename(path.with_name(f"{path.stem}-{stamp}{path.suffix}"))
        self._open()
        os.close(full)
        backups = sorted(path.parent.glob(f"{path.stem}-[0-9]*{path.suffix}"))
        keep = self._rotation.max_backups
        oldest = now - self._rotation.max_days * _DAY_SECONDS if self._rotation.max_days else 0.0
        for place, backup in enumerate(reversed(backups)):
            if (keep and place >= keep) or backup.stat().st_mtime < oldest:
                backup.unlink()
