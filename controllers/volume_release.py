"""Say of every volume whether it is free, bound or left behind by its claim.

Kubernetes: the other half of the persistent volume binder. Differs: the reclaim policy Delete removes the volume object
of a `hostPath` or `local` volume but never the files behind it.
"""

from __future__ import annotations

from wherry.api.core.persistent_volume import PersistentVolume, PersistentVolumeClaim
from wherry.client.controller import controller
from wherry.client.plan import Delete, Plan, SetStatus
from wherry.client.world import World


def volumes_of(claim: PersistentVolumeClaim, world: World) -> list[str]:
    """The volumes promised to a claim, by whatever side the promise is written on."""
    names = {claim.spec.volume_name} if claim.spec.volume_name else set()
    for volume in world.list(PersistentVolume):
        ref = volume.spec.claim_ref
        if ref is not None and (ref.namespace, ref.name) == (claim.metadata.namespace, claim.metadata.name):
            names.add(volume.metadata.name)
    return sorted(names)


@controller(PersistentVolume, wakes={PersistentVolumeClaim: volumes_of})
def plan(volume: PersistentVolume, world: World) -> Plan:
    """Set the phase; a volume whose claim is gone is kept or removed as its policy says."""
    if volume.metadata.deleted_at is not None:
        return
    ref = volume.spec.claim_ref
    if ref is None:
        yield SetStatus(volume.with_status(phase="Available"))
        return
    claim = world.get(PersistentVolumeClaim, ref.name, ref.namespace)
    if not ref.uid and volume.status.phase in ("", "Available"):
        yield SetStatus(volume.with_status(phase="Available"))
    elif claim is not None and claim.metadata.uid == ref.uid:
        yield SetStatus(volume.with_status(phase="Bound"))
    elif volume.spec.persistent_volume_reclaim_policy == "Delete":
        yield Delete(volume)
    else:
        yield SetStatus(volume.with_status(phase="Released"))
