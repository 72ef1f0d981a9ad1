"""What the API server would make of a manifest, and which of it it would refuse: it is asked, and makes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, NamedTuple

from scheduler.explaining import thought_devices, thought_volumes
from scheduler.explaining.forecast import Forecast, forecast
from scheduler.explaining.manifests import Wanted, brought_by, has_namespace, wanted_by
from scheduler.explaining.picture import Picture
from scheduler.framework import Plugin
from wherry.api.core.limit_range import LimitRange
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.core.quota.bounds import complaints_of_pod, set_defaults, told
from wherry.api.core.quota.resource_quota import ResourceQuota
from wherry.api.scheduling.pod_group import PodGroup
from wherry.api.scheduling.priority_class import PriorityClass
from wherry.cli.allowances import Allowances, in_force
from wherry.cli.asking import asked
from wherry.cli.daemons import pods_of_daemon
from wherry.client import clock
from wherry.client.http import Client
from wherry.cluster.problem import ClusterProblem
from wherry.machinery.errors import AlreadyExists, ApiError, Forbidden, NotFound, forbidden
from wherry.machinery.resource import Resource

# What a person may not do, as opposed to what nobody may.
_NOT_ALLOWED = "cannot create resource"


class Tried(NamedTuple):
    """The pods that there would be, and what comes with them; `owners` has who makes a pod without a name, by uid.

    So many pods would be `refused`, and `why` has a line for each reason.
    """

    pods: Sequence[Pod]
    brought: Sequence[Resource]
    owners: dict[str, str]
    refused: int
    why: Sequence[str]


class Trial:
    """One manifest before the API server; `namespace` is that of objects that name none. Raises ClusterProblem."""

    def __init__(self, documents: Sequence[dict[str, Any]], namespace: str) -> None:
        self.wanted = [each for document in documents for each in _read(document, namespace)]
        self._documents, self._namespace = documents, namespace
        self._brought = [obj for document in documents for obj in brought_by(document, namespace)]
        self._comes = {_key(document, namespace) for document in documents}
        self._pods, self._owners = list[Pod](), dict[str, str]()
        self._refused, self._why = 0, list[str]()
        self._classes: dict[str, PriorityClass] = {}
        self._ranges: list[LimitRange] = []

    async def held(self, client: Client) -> Tried:
        """What comes of it."""
        for document in self._documents:
            if not document.get("apiVersion"):
                raise ClusterProblem("an object of the manifest lacks its field 'apiVersion'")
            if any(_read(document, self._namespace)) or any(brought_by(document, self._namespace)):
                await self._whole(client, document)
        brought = [found for each in self._brought if (found := await self._thing(client, each)) is not None]
        self._classes = {each.metadata.name: each for each in brought if isinstance(each, PriorityClass)}
        self._ranges = [each for each in brought if isinstance(each, LimitRange)]
        spaces = {each.manifest["metadata"]["namespace"] for each in self.wanted}
        quotas = [quota for space in sorted(spaces) for quota in (await client.list(ResourceQuota, space)).items]
        for quota in brought:
            if isinstance(quota, ResourceQuota):
                pods = (await client.list(Pod, quota.metadata.namespace)).items
                quotas.append(in_force(quota, pods, clock.now()))
        brought = [each for each in brought if not isinstance(each, (ResourceQuota, PriorityClass, LimitRange))]
        allowances = Allowances(quotas, clock.now())
        for wanted in self.wanted:
            await self._members(client, wanted, allowances)
        return Tried(self._pods, brought, self._owners, self._refused, self._why)

    async def _whole(self, client: Client, document: dict[str, Any]) -> None:
        """The object as it was written: a field that nobody knows is a mistake, as for `kubectl apply`."""
        metadata = document.get("metadata") or {}
        if has_namespace(document["kind"]):
            metadata = {**metadata, "namespace": metadata.get("namespace") or self._namespace}
        try:
            await self._create(client, {**document, "metadata": metadata}, strict=True)
        except AlreadyExists:
            if any(_read(document, self._namespace)):
                known = f"{document['kind']} {metadata.get('namespace')}/{metadata.get('name')}"
                self._why.append(f"{known} is there already: this is what would become of as many pods again")
        except Forbidden as error:
            if document["kind"] == "Pod" or _NOT_ALLOWED in error.message:
                return  # of pods it is heard once more, and of rights where it matters: when pods are made
            self._refuse(f"{document['kind']} {metadata.get('namespace')}/{metadata.get('name')}", 0, error)

    async def _members(self, client: Client, wanted: Wanted, allowances: Allowances) -> None:
        """The pods as the API server would have them: with their priority, their account and their limits."""
        name, place = wanted.manifest["metadata"]["generateName"], wanted.manifest["metadata"]["namespace"]
        owner = wanted.owner or f"Pod {place}/{wanted.name or name}"
        try:
            answer = await self._in_bounds(client, wanted.manifest) if wanted.number else {}
        except Forbidden as error:
            if _NOT_ALLOWED in error.message:
                raise
            self._refuse(owner, wanted.number, error)
            return
        pods = await _named(client, wanted, answer) if answer else []
        allowed = allowances.of(pods)
        self._pods += pods[: allowed.number]
        if wanted.owner and not wanted.is_daemon and wanted.first:
            self._owners |= dict.fromkeys([pod.metadata.uid for pod in pods], f"a pod of {owner}")
        if allowed.why:
            self._refused += len(pods) - allowed.number
            self._why.append(f"{owner}: {len(pods) - allowed.number} of {len(pods)} pods refused: {allowed.why}")

    async def _in_bounds(self, client: Client, manifest: dict[str, Any]) -> dict[str, Any]:
        """The pod as it would be with the limit ranges that come with it; raises Forbidden if it breaks them."""
        metadata = manifest["metadata"]
        ranges = [each for each in self._ranges if each.metadata.namespace == metadata["namespace"]]
        completed = deepcopy(manifest) if ranges else manifest
        for each in ranges:
            set_defaults(completed, each)
        answer = await self._create(client, completed)
        for each in ranges:
            if why := told(complaints_of_pod(answer, each)):
                raise forbidden("pods", metadata["generateName"], why)
        return answer

    def _refuse(self, owner: str, number: int, error: ApiError) -> None:
        self._refused += number
        why = error.message.partition(" is forbidden: ")[2] or error.message
        line = f"{owner}: {'refused' if number < 2 else f'{number} of {number} pods refused'}: {why}"
        if not number or line not in self._why:
            self._why.append(line)

    async def _thing(self, client: Client, manifest: dict[str, Any]) -> Resource | None:
        """The object as the API server would have it; None if it is there already."""
        kinds: tuple[type[Resource], ...] = (*thought_devices.KINDS, *thought_volumes.KINDS)
        kinds = (*kinds, PodGroup, ResourceQuota, PriorityClass, LimitRange)
        kind = next(kind for kind in kinds if kind.kind.name == manifest["kind"])
        try:
            answer = await self._create(client, manifest)
        except AlreadyExists:
            return None
        return kind.read({**answer, "metadata": {**answer["metadata"], **manifest["metadata"]}})

    async def _create(self, client: Client, manifest: dict[str, Any], *, strict: bool = False) -> dict[str, Any]:
        """What comes back for it; where it needs what comes with it, it is put where that is sure to be."""
        place = manifest["metadata"].get("namespace", "")
        chosen = self._classes.get((manifest.get("spec") or {}).get("priorityClassName", ""))
        if chosen is not None and manifest["kind"] == "Pod":
            return _of_class(await self._create(client, _of_class(manifest, None), strict=strict), chosen)
        try:
            return await client.create(manifest, dry_run=True, strict=strict)
        except NotFound as error:
            if ("Namespace", "", place) not in self._comes:
                hint = f"; `kubectl create namespace {place}` makes it" if "namespaces" in error.message else ""
                raise ClusterProblem(f"the API server would refuse it: {error.message}{hint}") from error
        except Forbidden as error:
            account = (manifest.get("spec") or {}).get("serviceAccountName") or "default"
            is_made = account == "default" or ("ServiceAccount", place, account) in self._comes
            if "service account" not in error.message or not is_made:
                raise
        return await client.create(_elsewhere(manifest), dry_run=True, strict=strict)


def forecast_of(
    kubeconfig: Path, rules: Mapping[str, Sequence[Plugin]], trial: Trial, *, about: str
) -> tuple[Forecast, Mapping[str, str]]:
    """What would become of the pods, were the manifest created now, and who makes those that have no name, by uid."""

    async def ask(client: Client) -> tuple[Forecast, Mapping[str, str]]:
        tried = await trial.held(client)
        for pod in tried.pods:
            if pod.spec.scheduler_name not in rules:
                whose = tried.owners.get(pod.metadata.uid, pod.key)
                raise ClusterProblem(_of_another(whose, pod.spec.scheduler_name, list(rules)))
        told = forecast(await Picture.taken(client, rules, and_with=tried.brought), tried.pods)
        return told.beside(tried.refused, tried.why), tried.owners

    return asked(kubeconfig, ask, about=about)


def _of_another(pod: str, scheduler: str, ours: Sequence[str]) -> str:
    known = "the scheduler here is" if len(ours) == 1 else "the schedulers here are"
    return (
        f"{pod} wants schedulerName {scheduler}, and {known} {', '.join(ours)}: nobody here would give it a node. "
        "If that scheduler runs elsewhere, --config takes its configuration"
    )


def _read(document: dict[str, Any], namespace: str) -> Iterable[Wanted]:
    try:
        return list(wanted_by(document, namespace))
    except KeyError as error:
        raise ClusterProblem(f"an object of the manifest lacks its field {error}") from error
    except (TypeError, ValueError) as error:
        raise ClusterProblem(f"an object of the manifest cannot be planned: {error}") from error


def _of_class(pod: dict[str, Any], chosen: PriorityClass | None) -> dict[str, Any]:
    """The pod as one of this class, which the API server does not know yet; of none, if there is none."""
    named = ("priorityClassName", "priority", "preemptionPolicy")
    spec = {key: value for key, value in pod["spec"].items() if key not in named}
    if chosen is not None:
        policy = chosen.preemption_policy or "PreemptLowerPriority"
        spec |= {"priorityClassName": chosen.metadata.name, "priority": chosen.value, "preemptionPolicy": policy}
    return {**pod, "spec": spec}


def _key(document: dict[str, Any], namespace: str) -> tuple[str, str, str]:
    kind, metadata = document.get("kind", ""), document.get("metadata") or {}
    place = "" if kind == "Namespace" or not has_namespace(kind) else metadata.get("namespace") or namespace
    return kind, place, metadata.get("name", "")


async def _named(client: Client, wanted: Wanted, answer: dict[str, Any]) -> list[Pod]:
    place, prefix = wanted.manifest["metadata"]["namespace"], wanted.manifest["metadata"]["generateName"]
    metadata = {**answer["metadata"], "namespace": place}
    if wanted.is_daemon:
        return pods_of_daemon({**answer, "metadata": metadata}, (await client.list(Node)).items)
    numbers = range(wanted.first, wanted.first + wanted.number)
    names = [wanted.name] if wanted.name else [f"{prefix}{n}" for n in numbers]
    return [Pod.read({**answer, "metadata": {**metadata, "name": each, "uid": f"{place}/{each}"}}) for each in names]


def _elsewhere(manifest: dict[str, Any]) -> dict[str, Any]:
    """The same where a namespace and an account are sure to be: its own may come with the same manifest."""
    kept = {key: value for key, value in manifest.get("spec", {}).items() if not key.startswith("serviceAccount")}
    spec = {"spec": kept} if "spec" in manifest else {}
    return {**manifest, "metadata": {**manifest["metadata"], "namespace": "default"}, **spec}
