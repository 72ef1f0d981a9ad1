"""Keep a volume that is being deleted while a claim is bound to it. Kubernetes: the PV protection controller."""

from __future__ import annotations

from controllers.volumes.volume_reclaim import volumes_of
from wherry.api.core.persistent_volume import IN_USE, PersistentVolume
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.client.controller import controller
from wherry.client.plan import Plan, Update
from wherry.client.world import World


@controller(PersistentVolume, wakes={PersistentVolumeClaim: volumes_of})
def plan(volume: PersistentVolume, world: World) -> Plan:
    """Put the finalizer on, or take it off when the volume is nobody's."""
    finalizers = volume.metadata.finalizers
    if volume.metadata.deleted_at is None:
        if IN_USE not in finalizers:
            yield Update(volume, {"metadata": {"finalizers": [*finalizers, IN_USE]}})
    elif IN_USE in finalizers and not _has_claim(volume, world):
        yield Update(volume, {"metadata": {"finalizers": [name for name in finalizers if name != IN_USE]}})


def _has_claim(volume: PersistentVolume, world: World) -> bool:
    reference = volume.spec.claim_ref
    if reference is None or volume.status.phase != "Bound":
        return False
    claim = world.get(PersistentVolumeClaim, reference.name, reference.namespace)
    return claim is not None and claim.metadata.uid == reference.uid
