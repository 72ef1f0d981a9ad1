"""One at a time: `up` and `down` of one cluster, and what they do to things all clusters share.

Folders are locked, not files, so nothing is left behind. A lock ends with the process that holds it.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wherry.cluster.layout import Layout
from wherry.cluster.problem import ClusterProblem


@contextmanager
def only_one(layout: Layout) -> Iterator[None]:
    """While this lasts, no other `up` or `down` touches the cluster; raises ClusterProblem if one does now."""
    with _locked(layout.data_dir, fcntl.LOCK_EX | fcntl.LOCK_NB) as is_held:
        if not is_held:
            raise ClusterProblem(
                f"another `wherry up` or `wherry down` works on cluster {layout.name}: try again later"
            )
        yield


@contextmanager
def shared_things() -> Iterator[None]:
    """While this lasts, no other cluster makes or removes networks and images; waits for its turn."""
    with _locked(Path(tempfile.gettempdir()), fcntl.LOCK_EX):
        yield


@contextmanager
def _locked(folder: Path, operation: int) -> Iterator[bool]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, operation)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)
