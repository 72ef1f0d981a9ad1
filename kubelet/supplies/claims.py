"""The devices of a container's claims: those that were given to the claims, if this pod may use them.

Kubernetes: the kubelet's DRA manager with the driver's NodePrepareResources. Differs: only the node's own GPUs are
known; other drivers have no way in, and a claim's opaque configuration is not read.
"""

from __future__ import annotations

from typing import NamedTuple

from kubelet.resources.gpus import Gpus
from wherry.api.core.pod import Container, Pod
from wherry.api.resource.gpu import DRIVER
from wherry.api.resource.pod_claims import claim_names
from wherry.api.resource.resource_claim import DeviceRequestAllocationResult, ResourceClaim
from wherry.client.http import Client


class NotPrepared(Exception):
    """A claim's devices cannot be had here, or not yet; the message says why."""


class Claimed(NamedTuple):
    """The cards that a container's claims have, and those that they may look at, whoever has them; by uuid."""

    own: tuple[str, ...]
    watched: tuple[str, ...]


async def claimed_devices(client: Client, gpus: Gpus, pod: Pod, container: Container) -> Claimed:
    """What the container's claims were given; raises NotPrepared and what the API server raises."""
    names, found = claim_names(pod), dict[str, bool]()
    for use in container.resources.claims:
        name = names.get(use.name)
        if name is None:
            raise NotPrepared(f'the claim of "{use.name}" is not created yet')
        if name:
            claim = await client.get(ResourceClaim, name, pod.metadata.namespace)
            for uuid, is_watched in _cards(claim, use.request, gpus, pod):
                found[uuid] = found.get(uuid, True) and is_watched
    own = tuple(uuid for uuid, is_watched in found.items() if not is_watched)
    gpus.claim(pod.metadata.uid, own)
    return Claimed(own, tuple(uuid for uuid, is_watched in found.items() if is_watched))


def _cards(claim: ResourceClaim, request: str, gpus: Gpus, pod: Pod) -> list[tuple[str, bool]]:
    name, allocation = claim.metadata.name, claim.status.allocation
    if allocation is None:
        raise NotPrepared(f'resourceclaim "{name}" has no devices yet')
    if pod.metadata.uid not in (user.uid for user in claim.status.reserved_for):
        raise NotPrepared(f'pod "{pod.key}" is not allowed to use resourceclaim "{name}"')
    results = allocation.devices.results
    asked_for = [each for each in results if not request or each.request.partition("/")[0] == request]
    return [(_card(each, gpus, pod.spec.node_name), each.admin_access) for each in asked_for]


def _card(result: DeviceRequestAllocationResult, gpus: Gpus, node: str) -> str:
    if result.pool != node:
        raise NotPrepared(f"device {result.device} is of pool {result.pool}, not of node {node}")
    if result.driver != DRIVER:
        raise NotPrepared(f'no driver "{result.driver}" on this node: {DRIVER} is the only one')
    for card in gpus.cards:
        if card.name == result.device and card.is_healthy:
            return card.uuid
    raise NotPrepared(f"device {result.device} is not there, or does not work")
