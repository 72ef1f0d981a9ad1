"""Who runs now, by the word of the supervisor's files; what is written there is believed only of living processes."""

from __future__ import annotations

import signal

import msgspec

from wherry.cluster.layout import Layout
from wherry.cluster.supervision.process_id import ProcessId
from wherry.cluster.supervision.report import ChildReport

_GRACE_SECONDS = 5.0


def supervisor_of(layout: Layout) -> ProcessId | None:
    """The cluster's supervisor, if it is alive."""
    try:
        process = msgspec.json.decode(layout.supervisor_file.read_bytes(), type=ProcessId)
    except (OSError, msgspec.MsgspecError):
        return None
    return process if process.is_alive else None


def reports_of(layout: Layout) -> list[ChildReport]:
    """What the supervisor last said about its processes."""
    try:
        return msgspec.json.decode(layout.processes_file.read_bytes(), type=list[ChildReport])
    except (OSError, msgspec.MsgspecError):
        return []


def end_strays(layout: Layout) -> None:
    """End processes whose supervisor is gone: asked first, then killed."""
    strays = [report.process for report in reports_of(layout) if report.process is not None]
    for process in strays:
        process.signal(signal.SIGTERM)
    for process in strays:
        if not process.ends_within(_GRACE_SECONDS):
            process.signal(signal.SIGKILL)
            process.ends_within(_GRACE_SECONDS)
    layout.processes_file.unlink(missing_ok=True)
