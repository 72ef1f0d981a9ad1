"""Whether the code that a process has loaded is still what stands in its files.

A process that is forked long after the imports would run what it imports itself, which is new, beside what is old.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

_OURS = ("wherry", "apiserver", "scheduler", "controllers", "kubelet", "kubeproxy")


def has_changed_since(moment: float) -> bool:
    """Whether a file of a loaded module was written, replaced or removed since; of installed packages, whether any
    was added, replaced or removed.

    Goes by the time of change, which no tool can set back, as some do with the time of modification.
    """
    installed = {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
    files = (getattr(module, "__file__", None) for module in tuple(sys.modules.values()))
    ours = (file for file in files if file and not file.startswith(tuple(installed)))
    return any(_changed_at(path) > moment for path in (*installed, *ours))


def has_own_code_changed_since(moment: float) -> bool:
    """Whether a file of Wherry was written since, loaded here or not. One that was removed is not missed."""
    found = filter(None, map(find_spec, _OURS))
    folders = (Path(folder) for spec in found for folder in spec.submodule_search_locations or ())
    return any(_changed_at(str(file)) > moment for folder in folders for file in folder.rglob("*.py"))


def _changed_at(path: str) -> float:
    try:
        return os.stat(path).st_ctime
    except OSError:
        return float("inf")
