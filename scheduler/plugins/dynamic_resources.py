"""Keep pods where the devices of their claims are, or can be had. Kubernetes: DynamicResources."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from scheduler.columns import Columns
from scheduler.framework import Plugin, PluginArgs, Verdict, where_reached
from scheduler.pods import PodView
from scheduler.settings import Duration
from scheduler.triggers import Added, Changed, Deleted
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.resource.device_class import DeviceClass
from wherry.api.resource.resource_claim import ResourceClaim
from wherry.api.resource.resource_slice import ResourceSlice

ELSEWHERE = "resourceclaim not available on the node"
NONE_LEFT = "cannot allocate all claims"
# To free claims is the first thing that Kubernetes tries for any pod that found no node; this is what it says in vain.
NO_CLAIMS, OLD_CLAIMS = "no new claims to deallocate", "still not schedulable"


class DynamicResourcesArgs(PluginArgs):
    """How long devices are sought, and waited for. A search is bounded by its choices here, whatever this says."""

    filter_timeout: Annotated[Duration, Field(ge=0)] = 10.0
    binding_timeout: Annotated[Duration, Field(ge=1)] = 600.0


class DynamicResources(Plugin):
    """A pod whose claims wait for something goes nowhere; others go where all their devices are, or can be."""

    order = 115
    reads = ("devices",)
    retry_when = (
        *(Added(kind) for kind in (Node, DeviceClass, ResourceClaim, ResourceSlice)),
        Changed(Node, "metadata.labels"),
        Changed(DeviceClass, "spec"),
        Changed(ResourceClaim, "status"),
        Changed(ResourceSlice, "spec"),
        *(Deleted(kind) for kind in (Pod, ResourceClaim)),
    )
    Args = DynamicResourcesArgs

    def filter(self, pod: PodView, nodes: Columns) -> Iterator[Verdict]:
        needs = pod.devices
        yield from where_reached(needs.problem, needs.reachable, nodes, ELSEWHERE)
        if needs.nodes is not None:
            yield Verdict(nodes.name.is_in(needs.nodes), NONE_LEFT)
