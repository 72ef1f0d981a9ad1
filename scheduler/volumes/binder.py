"""VolumeBinder: keeps the claims, volumes and classes at hand, and has a pod's claims bound before the pod is.

For each claim that got its place with the pod either a free volume is set aside for it, or the node is written into it,
for whoever makes volumes; then the pod waits until the controllers have bound all of them. Each pod waits in a task of
its own, so that one whose volume nobody makes keeps no other from its node. Whoever cannot make a volume there takes
the node out of the claim again: then, or when a claim goes, the pod is given up at once, to be placed anew.

Kubernetes: the VolumeBinding plugin's Reserve and PreBind, with its ten minutes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog

from scheduler.binder import Bound
from scheduler.framework import Plugin
from scheduler.plugins.volumes.binding import VolumeBinding, VolumeBindingArgs
from scheduler.pods import PodView
from scheduler.snapshot import Snapshot
from scheduler.volumes.attachments import Attachments
from scheduler.volumes.capacity import Capacity
from scheduler.volumes.lookup import Lookup, Promise
from wherry.api.core.node import Node
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.meta import reference_to
from wherry.api.storage.csi_driver import CSIDriver
from wherry.api.storage.csi_node import CSINode
from wherry.api.storage.csi_storage_capacity import CSIStorageCapacity
from wherry.api.storage.provisioning import SELECTED_NODE
from wherry.api.storage.storage_class import StorageClass
from wherry.api.storage.volume_attachment import VolumeAttachment
from wherry.client.batches import check_lead
from wherry.client.http import Client
from wherry.client.informer import Informer, OptionalInformer
from wherry.machinery.errors import ApiError

log = structlog.get_logger()

BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"

BindPod = Callable[[PodView, str], Awaitable[None]]


def bind_seconds(profiles: Mapping[str, Sequence[Plugin]]) -> dict[str, float]:
    """How long a pod waits for its volumes, by scheduler name; where no plugin says, what Kubernetes says."""
    seconds = VolumeBindingArgs().bind_timeout_seconds
    said = {
        name: plugin.args.bind_timeout_seconds
        for name, plugins in profiles.items()
        for plugin in plugins
        if isinstance(plugin, VolumeBinding)
    }
    return {name: said.get(name, seconds) for name in profiles}


class VolumeBinder:
    """See the module. `bind_pod` goes on with a pod whose claims are bound; `report` hears of those that cannot be.

    After so many `seconds`, by the pod's scheduler name, one that waits for its volumes is tried again. `may_act` is
    asked before each write.
    """

    def __init__(
        self,
        client: Client,
        snapshot: Snapshot,
        bind_pod: BindPod,
        report: Callable[[Bound], None],
        seconds: Mapping[str, float],
        may_act: Callable[[], bool] = lambda: True,
    ) -> None:
        self._client, self._bind_pod, self._report, self._seconds = client, bind_pod, report, seconds
        self._may_act = may_act
        self.claims = Informer(client, PersistentVolumeClaim)
        self.volumes = Informer(client, PersistentVolume)
        self.classes = Informer(client, StorageClass)
        self.on_nodes = OptionalInformer(client, CSINode)
        self.attached = OptionalInformer(client, VolumeAttachment)
        self.drivers = OptionalInformer(client, CSIDriver)
        self.capacities = OptionalInformer(client, CSIStorageCapacity)
        shelves = (self.claims.shelf, self.volumes.shelf, self.classes.shelf)
        attachments = Attachments(snapshot, *shelves)
        capacity = Capacity(self.drivers.shelf, self.capacities.shelf)
        self.lookup = Lookup(*shelves, attachments.limited, capacity.room)
        self._tasks: asyncio.TaskGroup | None = None
        self._waiting: set[asyncio.Event] = set()
        self.claims.subscribe(lambda _: self._look_again())
        self.claims.subscribe(attachments.claim_changed)
        self.volumes.subscribe(attachments.volume_changed)
        self.classes.subscribe(attachments.class_changed)
        self.on_nodes.subscribe(attachments.node_changed)
        self.attached.subscribe(attachments.attachment_changed)
        self.drivers.subscribe(capacity.changed)
        self.capacities.subscribe(capacity.changed)

    @property
    def informers(self) -> tuple[Informer[Any], ...]:
        """The copies, which somebody else keeps running."""
        required = (self.claims, self.volumes, self.classes)
        return (*required, self.on_nodes, self.attached, self.drivers, self.capacities)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            await asyncio.Event().wait()

    async def bind(self, pod: PodView, node: Node) -> None:
        """Bind the claims that go with the pod, if there are any, and then the pod."""
        promises = self.lookup.promise(pod, node)
        if not promises:
            await self._bind_pod(pod, node.metadata.name)
        elif self._tasks is not None:
            self._tasks.create_task(self._keep(pod, node.metadata.name, promises), name=f"volumes of {pod.key}")

    async def _keep(self, pod: PodView, node: str, promises: list[Promise]) -> None:
        try:
            async with asyncio.timeout(self._seconds[pod.spec.scheduler_name]):
                for promise in promises:
                    await self._write(promise)
                await self._until_bound(promises)
        except ApiError as error:
            self._give_up(pod, node, error)
        except TimeoutError:
            self._give_up(pod, node, ApiError("binding volumes: context deadline exceeded"))
        else:
            await self._bind_pod(pod, node)
        finally:
            self.lookup.forget(promises)

    def _give_up(self, pod: PodView, node: str, error: ApiError) -> None:
        self._report(Bound(pod, node, ApiError(f'running PreBind plugin "VolumeBinding": {error.message}')))

    async def _write(self, promise: Promise) -> None:
        claim = self.claims.get(promise.claim)
        if claim is None or claim.spec.volume_name:
            return
        uid = claim.metadata.uid
        if not promise.volume:
            if claim.metadata.annotations.get(SELECTED_NODE) != promise.node:
                chosen = {"metadata": {"uid": uid, "annotations": {SELECTED_NODE: promise.node}}}
                key = claim.metadata
                check_lead(self._may_act)
                written = await self._client.patch(PersistentVolumeClaim, key.name, key.namespace, chosen)
                # A copy from before this write would look as if somebody had taken the node out again.
                await self.claims.reaches(int(written["metadata"]["resourceVersion"]))
            return
        volume = self.volumes.get(promise.volume)
        if volume is not None and volume.spec.claim_ref is None:
            seen = {"uid": volume.metadata.uid, "resourceVersion": volume.metadata.resource_version}
            marks = {"annotations": {BOUND_BY_CONTROLLER: "yes"}}
            aside = {"metadata": {**seen, **marks}, "spec": {"claimRef": reference_to(claim)}}
            check_lead(self._may_act)
            await self._client.patch(PersistentVolume, promise.volume, "", aside)

    async def _until_bound(self, promises: list[Promise]) -> None:
        woken = asyncio.Event()
        self._waiting.add(woken)
        try:
            while not self.lookup.are_bound(promises):
                if reason := self.lookup.broken(promises):
                    raise ApiError(f"binding volumes: {reason}")
                woken.clear()
                await woken.wait()
        finally:
            self._waiting.discard(woken)

    def _look_again(self) -> None:
        for woken in self._waiting:
            woken.set()
