"""What is written into a claim before and after its pods: values only, no I/O.

Each write names the version it was made for. So of two schedulers that give devices to one claim only the first one
does, and one that looks again sees what became of its last write.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from scheduler.devices.allocator import Ask, Given, configurations
from wherry.api.core.pod import Pod
from wherry.api.resource.resource_claim import DELETE_PROTECTION, ResourceClaim
from wherry.machinery.errors import conflict

Json = dict[str, Any]


class ClaimPatch(NamedTuple):
    """A merge patch of a claim, or of its status."""

    subresource: str
    body: Json


def allocation_of(ask: Ask, given: Sequence[Given], node: str) -> Json:
    """The allocation, as JSON. Devices that are not everywhere pin it to the node they were chosen for."""
    results = [_result(each) for each in given]
    devices: Json = {"results": results}
    if config := list(configurations(ask, given)):
        devices["config"] = config
    if all(each.device.is_everywhere for each in given):
        return {"devices": devices}
    place = {"key": "metadata.name", "operator": "In", "values": [node]}
    return {"devices": devices, "nodeSelector": {"nodeSelectorTerms": [{"matchFields": [place]}]}}


def _result(given: Given) -> Json:
    id = given.device.id
    result: Json = {"request": given.request, "driver": id.driver, "pool": id.pool, "device": id.device}
    if given.is_admin:
        result["adminAccess"] = True
    if given.exact.tolerations:
        result["tolerations"] = [toleration.to_wire() for toleration in given.exact.tolerations]
    return result


def next_write(claim: ResourceClaim, pod: Pod, allocation: Json | None) -> ClaimPatch | None:
    """What is still missing until the claim has this allocation (None: whatever it has) and is the pod's too.

    None: nothing. Raises Conflict if it has become somebody else's.
    """
    user = {"resource": "pods", "name": pod.metadata.name, "uid": pod.metadata.uid}
    if any(consumer.uid == pod.metadata.uid for consumer in claim.status.reserved_for):
        if allocation is None or _has(claim, allocation):
            return None
        raise _changed(claim, "has other devices by now")
    if claim.metadata.deleted_at is not None:
        raise _changed(claim, "is being deleted")
    if allocation is None:
        if claim.status.allocation is None:
            raise _changed(claim, "has no devices any more")
        return _status(claim, {"reservedFor": [*_users(claim), user]})
    if claim.status.allocation is not None:
        if not _has(claim, allocation):
            raise _changed(claim, "has other devices by now")
        return _status(claim, {"reservedFor": [*_users(claim), user]})
    if DELETE_PROTECTION not in claim.metadata.finalizers:
        return ClaimPatch("", _seen(claim, finalizers=[*claim.metadata.finalizers, DELETE_PROTECTION]))
    return _status(claim, {"allocation": allocation, "reservedFor": [user]})


def undoing_write(claim: ResourceClaim, uid: str) -> ClaimPatch | None:
    """What is still to be done until the pod does not use the claim; who was the last gives its devices back."""
    others = [user for user in _users(claim) if user["uid"] != uid]
    if len(others) == len(claim.status.reserved_for):
        if claim.status.allocation is None and DELETE_PROTECTION in claim.metadata.finalizers:
            rest = [name for name in claim.metadata.finalizers if name != DELETE_PROTECTION]
            return ClaimPatch("", _seen(claim, finalizers=rest))
        return None
    return _status(claim, {"reservedFor": others} if others else {"reservedFor": None, "allocation": None})


def _users(claim: ResourceClaim) -> list[Json]:
    return [user.to_wire() for user in claim.status.reserved_for]


def _has(claim: ResourceClaim, allocation: Json) -> bool:
    if claim.status.allocation is None:
        return False
    wire = [result.to_wire() for result in claim.status.allocation.devices.results]
    names = ("request", "driver", "pool", "device", "adminAccess")
    seen: list[Json] = [{name: each[name] for name in names if name in each} for each in wire]
    wanted: list[Json] = allocation["devices"]["results"]
    return seen == wanted


def _status(claim: ResourceClaim, status: Json) -> ClaimPatch:
    return ClaimPatch("status", _seen(claim) | {"status": status})


def _seen(claim: ResourceClaim, **more: Any) -> Json:
    return {"metadata": {"uid": claim.metadata.uid, "resourceVersion": claim.metadata.resource_version, **more}}


def _changed(claim: ResourceClaim, what: str) -> Exception:
    return conflict("resourceclaims.resource.k8s.io", claim.metadata.name, f"the claim {what}")
