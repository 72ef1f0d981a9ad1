"""How verbs ask a cluster something: where its credentials are, and whose rules of scheduling hold."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from scheduler.config import ConfigError, rules_of
from scheduler.framework import Plugin, mistake_in_a_file
from wherry.client.http import Client
from wherry.client.kubeconfig import KubeconfigError, load_connection
from wherry.cluster.layout import layout_of, options_of
from wherry.cluster.operator_files import scheduling_files
from wherry.cluster.overview import layout_in
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.settings import load_settings
from wherry.machinery.errors import ApiError, Timeout, Unavailable

T = TypeVar("T")

ELSEWHERE = "one that was started with --name or --data-dir is found with the same options"


def admin_kubeconfig(name: str, data_dir: Path | None) -> Path:
    """The kubeconfig of a cluster of this machine; raises ClusterProblem."""
    layout = layout_of(name, data_dir)
    load_settings(layout)  # it knows whether the folder belongs to a cluster of another name
    kubeconfig = layout.kubeconfig("admin")
    if not kubeconfig.exists():
        raise ClusterProblem(
            f"there is no cluster {layout.name} in {layout.data_dir}; `wherry up{options_of(layout)}` starts one, and "
            f"{ELSEWHERE}"
        )
    return kubeconfig


def asked(kubeconfig: Path, question: Callable[[Client], Awaitable[T]], *, about: str) -> T:
    """The answer to a question that takes a client; raises ClusterProblem where the cluster has none."""

    async def ask() -> T:
        async with Client(load_connection(kubeconfig), user_agent="wherry") as client:
            return await question(client)

    try:
        return asyncio.run(ask())
    except (Unavailable, Timeout) as error:
        if error.__cause__ is None:
            raise ClusterProblem(f"{about}: {error}") from error
        raise ClusterProblem(_silent(kubeconfig)) from error
    except (ApiError, KubeconfigError) as error:
        raise ClusterProblem(f"{about}: {error}") from error


def _silent(kubeconfig: Path) -> str:
    """What to do about a cluster that does not answer."""
    server = load_connection(kubeconfig).server
    layout = layout_in(kubeconfig.parent.parent)
    if layout.kubeconfig("admin") != kubeconfig:
        return (
            f"the cluster of {kubeconfig} does not answer at {server}: is it running, and can it be reached from here?"
        )
    options = options_of(layout)
    start = f"`wherry status{options}` says how it does, and `wherry up{options}` starts it if it is stopped"
    return f"cluster {layout.name} does not answer at {server}; {start}"


def blames_plugins(command: Callable[..., Any]) -> Callable[..., Any]:
    """Have a ClusterProblem say it if a plugin of the user's own is what breaks a verb."""

    @functools.wraps(command)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        try:
            return command(*args, **kwargs)
        except Exception as error:
            if mistake := mistake_in_a_file(error):
                raise ClusterProblem(mistake) from error
            raise

    return wrapper


def scheduling_rules(config: Path | None, plugins: Path | None) -> Mapping[str, Sequence[Plugin]]:
    """The plugins by scheduler name, as `python -m scheduler` would have them; raises ClusterProblem."""
    try:
        return rules_of(config, plugins)
    except (ConfigError, ImportError, TypeError) as error:
        raise ClusterProblem(str(error)) from error


def rules_here(config: Path | None, plugins: Path | None, name: str, data_dir: Path | None) -> Mapping[str, Any]:
    """The same for a cluster of this machine, whose own files hold where none are given; raises ClusterProblem."""
    own = scheduling_files(layout_of(name, data_dir))
    return scheduling_rules(config or own[0], plugins or own[1])
