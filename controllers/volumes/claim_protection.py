"""Keep a claim that is being deleted until no pod has it mounted. Kubernetes: the PVC protection controller.

Pods that wait for a node do not count: a kubelet mounts no claim that is going. Finished pods do, until they are
deleted. Admission gives new claims the finalizer.

Differs: Kubernetes asks the API server for the pods before it lets a claim go; here a claim stays for three seconds
after it was deleted, in which the copy hears of pods that just came to a node.
"""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.core.persistent_volume_claim import IN_USE, PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.client.controller import controller
from wherry.client.plan import CheckAgain, Plan, Update
from wherry.client.world import World

# So far behind the copy of the pods may be, and a little more.
LAG_SECONDS = 3.0


def claims_of(pod: Pod, _: World) -> Iterator[str]:
    """The claims that a pod on a node mounts."""
    if pod.spec.node_name:
        for name in pod.claim_names:
            yield f"{pod.metadata.namespace}/{name}"


@controller(PersistentVolumeClaim, wakes={Pod: claims_of})
def plan(claim: PersistentVolumeClaim, world: World) -> Plan:
    """Put the finalizer on, or take it off when nobody needs the claim any more."""
    finalizers, deleted = claim.metadata.finalizers, claim.metadata.deleted_at
    if deleted is None:
        if IN_USE not in finalizers:
            yield Update(claim, {"metadata": {"finalizers": [*finalizers, IN_USE]}})
    elif IN_USE in finalizers and not _is_mounted(claim, world):
        wait = LAG_SECONDS - (world.now - deleted).total_seconds()
        if wait > 0:
            yield CheckAgain(wait)
        else:
            yield Update(claim, {"metadata": {"finalizers": [name for name in finalizers if name != IN_USE]}})


def _is_mounted(claim: PersistentVolumeClaim, world: World) -> bool:
    pods = world.list(Pod, namespace=claim.metadata.namespace)
    return any(claim.key in claims_of(pod, world) for pod in pods)
