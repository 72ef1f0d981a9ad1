"""Take claims on devices back from pods that are finished or gone, and devices from claims that nobody uses.

A pod that this copy does not know may only be newer than the copy: a claim is taken from it after three seconds in
which nothing was heard of it. Kubernetes: the resourceclaim controller. Differs: there the API server is asked.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from wherry.api.core.pod import Pod
from wherry.api.resource.pod_claims import claim_names
from wherry.api.resource.resource_claim import DELETE_PROTECTION, ResourceClaim
from wherry.client.controller import controller
from wherry.client.plan import CheckAgain, Plan, Update
from wherry.client.world import World
from wherry.machinery.time import parse_time, time_text

LAG_SECONDS = 3.0
MISSED = "resource.wherry.dev/missed"
"""Since when nothing is heard of which users of a claim."""


def claims_of(pod: Pod, _: World) -> Iterator[str]:
    """The claims that a pod uses."""
    for name in claim_names(pod).values():
        if name:
            yield f"{pod.metadata.namespace}/{name}"


def is_given(claim: ResourceClaim) -> bool:
    """Whether there is anything to take back."""
    return claim.status.allocation is not None or DELETE_PROTECTION in claim.metadata.finalizers


@controller(ResourceClaim, wakes={Pod: claims_of}, concerns=is_given)
def plan(claim: ResourceClaim, world: World) -> Plan:
    """Drop the users that are no more; with the last one go the devices, and then the finalizer."""
    pods = {pod.metadata.uid: pod for pod in world.list(Pod, namespace=claim.metadata.namespace)}
    users = [user for user in claim.status.reserved_for if user.resource == "pods"]
    missed = sorted(user.uid for user in users if user.uid not in pods)
    over = {user.uid for user in users if user.uid in pods and _is_over(pods[user.uid])}
    known = _known(claim)
    if missed:
        since = known[0] if known and known[1] == missed else None
        if since is None:
            yield _note(claim, f"{time_text(world.now)} {','.join(missed)}")
            return
        wait = LAG_SECONDS - (world.now - since).total_seconds()
        if wait > 0:
            yield CheckAgain(wait)
        else:
            over |= set(missed)
    elif known:
        yield _note(claim, None)
        return
    yield from _without(claim, over)


def _is_over(pod: Pod) -> bool:
    return pod.is_finished or (pod.metadata.deleted_at is not None and not pod.spec.node_name)


def _without(claim: ResourceClaim, over: set[str]) -> Plan:
    left = [user.to_wire() for user in claim.status.reserved_for if user.uid not in over]
    has_changed = len(left) < len(claim.status.reserved_for)
    if claim.status.allocation is not None and not left and (has_changed or claim.metadata.deleted_at is not None):
        yield Update(claim, {"status": {"reservedFor": None, "allocation": None}}, "status")
    elif has_changed:
        yield Update(claim, {"status": {"reservedFor": left}}, "status")
    elif claim.metadata.deleted_at is not None and claim.status.allocation is None:
        rest = [name for name in claim.metadata.finalizers if name != DELETE_PROTECTION]
        yield Update(claim, {"metadata": {"finalizers": rest}})


def _known(claim: ResourceClaim) -> tuple[datetime, list[str]] | None:
    at, _, uids = claim.metadata.annotations.get(MISSED, "").partition(" ")
    try:
        return (parse_time(at), uids.split(",")) if at else None
    except ValueError:
        return None


def _note(claim: ResourceClaim, text: str | None) -> Update:
    return Update(claim, {"metadata": {"annotations": {MISSED: text}}})
