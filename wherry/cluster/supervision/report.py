"""What the supervisor tells others of each process, in a file of the cluster."""

from __future__ import annotations

import msgspec

from wherry.cluster.supervision.process_id import ProcessId


class ChildReport(msgspec.Struct, frozen=True):
    """How a process does: `process` is None while it is down, `exit_code` is that of its last end."""

    name: str
    process: ProcessId | None
    since: str
    starts: int
    exit_code: int | None
    is_ready: bool
