"""Whose a folder is: a cluster's, nobody's yet, or somebody else's, where nothing is made and nothing removed."""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from wherry.cluster.layout import Layout
from wherry.cluster.problem import ClusterProblem

_MOUNT_POINT = "lost+found"  # in every new file system, so in a disk of its own for a cluster


class Owner(Enum):
    """Who has a data folder."""

    CLUSTER = "a cluster"
    NOBODY = "nobody"
    STRANGER = "somebody else"


def owner_of(layout: Layout) -> Owner:
    """Who has the folder; raises ClusterProblem where it cannot be looked into.

    An `up` that was interrupted leaves its folders, all of them, without settings: these are a cluster's too.
    """
    try:
        found = {path.name for path in layout.data_dir.iterdir()}
    except FileNotFoundError:
        return Owner.NOBODY
    except OSError as error:
        raise ClusterProblem(f"--data-dir {layout.data_dir}: {error.strerror}") from error
    if layout.settings_file.name in found:
        return Owner.CLUSTER
    unknown = found - {path.name for path in persons_files(layout)} - {_MOUNT_POINT}
    if not unknown:
        return Owner.NOBODY
    made = {folder.name for folder in layout.folders}
    # `down` removes `run` before it looks at anything else.
    return Owner.CLUSTER if made - {layout.run.name} <= unknown <= made else Owner.STRANGER


def refuse_strangers_folder(layout: Layout) -> None:
    """Raise ClusterProblem if a cluster would come to lie between somebody else's files."""
    if owner_of(layout) is Owner.STRANGER:
        raise ClusterProblem(
            f"--data-dir {layout.data_dir}: no cluster in {layout.data_dir}, and it holds other files, which are left "
            "alone; name a folder that is empty or not there yet"
        )


def persons_files(layout: Layout) -> tuple[Path, ...]:
    """What the person puts into the folder; no cluster makes or removes it."""
    files = (layout.encryption_file, layout.audit_policy_file, layout.authentication_file)
    return *files, layout.tracing_file, layout.scheduler_file, layout.scheduler_plugins
