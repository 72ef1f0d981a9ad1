"""Keep a claim that is being deleted until no pod has it mounted. Kubernetes: the PVC protection controller.

Pods that wait for a node do not count: a kubelet mounts no claim that is going. Finished pods do, until they are
deleted. Admission gives new claims the finalizer.
"""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.core.persistent_volume_claim import IN_USE, PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.client.controller import controller
from wherry.client.plan import Plan, Update
from wherry.client.world import World


def claims_of(pod: Pod, _: World) -> Iterator[str]:
    """The claims that a pod on a node mounts."""
    if pod.spec.node_name:
        for name in pod.claim_names:
            yield f"{pod.metadata.namespace}/{name}"


@controller(PersistentVolumeClaim, wakes={Pod: claims_of})
def plan(claim: PersistentVolumeClaim, world: World) -> Plan:
    """Put the finalizer on, or take it off when nobody needs the claim any more."""
    finalizers = claim.metadata.finalizers
    if claim.metadata.deleted_at is None:
        if IN_USE not in finalizers:
            yield Update(claim, {"metadata": {"finalizers": [*finalizers, IN_USE]}})
    elif IN_USE in finalizers and not _is_mounted(claim, world):
        yield Update(claim, {"metadata": {"finalizers": [name for name in finalizers if name != IN_USE]}})


def _is_mounted(claim: PersistentVolumeClaim, world: World) -> bool:
    pods = world.list(Pod, namespace=claim.metadata.namespace)
    return any(claim.key in claims_of(pod, world) for pod in pods)
