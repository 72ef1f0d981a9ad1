"""Collecting: observes all kinds for controllers/garbage: a graph from watches, and owners from the server itself.

What is collected is not asked for again: each write is for the version seen, and refused for any other.

Kinds that other controllers watch anyway are not watched twice; of all others only the metadata is kept. Custom
kinds are learned from their definitions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from controllers.garbage.graph import OwnerGraph, honours, is_waiting
from controllers.garbage.plan import Owner, plan
from controllers.parts.metadata import collectable_kinds, metadata_view
from controllers.shells.bench import Bench
from controllers.shells.custom_watches import CustomWatches
from controllers.shells.desk import ShellDesk
from wherry.client.http import Client
from wherry.client.informer import Change, Informer
from wherry.machinery.errors import NotFound
from wherry.machinery.meta import OwnerReference
from wherry.machinery.resource import Kind, Resource

# Of pods that are collected at once many go with one request, and the next ones are judged meanwhile.
WORKERS = 50
# An owner that the server has and our watch has not shown yet may be gone before it ever does: then nothing else would
# make us look again.
UNSEEN_OWNER_SECONDS = 5.0
# Kubernetes: the garbage collector's cache of absent owners.
ABSENT_OWNERS = 500


class Collecting:
    """See the module. `informers` are those that run anyway."""

    def __init__(
        self,
        client: Client,
        informers: Mapping[type[Resource], Informer[Any]],
        customs: CustomWatches,
        may_act: Callable[[], bool],
    ) -> None:
        self._customs = customs
        self._client, self._graph = client, OwnerGraph()
        self._desk = ShellDesk("garbage", client, may_act, component="garbage-collector-controller")
        self._bench = Bench("garbage", self._collect, workers=WORKERS)
        self._kinds = {(kind.group, kind.name): kind for kind in collectable_kinds()}
        shared = {(cls.kind.group, cls.kind.plural): informer for cls, informer in informers.items()}
        shared["apiextensions.k8s.io", "customresourcedefinitions"] = customs.definitions
        self._own = [
            Informer(client, metadata_view(kind))
            for kind in self._kinds.values()
            if (kind.group, kind.plural) not in shared
        ]
        self._informers = [*shared.values(), *self._own]
        self._is_complete = False
        # An object that is gone never returns under its uid: of a thousand pods' owner the server is asked once.
        self._absent: dict[tuple[OwnerReference, str], None] = {}
        for informer in self._informers:
            informer.subscribe(self._changed)
        customs.subscribe(self._changed)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to collect just now."""
        return self._is_complete and self._bench.is_idle

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for informer in self._own:
                group.create_task(informer.run(), name=f"informer {informer.kind.kind.plural}")
            # Nobody is missed before everybody had the chance to come.
            for informer in self._informers:
                await informer.synced()
            await self._customs.ready()
            self._is_complete = True
            for uid in sorted(self._graph.suspects()):
                self._bench.add(uid)
            group.create_task(self._desk.recorder.run())
            group.create_task(self._bench.run())

    def _changed(self, change: Change[Resource]) -> None:
        if change.after is not None:
            look_at = self._graph.put(change.after)
        else:
            look_at = self._graph.remove(change.before) if change.before is not None else set()
        for uid in sorted(look_at) if self._is_complete else ():
            self._bench.add(uid)

    async def _collect(self, uid: str) -> float | None:
        obj = self._graph.get(uid)
        if obj is None or not self._graph.is_suspect(obj):
            return None
        # The plan is for this version of it: if there is another one, the server refuses, and the watch will tell.
        owners = {one.uid: await self._owner(obj, one) for one in self._graph.doubtful(obj)}
        await self._desk.carry_out(obj, plan(obj, owners, self._graph.dependents(obj)))
        is_unseen = any(owner is Owner.UNSEEN for owner in owners.values())
        return UNSEEN_OWNER_SECONDS if is_unseen else None

    async def _owner(self, obj: Resource, reference: OwnerReference) -> Owner:
        place = reference.api_version.rpartition("/")[0], reference.kind
        kind = self._kinds.get(place) or self._customs.kind(*place)
        if kind is None:
            return Owner.PRESENT  # nothing is known of such kinds, so nothing is deleted because of them
        if kind.namespaced and not obj.metadata.namespace:
            return Owner.PRESENT  # a cluster-wide object cannot belong to a namespace: Kubernetes leaves it alone
        if (reference, obj.metadata.namespace) in self._absent:
            return Owner.ABSENT
        owner = await self._live(kind, reference.name, obj.metadata.namespace if kind.namespaced else "")
        if owner is None or not honours(reference, obj, owner):
            self._remember_absent(reference, obj.metadata.namespace)
            return Owner.ABSENT
        if is_waiting(owner):
            return Owner.WAITING
        return Owner.PRESENT if self._graph.get(reference.uid) else Owner.UNSEEN

    def _remember_absent(self, reference: OwnerReference, namespace: str) -> None:
        self._absent[reference, namespace] = None
        if len(self._absent) > ABSENT_OWNERS:
            del self._absent[next(iter(self._absent))]

    async def _live(self, kind: Kind, name: str, namespace: str) -> Resource | None:
        try:
            return await self._client.get(metadata_view(kind), name, namespace)
        except NotFound:
            return None
