"""Bind claims to persistent volumes that are there. Kubernetes: the persistent volume controller, claims.

A binding is written in four steps (the volume's claimRef, the claim's volumeName, then the status of each by its own
plan), any of which may be the last before a crash: each plan goes on from what it finds. Where the class says
WaitForFirstConsumer the first pod that is placed decides from which node the volume must be reachable. Limits: volumes
are not made on demand; the scheduler does not yet look at volumes before it places a pod.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from controllers.parts.volume_matching import best_volume, is_meant_for
from wherry.api.core.node import Node
from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.meta import reference_to
from wherry.api.storage.storage_class import StorageClass
from wherry.client.controller import controller
from wherry.client.plan import Event, Plan, SetStatus, Update
from wherry.client.world import World

COMPLETED, BY_CONTROLLER = "pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"
NO_PROVISIONER = "kubernetes.io/no-provisioner"


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


def claims_of(pod: Pod, _: World) -> Iterator[str]:
    """The claims that a pod mounts."""
    for volume in pod.spec.volumes:
        kind, source = volume.source
        if kind == "persistentVolumeClaim":
            yield f"{pod.metadata.namespace}/{source.get('claimName', '')}"


@controller(PersistentVolumeClaim, reads=[StorageClass, Node], wakes={PersistentVolume: claims_on, Pod: claims_of})
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
    storage_class = world.get(StorageClass, claim.spec.storage_class_name or "")
    waits = storage_class is not None and storage_class.volume_binding_mode == "WaitForFirstConsumer"
    volumes = world.list(PersistentVolume)
    node = _node_of_first_consumer(claim, world) if waits else None
    if waits and node is None and not any(is_meant_for(volume, claim) for volume in volumes):
        yield Event(claim, "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
        return
    volume = best_volume(claim, volumes, node)
    if volume is not None:
        yield from _bound(claim, volume)
    elif storage_class is None or storage_class.provisioner == NO_PROVISIONER:
        message = "no persistent volumes available for this claim and no storage class is set"
        yield Event(claim, "FailedBinding", message)
    else:
        message = f"Waiting for a volume to be created either by the external provisioner '{storage_class.provisioner}'"
        yield Event(claim, "ExternalProvisioning", f"{message} or manually by the system administrator.")


def _node_of_first_consumer(claim: PersistentVolumeClaim, world: World) -> Node | None:
    pods = world.list(Pod, namespace=claim.metadata.namespace)
    placed = (pod for pod in pods if pod.spec.node_name and pod.is_active and claim.key in claims_of(pod, world))
    pod = min(placed, key=lambda pod: (str(pod.metadata.created_at), pod.key), default=None)
    return world.get(Node, pod.spec.node_name) if pod is not None else None


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
    capacity = {"storage": volume.spec.capacity["storage"]} if "storage" in volume.spec.capacity else {}
    yield SetStatus(claim.with_status(phase="Bound", access_modes=volume.spec.access_modes, capacity=capacity))
