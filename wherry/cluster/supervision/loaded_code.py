"""Whether the code that this process has loaded is still what stands in its files.

A process that is forked long after the imports would run what it imports itself, which is new, beside what is old.
"""

from __future__ import annotations

import os
import sys
import sysconfig


def has_changed_since(moment: float) -> bool:
    """Whether a file of a loaded module was written, replaced or removed since; of installed packages, whether any
    was added, replaced or removed.

    Goes by the time of change, which no tool can set back, as some do with the time of modification.
    """
    installed = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    files = (getattr(module, "__file__", None) for module in tuple(sys.modules.values()))
    ours = (file for file in files if file and not file.startswith(tuple(installed)))
    return any(_changed_at(path) > moment for path in (*installed, *ours))


def _changed_at(path: str) -> float:
    try:
        return os.stat(path).st_ctime
    except OSError:
        return float("inf")
