"""Evict pods whose devices have NoExecute taints that their claims do not tolerate, or no longer.

What a claim tolerates was written down when it got its devices. A toleration with `tolerationSeconds` counts from the
time in the taint. Kubernetes: devicetainteviction. Differs: taints come from slices alone, not from DeviceTaintRules.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from controllers.nodes.taint_eviction import driven_out
from wherry.api.core.pod import Pod
from wherry.api.meta import Condition
from wherry.api.resource.device_claim import DeviceToleration
from wherry.api.resource.pod_claims import claim_names
from wherry.api.resource.resource_claim import DeviceRequestAllocationResult, ResourceClaim
from wherry.api.resource.resource_slice import DeviceTaint, ResourceSlice
from wherry.client.controller import controller
from wherry.client.plan import Event, Plan
from wherry.client.world import World


def has_claims(pod: Pod) -> bool:
    """Whether the pod may have such devices."""
    return bool(pod.spec.resource_claims)


def users_of(claim: ResourceClaim, _: World) -> Iterator[str]:
    """The pods that have the claim's devices."""
    for user in claim.status.reserved_for:
        yield f"{claim.metadata.namespace}/{user.name}"


def users_of_devices(slice: ResourceSlice, world: World) -> Iterator[str]:
    """The pods that a change of these devices may drive out."""
    if any(evicting_taints(slice, device.name) for device in slice.spec.devices):
        for claim in world.list(ResourceClaim):
            if any(_is_in(slice, result) for result in _results(claim)):
                yield from users_of(claim, world)


@controller(
    Pod,
    wakes={ResourceClaim: users_of, ResourceSlice: users_of_devices},
    concerns=has_claims,
    component="device-taint-eviction",
    name="devicetainteviction",
)
def plan(pod: Pod, world: World) -> Plan:
    """Delete the pod when its time is up."""
    if not pod.spec.node_name or not pod.is_active:
        return
    waits = [wait for claim in _claims(pod, world) for wait in _waits_of(claim, world)]
    event = Event(pod, "DeviceTaintManagerEviction", "Marking for deletion")
    message = "Device Taint manager: deleting due to NoExecute taint"
    disrupted = Condition(
        type="DisruptionTarget", status="True", reason="DeletionByDeviceTaintManager", message=message
    )
    yield from driven_out(pod, waits, event, disrupted, world.now)


def _claims(pod: Pod, world: World) -> Iterator[ResourceClaim]:
    """Those of its claims whose devices the pod may use."""
    for name in claim_names(pod).values():
        claim = world.get(ResourceClaim, name, pod.metadata.namespace) if name else None
        if claim is not None and any(user.uid == pod.metadata.uid for user in claim.status.reserved_for):
            yield claim


def _waits_of(claim: ResourceClaim, world: World) -> Iterator[float]:
    results = _results(claim)
    # There may be thousands of slices, so they are looked through once for all devices.
    pools = {(result.driver, result.pool) for result in results}
    near = [each for each in world.list(ResourceSlice) if _pool_of(each) in pools] if pools else []
    for result in results:
        slices = [each for each in near if _is_in(each, result)]
        newest = max((each.spec.pool.generation for each in slices), default=0)
        for each in slices:
            for taint in evicting_taints(each, result.device) if each.spec.pool.generation == newest else ():
                yield from _waits(result.tolerations, taint, world.now)


def _results(claim: ResourceClaim) -> tuple[DeviceRequestAllocationResult, ...]:
    return claim.status.allocation.devices.results if claim.status.allocation else ()


def _is_in(slice: ResourceSlice, result: DeviceRequestAllocationResult) -> bool:
    return _pool_of(slice) == (result.driver, result.pool)


def _pool_of(slice: ResourceSlice) -> tuple[str, str]:
    return slice.spec.driver, slice.spec.pool.name


def evicting_taints(slice: ResourceSlice, name: str) -> list[DeviceTaint]:
    """The taints of a device that must be tolerated to keep it."""
    taints = (taint for device in slice.spec.devices if device.name == name for taint in device.taints)
    return [taint for taint in taints if taint.effect == "NoExecute"]


def _waits(tolerations: tuple[DeviceToleration, ...], taint: DeviceTaint, now: datetime) -> Iterator[float]:
    """How many more seconds the device may be kept in spite of the taint; nothing if that is for ever."""
    matching = [toleration for toleration in tolerations if toleration.covers(taint.key, taint.value, taint.effect)]
    limits = [one.toleration_seconds for one in matching if one.toleration_seconds is not None]
    if not matching:
        yield 0.0
    elif limits and len(limits) == len(matching):
        yield min(limits) - ((now - taint.time_added).total_seconds() if taint.time_added else 0.0)
