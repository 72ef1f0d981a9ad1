"""How verbs ask a cluster something: where its credentials are, and whose rules of scheduling hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from scheduler.config import ConfigError, rules_of
from scheduler.explaining.forecast import Forecast, forecast
from scheduler.explaining.manifests import Wanted
from scheduler.explaining.picture import Picture
from scheduler.explaining.thought_devices import KINDS
from scheduler.framework import Plugin
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.scheduling.pod_group import PodGroup
from wherry.cli.daemons import pods_of_daemon
from wherry.client.http import Client
from wherry.client.kubeconfig import KubeconfigError, load_connection
from wherry.cluster.layout import layout_of
from wherry.cluster.operator_files import scheduling_files
from wherry.cluster.problem import ClusterProblem
from wherry.cluster.settings import load_settings
from wherry.machinery.errors import AlreadyExists, ApiError, Forbidden, NotFound
from wherry.machinery.resource import Resource

T = TypeVar("T")

ELSEWHERE = "one that was started with --data-dir is found with the same option"


def admin_kubeconfig(name: str, data_dir: Path | None) -> Path:
    """The kubeconfig of a cluster of this machine; raises ClusterProblem."""
    layout = layout_of(name, data_dir)
    load_settings(layout)  # it knows whether the folder belongs to a cluster of another name
    kubeconfig = layout.kubeconfig("admin")
    if not kubeconfig.exists():
        raise ClusterProblem(
            f"there is no cluster {layout.name} in {layout.data_dir}; `wherry up` starts one, and {ELSEWHERE}"
        )
    return kubeconfig


def asked(kubeconfig: Path, question: Callable[[Client], Awaitable[T]], *, about: str) -> T:
    """The answer to a question that takes a client; raises ClusterProblem where the cluster has none."""

    async def ask() -> T:
        async with Client(load_connection(kubeconfig), user_agent="wherry") as client:
            return await question(client)

    try:
        return asyncio.run(ask())
    except (ApiError, KubeconfigError) as error:
        raise ClusterProblem(f"{about}: {error}") from error


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


def forecast_of(
    kubeconfig: Path,
    rules: Mapping[str, Sequence[Plugin]],
    wanted: Iterable[Wanted],
    brought: Iterable[dict[str, Any]] = (),
    *,
    about: str,
) -> Forecast:
    """What would become of the pods, were they and what is `brought` created now; raises ClusterProblem."""

    async def ask(client: Client) -> Forecast:
        pods = [pod for each in wanted for pod in await _completed(client, each)]
        known = [found for each in brought if (found := await _brought(client, each)) is not None]
        return forecast(await Picture.taken(client, rules, and_with=known), pods)

    return asked(kubeconfig, ask, about=about)


async def _completed(client: Client, wanted: Wanted) -> list[Pod]:
    """The pods as the API server would have them: with their priority, their account and their limits."""
    place = wanted.manifest["metadata"]["namespace"]
    try:
        answer = await client.create(wanted.manifest, dry_run=True)
    except (Forbidden, NotFound) as error:
        if "service account" not in error.message and error.code != NotFound.code:
            raise
        answer = await client.create(_elsewhere(wanted.manifest), dry_run=True)
    name, metadata = wanted.manifest["metadata"]["generateName"], {**answer["metadata"], "namespace": place}
    if wanted.is_daemon:
        return pods_of_daemon({**answer, "metadata": metadata}, (await client.list(Node)).items)
    names = [wanted.name] if wanted.name else [f"{name}{n}" for n in range(1, wanted.number + 1)]
    return [Pod.read({**answer, "metadata": {**metadata, "name": each, "uid": f"{place}/{each}"}}) for each in names]


async def _brought(client: Client, manifest: dict[str, Any]) -> Resource | None:
    """The object as the API server would have it; None if it is there already."""
    kinds: tuple[type[Resource], ...] = (*KINDS, PodGroup)
    kind = next(kind for kind in kinds if kind.kind.name == manifest["kind"])
    place = manifest["metadata"].get("namespace")
    try:
        answer = await client.create(manifest, dry_run=True)
    except AlreadyExists:
        return None
    except NotFound:
        if place is None:
            raise
        answer = await client.create(
            {**manifest, "metadata": {**manifest["metadata"], "namespace": "default"}}, dry_run=True
        )
    return kind.read({**answer, "metadata": {**answer["metadata"], **manifest["metadata"]}})


def _elsewhere(manifest: dict[str, Any]) -> dict[str, Any]:
    """The same pod where a namespace and an account are sure to be: its own may come with the same manifest."""
    spec = {key: value for key, value in manifest["spec"].items() if not key.startswith("serviceAccount")}
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": "default"}, "spec": spec}
