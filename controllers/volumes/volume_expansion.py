"""Give a claim that asks for more storage what it asks for. Kubernetes: the expand controller and an external resizer.

A folder has no size of its own, so volumes of `local-path` grow by being written down as larger: first the volume, then
the claim's status. Other volumes are their provisioner's to expand. Whether a claim may ask for more at all, its class
says (`apiserver/admission/claim_resize.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.core.persistent_volume import PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.storage.provisioning import LOCAL_PATH, PROVISIONED_BY
from wherry.client.controller import controller
from wherry.client.plan import Event, Plan, SetStatus, Update
from wherry.client.world import World
from wherry.machinery.quantity import Quantity

_NOTHING = Quantity()


def claim_of(volume: PersistentVolume, _: World) -> Iterator[str]:
    """The claim that has the volume."""
    reference = volume.spec.claim_ref
    if reference is not None:
        yield f"{reference.namespace}/{reference.name}"


@controller(PersistentVolumeClaim, wakes={PersistentVolume: claim_of}, component="volume_expand")
def plan(claim: PersistentVolumeClaim, world: World) -> Plan:
    """Compare what a bound claim asks for with what it has."""
    wanted = claim.spec.resources.requests.get("storage", _NOTHING)
    volume = world.get(PersistentVolume, claim.spec.volume_name) if claim.spec.volume_name else None
    has = claim.status.capacity.get("storage", _NOTHING)
    if volume is None or claim.metadata.deleted_at or claim.status.phase != "Bound" or not has < wanted:
        return
    if volume.metadata.annotations.get(PROVISIONED_BY) != LOCAL_PATH:
        yield Event(claim, "ExternalExpanding", "waiting for an external controller to expand this PVC")
        return
    if volume.spec.capacity.get("storage", _NOTHING) < wanted:
        yield Event(claim, "Resizing", f"External resizer is resizing volume {volume.metadata.name}")
        yield Update(volume, {"spec": {"capacity": {"storage": str(wanted)}}})
    yield SetStatus(claim.with_status(capacity={**claim.status.capacity, "storage": wanted}))
    yield Event(claim, "VolumeResizeSuccessful", "Resize volume succeeded")
