"""Lookup: what the claims of a pod ask of a node, as the cluster's claims and volumes are now.

What was promised to pods whose binding is still on its way counts as done: no volume is promised twice, and the second
pod with a claim follows the first. Pure: it reads what it is given and keeps only the promises.

Kubernetes: the VolumeBinding plugin's PreFilter and its assume caches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from scheduler.pods import PodView
from scheduler.pods.attachable import Attachable, attachables_of
from scheduler.pods.disks import disks_of
from scheduler.pods.volumes import NO_VOLUMES, ZONE_KEYS, Candidate, Unbound, VolumeNeeds
from scheduler.volumes.capacity import Room, everywhere
from scheduler.volumes.drivers import volume_of
from wherry.api.core.node import Node
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.core.pod.spec import NodeSelector
from wherry.api.storage.provisioning import NO_PROVISIONER, SELECTED_NODE
from wherry.api.storage.storage_class import StorageClass
from wherry.api.storage.volume_matching import is_meant_for, selects, suitable_volumes
from wherry.client.world import Shelf
from wherry.machinery.quantity import Quantity

COMPLETED = "pv.kubernetes.io/bind-completed"
IMMEDIATE = "pod has unbound immediate PersistentVolumeClaims"
GONE = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"


class Promise(NamedTuple):
    """What a claim gets with its pod's node: a volume that is there, or else a new one on the node."""

    claim: str
    node: str
    volume: str = ""


class Lookup:
    """See the module. The shelves are those that informers keep current; so is `limited`: of how many nodes each.

    `room` says where there is room for new volumes.
    """

    def __init__(
        self,
        claims: Shelf[PersistentVolumeClaim],
        volumes: Shelf[PersistentVolume],
        classes: Shelf[StorageClass],
        limited: Mapping[str, int] | None = None,
        room: Room = everywhere,
    ) -> None:
        self._claims, self._volumes, self._classes = claims, volumes, classes
        self._limited, self._room = {} if limited is None else limited, room
        self._promised: dict[str, Promise] = {}
        # Claims that are not there yet: what would bind them at once has had no time to.
        self._imagined: set[str] = set()

    def imagine(self, claim: PersistentVolumeClaim) -> None:
        """Think with a claim that is not there yet, unless there is one of its name."""
        if self._claims.get(claim.key) is None:
            self._claims.put(claim)
            self._imagined.add(claim.key)

    def view(self, pod: PodView) -> PodView:
        """The pod with what its claims ask for; the same one if it has none."""
        if not pod.claims and not pod.attachables and pod.volumes is NO_VOLUMES:
            return pod
        needs = self.needs(pod.pod)
        return pod if needs == pod.volumes else pod.replace(volumes=needs)

    def needs(self, pod: Pod) -> VolumeNeeds:
        """See `VolumeNeeds`."""
        reachable, unbound = list[NodeSelector](), list[Unbound]()
        zones, exclusive = list[tuple[str, tuple[str, ...]]](), list[str]()
        for key, claim, missing in self._claims_of(pod):
            if claim is None or claim.metadata.deleted_at is not None:
                return VolumeNeeds(missing if claim is None else _going(claim))
            if "ReadWriteOncePod" in claim.spec.access_modes:
                exclusive.append(key)
            promise = self._promised.get(key)
            name = claim.spec.volume_name or (promise.volume if promise else "")
            is_new = key in self._imagined
            if claim.spec.volume_name and not is_new and COMPLETED not in claim.metadata.annotations:
                return VolumeNeeds(IMMEDIATE)
            if name:
                volume = self._volumes.get(name)
                if volume is None:
                    return VolumeNeeds(GONE)
                zones += _zones(volume)
                if volume.spec.node_affinity.required is not None:
                    reachable.append(volume.spec.node_affinity.required)
            elif (asked := self._unbound(key, claim, promise)) is not None:
                unbound.append(asked)
            else:
                return VolumeNeeds(IMMEDIATE)
        limited, disks = self._of_limited(pod), disks_of(pod)
        return VolumeNeeds("", tuple(reachable), tuple(unbound), tuple(zones), tuple(exclusive), limited, disks)

    def _of_limited(self, pod: Pod) -> tuple[tuple[str, tuple[Attachable, ...]], ...]:
        if not self._limited:
            return ()
        claims = (claim for _, claim, _ in self._claims_of(pod) if claim is not None)
        claimed = (volume_of(claim, self._volumes, self._classes) for claim in claims)
        found: dict[str, dict[Attachable, None]] = {}
        for volume in (*claimed, *attachables_of(pod)):
            if volume is not None and self._limited.get(volume.driver):
                found.setdefault(volume.driver, {})[volume] = None
        return tuple((driver, tuple(volumes)) for driver, volumes in found.items())

    def promise(self, pod: PodView, node: Node) -> list[Promise]:
        """Keep for the pod what it needs on this node; gives what must be written. Empty: nothing."""
        promises, taken = list[Promise](), set[str]()
        for claim in pod.volumes.unbound:
            free = (each for each in claim.candidates if each.volume not in taken and _reaches(each, node))
            volume = "" if claim.selected else next((each.volume for each in free), "")
            taken.add(volume)
            promises.append(Promise(claim.claim, node.metadata.name, volume))
        self._promised |= {promise.claim: promise for promise in promises}
        return promises

    def forget(self, promises: list[Promise]) -> None:
        """They were kept, or could not be: from here on what the copies show counts."""
        for promise in promises:
            if self._promised.get(promise.claim) == promise:
                del self._promised[promise.claim]

    def are_bound(self, promises: list[Promise]) -> bool:
        """Whether all these claims have their volumes, in the copies."""
        claims = [self._claims.get(promise.claim) for promise in promises]
        return all(claim and claim.spec.volume_name and COMPLETED in claim.metadata.annotations for claim in claims)

    def broken(self, promises: list[Promise]) -> str:
        """Why one of these claims will not get what it was promised, in the copies; empty while it still may."""
        for promise in promises:
            claim, name = self._claims.get(promise.claim), promise.claim.rpartition("/")[2]
            if claim is None:
                return _missing(name)
            if claim.metadata.deleted_at is not None:
                return _going(claim)
            selected = claim.metadata.annotations.get(SELECTED_NODE)
            if not promise.volume and not claim.spec.volume_name and selected != promise.node:
                return f'the node "{promise.node}" is no longer selected for persistentvolumeclaim "{name}"'
        return ""

    def _claims_of(self, pod: Pod) -> Iterator[tuple[str, PersistentVolumeClaim | None, str]]:
        """Each claim with its key, and what to say if it is missing."""
        own = {name for volume in pod.spec.volumes if volume.source[0] == "ephemeral" for name in [volume.name]}
        for name in pod.claim_names:
            key = f"{pod.metadata.namespace}/{name}"
            missing = _missing(name)
            if name.removeprefix(f"{pod.metadata.name}-") in own:
                missing = f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
            yield key, self._claims.get(key), missing

    def _unbound(self, key: str, claim: PersistentVolumeClaim, promise: Promise | None) -> Unbound | None:
        """None if the claim is not for the scheduler to settle."""
        kind = self._classes.get(claim.spec.storage_class_name or "")
        waits = kind is not None and kind.volume_binding_mode == "WaitForFirstConsumer"
        if not waits and key not in self._imagined:
            return None
        selected = promise.node if promise else claim.metadata.annotations.get(SELECTED_NODE, "")
        taken = {other.volume for other in self._promised.values()}
        suitable = suitable_volumes(claim, self._volumes.all())
        suitable.sort(key=lambda volume: not is_meant_for(volume, claim))
        makes = kind is not None and kind.provisioner != NO_PROVISIONER
        size = claim.spec.resources.requests.get("storage", Quantity())
        return Unbound(
            key,
            candidates=tuple(
                Candidate(volume.metadata.name, volume.spec.node_affinity.required)
                for volume in suitable
                if volume.metadata.name not in taken
            ),
            makes=makes,
            where=_where(kind) if kind is not None else None,
            selected=selected,
            room=self._room(kind, size) if kind is not None and makes else None,
        )


def _zones(volume: PersistentVolume) -> Iterator[tuple[str, tuple[str, ...]]]:
    for key in ZONE_KEYS:
        if value := volume.metadata.labels.get(key):
            yield key, tuple(value.split("__"))


def _missing(name: str) -> str:
    return f'persistentvolumeclaim "{name}" not found'


def _going(claim: PersistentVolumeClaim) -> str:
    return f'persistentvolumeclaim "{claim.metadata.name}" is being deleted'


def _where(kind: StorageClass) -> NodeSelector | None:
    """The class's allowed topologies as a selector of nodes."""
    terms = [
        [
            {"key": one.get("key", ""), "operator": "In", "values": one.get("values") or []}
            for one in term.raw.get("matchLabelExpressions") or []
        ]
        for term in kind.allowed_topologies
    ]
    return NodeSelector.read({"nodeSelectorTerms": [{"matchExpressions": term} for term in terms]}) if terms else None


def _reaches(candidate: Candidate, node: Node) -> bool:
    return candidate.reachable is None or selects(candidate.reachable, node)
