"""Bind claims to persistent volumes that are there, or ask for new ones. Kubernetes: the persistent volume controller,
claims.

A binding is written in four steps (the volume's claimRef, the claim's volumeName, then the status of each by its own
plan), any of which may be the last before a crash: each plan goes on from what it finds. Where the class says
WaitForFirstConsumer the scheduler decides (`scheduler/volumes/`): it sets a volume aside for the claim, or writes down
the node on which one is to be made. Volumes are made by whoever the class names; `local_path.py` is one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.meta import reference_to
from wherry.api.storage.provisioning import (
    BETA_STORAGE_PROVISIONER,
    NO_PROVISIONER,
    SELECTED_NODE,
    STORAGE_PROVISIONER,
)
from wherry.api.storage.storage_class import StorageClass, default_class
from wherry.api.storage.volume_matching import best_volume, is_meant_for
from wherry.client.controller import controller
from wherry.client.plan import Event, Plan, SetStatus, Update
from wherry.client.world import World

COMPLETED, BY_CONTROLLER = "pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"


def claims_on(volume: PersistentVolume, world: World) -> Iterator[str]:
    """The claim that has the volume; of a free one, every claim that might want it."""
    reference = volume.spec.claim_ref
    if reference is not None:
        yield f"{reference.namespace}/{reference.name}"
        return
    for claim in world.list(PersistentVolumeClaim):
        is_same_class = (claim.spec.storage_class_name or "") == volume.spec.storage_class_name
        if claim.spec.volume_name == volume.metadata.name or (not claim.spec.volume_name and is_same_class):
            yield claim.key


def claims_for(storage_class: StorageClass, world: World) -> Iterator[str]:
    """The claims that wait for this class, or for any."""
    for claim in world.list(PersistentVolumeClaim):
        if not claim.spec.volume_name and claim.spec.storage_class_name in (None, storage_class.metadata.name):
            yield claim.key


def claims_of(pod: Pod, _: World) -> Iterator[str]:
    """The claims that a pod mounts."""
    for name in pod.claim_names:
        yield f"{pod.metadata.namespace}/{name}"


@controller(
    PersistentVolumeClaim,
    wakes={PersistentVolume: claims_on, Pod: claims_of, StorageClass: claims_for},
    component="persistentvolume-controller",
)
def plan(claim: PersistentVolumeClaim, world: World) -> Plan:
    """Find a volume for the claim, or go on binding the one it has."""
    if claim.metadata.deleted_at is not None:
        return
    if not claim.spec.volume_name:
        yield from _sought(claim, world)
        return
    volume = world.get(PersistentVolume, claim.spec.volume_name)
    is_ours = volume is not None and (volume.spec.claim_ref is None or is_meant_for(volume, claim))
    if volume is not None and is_ours:
        yield from _bound(claim, volume)
    elif COMPLETED in claim.metadata.annotations and claim.status.phase != "Lost":
        yield SetStatus(claim.with_status(phase="Lost"))
        message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        yield Event(claim, "ClaimLost", message, "Warning")


def _sought(claim: PersistentVolumeClaim, world: World) -> Plan:
    if claim.spec.storage_class_name is None:
        chosen = default_class(world.list(StorageClass))
        if chosen is not None:  # it became the default after the claim was made
            yield Update(claim, {"spec": {"storageClassName": chosen.metadata.name}})
            return
    storage_class = world.get(StorageClass, claim.spec.storage_class_name or "")
    volumes = world.list(PersistentVolume)
    if storage_class is not None and storage_class.volume_binding_mode == "WaitForFirstConsumer":
        volumes = [volume for volume in volumes if is_meant_for(volume, claim)]
        if not volumes and SELECTED_NODE not in claim.metadata.annotations:
            yield _waits_for_a_pod(claim, world)
            return
    volume = best_volume(claim, volumes)
    if volume is not None:
        yield from _bound(claim, volume)
    elif claim.spec.storage_class_name:
        yield from _requested(claim, storage_class)
    else:
        message = "no persistent volumes available for this claim and no storage class is set"
        yield Event(claim, "FailedBinding", message)


def _waits_for_a_pod(claim: PersistentVolumeClaim, world: World) -> Event:
    pods = world.list(Pod, namespace=claim.metadata.namespace)
    names = [pod.metadata.name for pod in pods if not pod.spec.node_name and claim.key in claims_of(pod, world)]
    if names:
        return Event(claim, "WaitForPodScheduled", f"waiting for pod {','.join(names)} to be scheduled")
    return Event(claim, "WaitForFirstConsumer", "waiting for first consumer to be created before binding")


def _requested(claim: PersistentVolumeClaim, storage_class: StorageClass | None) -> Plan:
    """Say who shall make a volume; that one watches claims."""
    if storage_class is None:
        message = f'storageclass.storage.k8s.io "{claim.spec.storage_class_name}" not found'
        yield Event(claim, "ProvisioningFailed", message, "Warning")
        return
    provisioner = storage_class.provisioner
    if provisioner == NO_PROVISIONER:
        yield Event(claim, "ProvisioningFailed", f"no volume plugin matched name: {provisioner}", "Warning")
        return
    if claim.metadata.annotations.get(STORAGE_PROVISIONER) != provisioner:
        marks = {STORAGE_PROVISIONER: provisioner, BETA_STORAGE_PROVISIONER: provisioner}
        yield Update(claim, {"metadata": {"annotations": marks}})
    message = (
        f"Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the "
        "system administrator. If volume creation is delayed, please verify that the provisioner is running and "
        "correctly registered."
    )
    yield Event(claim, "ExternalProvisioning", message)


def _bound(claim: PersistentVolumeClaim, volume: PersistentVolume) -> Plan:
    reference = volume.spec.claim_ref
    if reference is None or reference.uid != claim.metadata.uid:
        patch: dict[str, Any] = {"spec": {"claimRef": reference_to(claim)}}
        if reference is None:  # nobody set the volume aside: this controller may give it free again
            patch["metadata"] = {"annotations": {BY_CONTROLLER: "yes"}}
        yield Update(volume, patch)
    marks = {COMPLETED: "yes"} | ({} if claim.spec.volume_name else {BY_CONTROLLER: "yes"})
    if not claim.spec.volume_name or COMPLETED not in claim.metadata.annotations:
        yield Update(claim, {"metadata": {"annotations": marks}, "spec": {"volumeName": volume.metadata.name}})
    if claim.status.phase != "Bound":  # how large it is from then on, `volume_expansion.py` says
        capacity = {"storage": volume.spec.capacity["storage"]} if "storage" in volume.spec.capacity else {}
        yield SetStatus(claim.with_status(phase="Bound", access_modes=volume.spec.access_modes, capacity=capacity))
