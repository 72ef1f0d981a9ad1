"""What an operator may put into the data folder, besides what `up` makes there.

An audit policy, keys for what is encrypted at rest, whose ID tokens are believed, where OpenTelemetry listens, the
scheduler's profiles and plugins.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from wherry.cluster.layout import Layout, options_of
from wherry.cluster.ownership import persons_files
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.supervision.loaded_code import has_own_code_changed_since


def check_files(layout: Layout) -> None:
    """Raise ClusterProblem for a file that a component would refuse, before anything is started."""
    # What reads them is imported where there is a file: it is heavy, and most clusters have none.
    _check_policies(layout)
    if layout.authentication_file.exists():
        from apiserver.access.oidc.config import AuthenticationConfiguration
        from apiserver.file_errors import FileProblem, read_model

        try:
            read_model(layout.authentication_file, AuthenticationConfiguration)
        except FileProblem as problem:
            raise ClusterProblem(f"authentication {layout.authentication_file}: {problem}") from None
    if layout.tracing_file.exists():
        from apiserver.file_errors import FileProblem
        from apiserver.tracing.configuration import read_tracing

        try:
            read_tracing(layout.tracing_file)
        except FileProblem as problem:
            raise ClusterProblem(f"tracing {layout.tracing_file}: {problem}") from None
    if layout.scheduler_file.exists() or layout.scheduler_plugins.exists():
        from scheduler.config import ConfigError, rules_of
        from scheduler.framework import PluginFileError

        try:
            rules_of(*scheduling_files(layout))
        except (ConfigError, PluginFileError) as error:
            raise ClusterProblem(f"scheduler {layout.scheduler_file}: {error}") from None


def scheduling_files(layout: Layout) -> tuple[Path | None, Path | None]:
    """The scheduler's configuration and its folder of plugins, each if it is there."""
    config, plugins = layout.scheduler_file, layout.scheduler_plugins
    return config if config.exists() else None, plugins if plugins.exists() else None


def _check_policies(layout: Layout) -> None:
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
    """Tell of files that a running cluster does not obey yet, and of code that it does not run yet."""
    began = layout.supervisor_file.stat().st_mtime
    again = f"`wherry down{options_of(layout)}` and `wherry up{options_of(layout)}`"
    for file in persons_files(layout):
        if file.exists() and file.stat().st_mtime > began:
            say(f"{file} is newer than the running cluster: it counts after {again}")
    if has_own_code_changed_since(began):
        say(f"Wherry has changed since the cluster started, which still runs the old code: {again} take the new")
