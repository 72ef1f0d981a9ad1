"""Act: carries out the actions of one plan, in order.

Every write says which object it means: a change carries the uid and the version that the plan saw (or that this
plan's own last write gave it), a deletion the uid. A stale plan therefore ends in `Conflict` and does nothing. The
first failure ends the plan.

Runs of `Create` and of `Delete` go out in batches of 1, 2, 4, …: when the first is refused, the others are not tried.
Pods of one batch share requests where the server takes several at once (`wherry/client/batches.py`).

Kubernetes: slowStartBatch and RealPodControl, whose events about pods (SuccessfulCreate, FailedDelete, …) are told
here, so plans need not tell them. Differs: names are made up here and not by the server, so that a create without
an answer can be tried again under the same name.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from wherry.api.core.pod import Pod
from wherry.client import clock
from wherry.client.backoff import Backoff
from wherry.client.batches import Batches, Deletions, NoBatches, Outcome, alike, check_lead, parcels
from wherry.client.events import EventRecorder
from wherry.client.fence import Fence
from wherry.client.http import Client, delete_options
from wherry.client.patches import merged, status_patch
from wherry.client.plan import Action, CheckAgain, Create, Delete, Event, Evict, Manifest, SetStatus, Update
from wherry.client.world import World
from wherry.machinery.errors import AlreadyExists, ApiError, Conflict, NotFound, TooLarge, TooManyRequests
from wherry.machinery.names import generate_name
from wherry.machinery.resource import Resource, kind_named

CREATE_ATTEMPTS = 4
# Of pods in one request: more would keep the others of the server waiting, and there is a limit to a body.
MOST_TOGETHER, MOST_BYTES_TOGETHER = 25, 512 * 1024


@dataclass(frozen=True)
class Desk:
    """What all plans of one controller act with. `may_act` says whether this process still leads."""

    client: Client
    recorder: EventRecorder
    fence: Fence
    may_act: Callable[[], bool]
    pods: Batches
    deletions: Deletions


class Act:
    """One plan being carried out. `planned` is the object it is about, None if gone; `done` counts what was written."""

    def __init__(self, desk: Desk, key: str, planned: Resource | None, world: World) -> None:
        self._client, self._recorder, self._fence = desk.client, desk.recorder, desk.fence
        self._pods, self._deletions = desk.pods, desk.deletions
        self._may_act, self._key, self._planned, self._world = desk.may_act, key, planned, world
        # uid -> the version that this plan's own last write gave the object
        self._versions: dict[str, str] = {}
        self._blocked: TooManyRequests | None = None
        self.done: Counter[str] = Counter()
        self.check_after: float | None = None

    async def carry_out(self, actions: Sequence[Action]) -> None:
        """Do everything; raises the first error."""
        patches = {
            index: self._status_patch(action) for index, action in enumerate(actions) if type(action) is SetStatus
        }
        for verb, run in groupby(enumerate(actions), key=lambda numbered: type(numbered[1])):
            if verb is Create or verb is Delete:
                await self._in_batches([action for _, action in run])
            else:
                for index, action in run:
                    await self._single(action, patches.get(index))
        if self._blocked is not None:
            raise self._blocked

    async def _single(self, action: Action, status: dict[str, Any] | None) -> None:
        match action:
            case Update():
                await self._update(action)
            case SetStatus(obj):
                await self._set_status(obj, status or {})
            case Evict(pod):
                await self._evict(pod)
            case Event(obj, reason, message, type, verb):
                self._recorder.record(obj, reason, message, type, action=verb)
            case CheckAgain(seconds):
                self.check_after = seconds if self.check_after is None else min(seconds, self.check_after)
            case _:
                raise TypeError(f"a plan yielded {action!r}, which is no action")

    async def _in_batches(self, actions: Sequence[Action]) -> None:
        size, rest = 1, list(actions)
        while rest:
            batch, rest = rest[:size], rest[size:]
            for error in await self._outcomes(batch):
                if error:
                    raise error
            size *= 2

    async def _outcomes(self, actions: Sequence[Action]) -> list[ApiError | None]:
        """Errors are values here: the others of a batch must not be cancelled half-way."""
        pods = [action.manifest for action in actions if isinstance(action, Create) and _is_pod(action.manifest)]
        if len(actions) == len(pods) > 1 and self._pods.are_taken:
            works = [self._together(parcel) for parcel in parcels(pods, MOST_TOGETHER, MOST_BYTES_TOGETHER)]
        else:
            works = [self._alone(action) for action in actions]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for work in works]
        return [error for task in tasks for error in task.result()]

    async def _alone(self, action: Action) -> list[ApiError | None]:
        try:
            if isinstance(action, Create):
                await self._create(action.manifest)
            elif isinstance(action, Delete):
                await self._delete(action)
        except ApiError as error:
            return [error]
        return [None]

    async def _together(self, manifests: Sequence[Manifest]) -> list[ApiError | None]:
        """Create pods with one request."""
        named = [_named(manifest) for manifest in manifests]
        outcomes = await self._asked(named)
        settled = (self._settled(*each) for each in zip(manifests, named, outcomes, strict=True))
        return await asyncio.gather(*settled)

    async def _asked(self, named: Sequence[Manifest]) -> Sequence[Outcome | None]:
        """What became of each; None where it has not been asked for yet."""
        try:
            self._check_lead()
            return await self._pods.outcomes(named)
        except (NoBatches, TooLarge):
            return [None] * len(named)
        except ApiError as error:
            return alike(error, len(named))

    async def _settled(self, manifest: Manifest, named: Manifest, outcome: Outcome | None) -> ApiError | None:
        """Who was not asked for, has no clear answer or got a name that is taken goes on alone, by that name."""
        error = outcome.error if outcome else None
        try:
            if outcome is None or isinstance(error, AlreadyExists):
                await self._create(manifest, named)
            elif error is not None and error.code >= 500:
                await self._create(manifest, named, error)
            elif error is not None:
                self._tell_refused(Pod, manifest, error := _without_made_up_name(error, manifest, named))
                return error
            else:
                self._made(Pod, named, outcome.revision)
        except ApiError as failure:
            return failure
        return None

    async def _create(
        self, manifest: Manifest, named: Manifest | None = None, unanswered: ApiError | None = None
    ) -> None:
        kind = kind_named(manifest.get("apiVersion", ""), manifest.get("kind", ""))
        try:
            created = await self._created(manifest, kind, named or _named(manifest), unanswered)
        except ApiError as error:
            self._tell_refused(kind, manifest, error)
            raise
        if created is not None:
            self._made(kind, created, int(created["metadata"]["resourceVersion"]))

    def _made(self, kind: type[Resource] | None, created: Manifest, revision: int) -> None:
        self.done["create"] += 1
        if kind is not None:
            self._fence.wrote(self._key, kind, revision)
        self._tell(kind, created, "SuccessfulCreate", f"Created pod: {created['metadata']['name']}")

    def _tell_refused(self, kind: type[Resource] | None, manifest: Manifest, error: ApiError) -> None:
        if not error.says_namespace_is_going:
            self._tell(kind, manifest, "FailedCreate", f"Error creating: {error.message}", "Warning")

    async def _created(
        self, manifest: Manifest, kind: type[Resource] | None, named: Manifest, unanswered: ApiError | None
    ) -> dict[str, Any] | None:
        """The new object, None if it was there before. One name is tried until it is clear what became of it."""
        backoff = Backoff(0.2, 2.0)
        for _ in range(CREATE_ATTEMPTS):
            if unanswered:
                await asyncio.sleep(backoff.next())
            self._check_lead()
            try:
                return await self._client.create(named)
            except AlreadyExists:
                if unanswered or named is manifest:
                    return await self._found(named, kind, ours=unanswered is not None)
                named = _named(manifest)  # somebody else has the name that we made up
            except ApiError as error:
                if error.code < 500:
                    if unanswered:
                        self._doubt(named, kind)  # a refusal now says nothing of the attempt that was not answered
                    raise _without_made_up_name(error, manifest, named) from error
                unanswered = error
        if unanswered is None:
            raise AlreadyExists(f"{manifest['metadata']['generateName']}: every name that was made up is taken")
        self._doubt(named, kind)
        raise _without_made_up_name(unanswered, manifest, named)

    async def _found(self, named: Manifest, kind: type[Resource] | None, *, ours: bool) -> dict[str, Any] | None:
        """What a create found in its place: our own, created by an attempt that got no answer, or another's."""
        if kind is None:
            return None
        metadata = named["metadata"]
        try:
            found: dict[str, Any] = await self._client.request(
                "GET", kind.kind.path(metadata.get("namespace", ""), metadata["name"])
            )
        except ApiError:
            self._doubt(named, kind)  # it is there, and our copy may not show it yet
            raise
        self._wrote(kind, found)
        return found if ours else None

    def _doubt(self, named: Manifest, kind: type[Resource] | None) -> None:
        if kind is not None:
            metadata = named["metadata"]
            self._fence.doubts(self._key, kind, metadata.get("namespace", ""), metadata["name"])

    async def _update(self, action: Update) -> None:
        obj, metadata = action.obj, action.obj.metadata
        self._check_lead()
        if self._is_adoption(action):
            await self._recheck_planned()
        patch = {**action.patch, "metadata": {**action.patch.get("metadata", {}), **self._preconditions(obj)}}
        if action.subresource == "finalize":
            # Kubernetes offers no PATCH here; the version we saw still guards the PUT.
            path = obj.kind.path(metadata.namespace, metadata.name)
            whole = merged(await self._client.request("GET", path), patch)
            written = await self._client.update(whole, subresource="finalize")
        else:
            written = await self._patched(obj, patch, action.subresource)
        self.done["update"] += 1
        self._wrote(type(obj), written)

    def _is_adoption(self, action: Update) -> bool:
        owners = action.patch.get("metadata", {}).get("ownerReferences") or ()
        return self._planned is not None and any(owner["uid"] == self._planned.metadata.uid for owner in owners)

    async def _recheck_planned(self) -> None:
        """Adopting for an owner that is going away would undo an orphaning deletion: ask the server, not the copy."""
        planned = self._planned
        if planned is None:
            return
        fresh = await self._client.get(type(planned), planned.metadata.name, planned.metadata.namespace)
        if fresh.metadata.uid != planned.metadata.uid or fresh.metadata.deleted_at is not None:
            raise Conflict(f"{planned.key} is gone or being deleted and adopts nothing")

    def _status_patch(self, action: Action) -> dict[str, Any]:
        """What the plan wants changed, taken now: later the copy may show a newer version than the plan saw."""
        obj = action.obj if isinstance(action, SetStatus) else None
        seen = obj and self._world.get(type(obj), obj.metadata.name, obj.metadata.namespace)
        if obj is None or seen is None or seen.metadata.resource_version != obj.metadata.resource_version:
            raise TypeError(f"SetStatus of an object that is not in this world: {action!r}")
        return status_patch(seen, obj)

    async def _set_status(self, obj: Resource, patch: dict[str, Any]) -> None:
        if not patch:
            return
        self._check_lead()
        subresource = "status" if "status" in obj.kind.subresources else ""
        written = await self._patched(obj, {"metadata": self._preconditions(obj), **patch}, subresource)
        self.done["status"] += 1
        self._wrote(type(obj), written)

    async def _patched(self, obj: Resource, patch: dict[str, Any], subresource: str) -> dict[str, Any]:
        kind, name, namespace = type(obj), obj.metadata.name, obj.metadata.namespace
        try:
            return await self._client.patch(kind, name, namespace, patch, subresource=subresource)
        except ApiError as error:
            if error.code >= 500:
                self._fence.doubts(self._key, kind, namespace, name)
            raise

    async def _delete(self, action: Delete) -> None:
        obj, metadata = action.obj, action.obj.metadata
        version = metadata.resource_version if action.only_as_seen else ""
        grace, propagation = action.grace_seconds, action.propagation
        options = delete_options(uid=metadata.uid, version=version, grace_seconds=grace, propagation=propagation)
        self._check_lead()
        try:
            if obj.kind.qualified == "Pod":
                await self._deletions.delete(obj, options)
            else:
                await self._client.request("DELETE", obj.kind.path(metadata.namespace, metadata.name), body=options)
        except NotFound:
            self._fence.deleted(self._key, obj)
            return
        except ApiError as error:
            if error.code >= 500:
                self._fence.doubts_deletion(self._key, obj)
            self._tell_deleted(obj, "FailedDelete", f"Error deleting: {error.message}", "Warning")
            raise
        self.done["delete"] += 1
        self._fence.deleted(self._key, obj)
        self._tell_deleted(obj, "SuccessfulDelete", f"Deleted pod: {metadata.name}")

    async def _evict(self, pod: Resource) -> None:
        metadata = pod.metadata
        self._check_lead()
        body = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"name": metadata.name, "namespace": metadata.namespace},
            "deleteOptions": {"preconditions": {"uid": metadata.uid}},
        }
        try:
            await self._client.request("POST", pod.kind.path(metadata.namespace, metadata.name, "eviction"), body=body)
        except TooManyRequests as error:
            self._blocked = error  # a budget forbids this one now; it may allow the next
            return
        except NotFound:
            return
        self.done["evict"] += 1
        self._fence.deleted(self._key, pod)

    def _preconditions(self, obj: Resource) -> dict[str, str]:
        metadata = obj.metadata
        return {"uid": metadata.uid, "resourceVersion": self._versions.get(metadata.uid, metadata.resource_version)}

    def _wrote(self, kind: type[Resource] | None, written: dict[str, Any]) -> None:
        metadata = written["metadata"]
        self._versions[metadata["uid"]] = metadata["resourceVersion"]
        if kind is not None:
            self._fence.wrote(self._key, kind, int(metadata["resourceVersion"]))

    def _check_lead(self) -> None:
        check_lead(self._may_act)

    def _tell(self, kind: type[Resource] | None, manifest: Manifest, *event: str) -> None:
        owners = manifest["metadata"].get("ownerReferences") or ()
        self._tell_of_own(kind, [owner["uid"] for owner in owners], *event)

    def _tell_deleted(self, obj: Resource, *event: str) -> None:
        controller = obj.metadata.controller
        self._tell_of_own(type(obj), [controller.uid] if controller else [], *event)

    def _tell_of_own(self, kind: type[Resource] | None, owners: Sequence[str], *event: str) -> None:
        is_pod = kind is not None and kind.kind.qualified == "Pod"
        if is_pod and self._planned is not None and self._planned.metadata.uid in owners:
            self._recorder.record(self._planned, *event)


def _named(manifest: Manifest) -> Manifest:
    """The manifest with a name of its own, if it has but a prefix."""
    metadata = manifest.get("metadata") or {}
    if metadata.get("name") or not metadata.get("generateName"):
        return manifest
    return {**manifest, "metadata": {**metadata, "name": generate_name(metadata["generateName"], clock.randomness())}}


def _without_made_up_name(error: ApiError, manifest: Manifest, named: Manifest) -> ApiError:
    """The error as Kubernetes tells it, of the prefix: the same failure is then the same message each time."""
    if named is not manifest:
        told = type(error)(error.message.replace(named["metadata"]["name"], manifest["metadata"]["generateName"]))
        told.details = error.details
        return told
    return error


def _is_pod(manifest: Manifest) -> bool:
    return manifest.get("kind") == "Pod" and manifest.get("apiVersion") == "v1"
