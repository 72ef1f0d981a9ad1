"""Give every claim the smallest volume that satisfies it, and keep both sides of the bond true.

The volume's `claimRef` is the lock: it is written first, and whoever wrote it has the volume. Only volumes that exist
are bound; making new ones on demand is a provisioner's work.

Kubernetes: the persistent volume binder. Differs: a class with WaitForFirstConsumer binds at once as well, since the
nodes of a `local` volume are not weighed against the pod's.
"""

from __future__ import annotations

from typing import Any

from wherry.api.core.persistent_volume import PersistentVolume, PersistentVolumeClaim
from wherry.api.storage.storage_class import StorageClass
from wherry.client.controller import controller
from wherry.client.plan import Event, Plan, SetStatus, Update
from wherry.client.world import World
from wherry.machinery.quantity import Quantity

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
NONE = Quantity()


def claims_for(volume: PersistentVolume, world: World) -> list[str]:
    """The claim a volume is promised to, or every claim that has none yet."""
    ref = volume.spec.claim_ref
    if ref is not None:
        return [f"{ref.namespace}/{ref.name}"]
    return [claim.key for claim in world.list(PersistentVolumeClaim) if not claim.spec.volume_name]


@controller(PersistentVolumeClaim, reads=[StorageClass], wakes={PersistentVolume: claims_for})
def plan(claim: PersistentVolumeClaim, world: World) -> Plan:
    """Find a volume for the claim, then confirm the bond on the claim's side."""
    if claim.metadata.deleted_at is not None:
        return
    if claim.spec.volume_name:
        volume = world.get(PersistentVolume, claim.spec.volume_name)
        if volume is None and claim.status.phase == "Bound":
            message = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
            yield Event(claim, "ClaimLost", message, "Warning")
            yield SetStatus(claim.with_status(phase="Lost", capacity={}, access_modes=()))
        elif volume is not None and (volume.spec.claim_ref is None or is_promised(volume, claim)):
            yield from bind(claim, volume)
        return
    volume = best_volume(claim, world)
    if volume is not None:
        yield from bind(claim, volume)
    elif claim.status.phase != "Pending":
        yield SetStatus(claim.with_status(phase="Pending"))
    else:
        message = "no persistent volumes available for this claim and no storage class is set"
        if claim.spec.storage_class_name:
            message = f"no volume of class {claim.spec.storage_class_name!r} fits, and nothing here makes one"
        yield Event(claim, "FailedBinding", message)


def bind(claim: PersistentVolumeClaim, volume: PersistentVolume) -> Plan:
    """Write both sides of the bond, the volume's first."""
    ref = volume.spec.claim_ref
    if ref is None or ref.uid != claim.metadata.uid:
        yield Update(volume, {"spec": {"claimRef": reference_to_claim(claim)}, **_annotated(BOUND_BY_CONTROLLER)})
    if claim.spec.volume_name != volume.metadata.name:
        patch = {"spec": {"volumeName": volume.metadata.name}, **_annotated(BIND_COMPLETED, BOUND_BY_CONTROLLER)}
        yield Update(claim, patch)
    else:
        modes, capacity = volume.spec.access_modes, volume.spec.capacity
        yield SetStatus(claim.with_status(phase="Bound", access_modes=modes, capacity=capacity))


def _annotated(*names: str) -> dict[str, Any]:
    return {"metadata": {"annotations": dict.fromkeys(names, "yes")}}


def reference_to_claim(claim: PersistentVolumeClaim) -> dict[str, Any]:
    """The `claimRef` of a volume that this claim has."""
    metadata = claim.metadata
    reference = {"kind": "PersistentVolumeClaim", "apiVersion": "v1", "uid": metadata.uid}
    return {**reference, "namespace": metadata.namespace, "name": metadata.name}


def is_promised(volume: PersistentVolume, claim: PersistentVolumeClaim) -> bool:
    """Whether the volume is this claim's: by uid, or by name alone where an administrator wrote it."""
    ref = volume.spec.claim_ref
    if ref is None or (ref.namespace, ref.name) != (claim.metadata.namespace, claim.metadata.name):
        return False
    return ref.uid in ("", claim.metadata.uid)


def best_volume(claim: PersistentVolumeClaim, world: World) -> PersistentVolume | None:
    """The volume promised to the claim, else the smallest free one that satisfies it."""
    fitting = [volume for volume in world.list(PersistentVolume) if satisfies(volume, claim, world)]
    promised = [volume for volume in fitting if volume.spec.claim_ref is not None]
    return min(promised or fitting, key=lambda volume: (_size(volume), volume.metadata.name), default=None)


def satisfies(volume: PersistentVolume, claim: PersistentVolumeClaim, world: World) -> bool:
    """Whether the claim could have the volume."""
    if volume.metadata.deleted_at is not None or volume.status.phase in ("Released", "Failed"):
        return False
    if volume.spec.claim_ref is not None and not is_promised(volume, claim):
        return False
    wanted = claim.spec
    if wanted.selector is not None and not wanted.selector.matches(volume.metadata.labels):
        return False
    same_kind = volume.spec.volume_mode == wanted.volume_mode
    same_class = volume.spec.storage_class_name == (wanted.storage_class_name or "")
    big_enough = _size(volume) >= wanted.resources.requests.get("storage", NONE)
    return same_kind and same_class and big_enough and set(wanted.access_modes) <= set(volume.spec.access_modes)


def _size(volume: PersistentVolume) -> Quantity:
    return volume.spec.capacity.get("storage", NONE)
