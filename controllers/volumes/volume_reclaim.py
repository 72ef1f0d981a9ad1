"""Tell whether a persistent volume is available, bound or released, and what becomes of it then.

Kubernetes: the persistent volume controller, volumes. A released volume is kept (Retain) or its object deleted
(Delete). What a `local-path` volume holds is removed by its node, which keeps the object until then; when that node is
gone for good, so is the folder. Differs: what is in another hostPath or local volume stays on its node; volumes of
other kinds are their provisioner's to delete; Recycle, which Kubernetes has given up, counts as Retain.
"""

from __future__ import annotations

from collections.abc import Iterator

from controllers.volumes.volume_binding import BY_CONTROLLER
from wherry.api.core.node import Node
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.storage.provisioning import FOLDER_EXISTS, ON_NODE
from wherry.client.controller import controller
from wherry.client.plan import CheckAgain, Delete, Plan, SetStatus, Update
from wherry.client.world import World

# A claim that is missing from our copy may be younger than the copy.
RELEASED_SECONDS = 5.0


def volumes_of(claim: PersistentVolumeClaim, world: World) -> Iterator[str]:
    """The volume of a claim, and those set aside for it."""
    if claim.spec.volume_name:
        yield claim.spec.volume_name
    for volume in world.list(PersistentVolume):
        reference = volume.spec.claim_ref
        if reference is not None and f"{reference.namespace}/{reference.name}" == claim.key:
            yield volume.metadata.name


def volumes_on(node: Node, world: World) -> Iterator[str]:
    """The volumes whose folders are on a node; asked about nodes that come and go, and all others."""
    if world.get(Node, node.metadata.name) is None:
        for volume in world.list(PersistentVolume):
            if volume.metadata.annotations.get(ON_NODE) == node.metadata.name:
                yield volume.metadata.name


# Of a claim only who it is and what it got matter: what its status says is no reason to look at all volumes.
NOTICES = {PersistentVolumeClaim: lambda claim: (claim.metadata.uid, claim.spec.volume_name)}


@controller(PersistentVolume, wakes={PersistentVolumeClaim: volumes_of, Node: volumes_on}, notices=NOTICES)
def plan(volume: PersistentVolume, world: World) -> Plan:
    """One look at a volume and the claim that it names."""
    reference = volume.spec.claim_ref
    if volume.metadata.deleted_at is not None:
        yield from _left_behind(volume, world)
        return
    if reference is None or not reference.uid:
        yield from _told(volume, "Available", world)
        return
    claim = world.get(PersistentVolumeClaim, reference.name, reference.namespace)
    if claim is None or claim.metadata.uid != reference.uid:
        yield from _released(volume, world)
    elif claim.spec.volume_name == volume.metadata.name:
        yield from _told(volume, "Bound", world)
    elif claim.spec.volume_name and BY_CONTROLLER in volume.metadata.annotations:
        # The claim got another volume: this one is free again.
        yield Update(volume, {"metadata": {"annotations": {BY_CONTROLLER: None}}, "spec": {"claimRef": None}})


def _released(volume: PersistentVolume, world: World) -> Plan:
    yield from _told(volume, "Released", world)
    is_directory = volume.spec.host_path is not None or volume.spec.local is not None
    if volume.spec.persistent_volume_reclaim_policy != "Delete" or not is_directory:
        return
    since = volume.status.last_phase_transition_time
    is_released = volume.status.phase == "Released" and since is not None
    left = RELEASED_SECONDS - ((world.now - since).total_seconds() if is_released and since else 0.0)
    if left > 0:
        yield CheckAgain(left)
    else:
        yield Delete(volume)


def _left_behind(volume: PersistentVolume, world: World) -> Plan:
    finalizers = volume.metadata.finalizers
    node = world.get(Node, volume.metadata.annotations.get(ON_NODE, ""))
    if FOLDER_EXISTS in finalizers and node is None:
        yield Update(volume, {"metadata": {"finalizers": [name for name in finalizers if name != FOLDER_EXISTS]}})


def _told(volume: PersistentVolume, phase: str, world: World) -> Plan:
    if volume.status.phase != phase:
        yield SetStatus(volume.with_status(phase=phase, last_phase_transition_time=world.now))
