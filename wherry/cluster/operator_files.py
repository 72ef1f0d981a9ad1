"""What an operator may put into the data folder: an audit policy, and keys for what is encrypted at rest."""

from __future__ import annotations

from collections.abc import Callable

from wherry.cluster.layout import Layout
from wherry.cluster.problem import ClusterProblem


def check_files(layout: Layout) -> None:
    """Raise ClusterProblem for a file that the API server would refuse, before anything is started."""
    # Imported where there is a file: they are heavy, and most clusters have none.
    if layout.audit_policy_file.exists():
        from apiserver.audit.policy import PolicyError, load_policy

        try:
            load_policy(layout.audit_policy_file)
        except PolicyError as error:
            raise ClusterProblem(str(error)) from None
    if layout.encryption_file.exists():
        from apiserver.storage.encryption.config import EncryptionError, load_encryption
        from wherry.api import kinds

        kinds.load()
        try:
            load_encryption(layout.encryption_file).by_folder()
        except EncryptionError as error:
            raise ClusterProblem(f"encryption {error}") from None


def say_what_is_newer(layout: Layout, say: Callable[[str], None]) -> None:
    """Tell of files that a running cluster does not obey yet."""
    began = layout.supervisor_file.stat().st_mtime
    for file in (layout.audit_policy_file, layout.encryption_file):
        if file.exists() and file.stat().st_mtime > began:
            say(
                f"{file} is newer than the running cluster: it counts after `wherry down --name {layout.name}` and `up`"
            )
