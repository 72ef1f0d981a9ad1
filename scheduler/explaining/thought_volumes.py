"""The volumes of a picture: claims that are not there yet, and what they would get, were their pods to be placed.

What `scheduler/volumes/binder.py` does for the scheduler, without writing anything. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from scheduler.pods import PodView
from scheduler.snapshot import Snapshot
from scheduler.volumes.attachments import Attachments
from scheduler.volumes.capacity import Capacity
from scheduler.volumes.lookup import Lookup, Promise
from wherry.api.core.node import Node
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.storage.csi_driver import CSIDriver
from wherry.api.storage.csi_node import CSINode
from wherry.api.storage.csi_storage_capacity import CSIStorageCapacity
from wherry.api.storage.storage_class import StorageClass, default_class
from wherry.api.storage.volume_attachment import VolumeAttachment
from wherry.client.informer import Change
from wherry.client.world import Shelf
from wherry.machinery.resource import Resource

KINDS: tuple[type[Resource], ...] = (
    *(PersistentVolumeClaim, PersistentVolume, StorageClass),
    *(CSINode, CSIDriver, CSIStorageCapacity, VolumeAttachment),
)


class ThoughtVolumes:
    """See the module. `snapshot` is told of which driver volumes are, and how many of it each node takes."""

    def __init__(self, objects: Mapping[type[Resource], Sequence[Any]], snapshot: Snapshot) -> None:
        self._nodes: Mapping[str, Node] = {node.metadata.name: node for node in objects.get(Node, ())}
        self._classes: Shelf[StorageClass] = _shelf(objects.get(StorageClass, ()))
        kept = (_shelf(objects.get(PersistentVolumeClaim, ())), _shelf(objects.get(PersistentVolume, ())))
        self._attachments = Attachments(snapshot, *kept, self._classes)
        capacity = Capacity(_shelf(objects.get(CSIDriver, ())), _shelf(objects.get(CSIStorageCapacity, ())))
        self._lookup = Lookup(*kept, self._classes, self._attachments.limited, capacity.room)
        self._promises: dict[str, list[Promise]] = {}
        for claim in objects.get(PersistentVolumeClaim, ()):
            self._attachments.claim_changed(Change(None, claim))
        for drivers in objects.get(CSINode, ()):
            self._attachments.node_changed(Change(None, drivers))
        for attachment in objects.get(VolumeAttachment, ()):
            self._attachments.attachment_changed(Change(None, attachment))

    def view(self, pod: PodView) -> PodView:
        """The pod with what its claims ask for."""
        return self._lookup.view(pod)

    def imagine(self, pod: Pod) -> None:
        """A pod that is not there yet, with the claims that would be made for its ephemeral volumes."""
        for volume in pod.spec.volumes:
            kind, source = volume.source
            if kind == "ephemeral":
                template: Any = source.get("volumeClaimTemplate") or {}
                name = f"{pod.metadata.name}-{volume.name}"
                self.imagine_claim(_claim(name, pod, template.get("spec") or {}, self._classes.all()))

    def imagine_claim(self, claim: PersistentVolumeClaim) -> None:
        """A claim that is not there yet; whatever its class says, it gets its volume where its pod goes."""
        self._lookup.imagine(claim)
        self._attachments.claim_changed(Change(None, claim))

    def take(self, pod: PodView, node: str) -> None:
        """The pod's claims get their volumes on the node; nobody else gets these."""
        if node in self._nodes and pod.claims:
            self._promises[pod.uid] = self._lookup.promise(self.view(pod), self._nodes[node])

    def let_go(self, uid: str) -> None:
        """The pod was there in thought only."""
        self._lookup.forget(self._promises.pop(uid, []))


def _claim(name: str, pod: Pod, spec: Mapping[str, Any], classes: Iterable[StorageClass]) -> PersistentVolumeClaim:
    chosen = default_class(classes)
    default = {"storageClassName": chosen.metadata.name} if chosen is not None else {}
    place = pod.metadata.namespace
    metadata = {"name": name, "namespace": place, "uid": f"{place}/{name}"}
    return PersistentVolumeClaim.read({"metadata": metadata, "spec": {**default, **spec}})


def _shelf(objects: Iterable[Any]) -> Shelf[Any]:
    shelf: Shelf[Any] = Shelf()
    for obj in objects:
        shelf.put(obj)
    return shelf
