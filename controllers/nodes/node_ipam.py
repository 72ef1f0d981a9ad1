"""Give each node a range of its own for the addresses of its pods. Kubernetes: nodeipam, with RangeAllocator.

Only where the operator names a range for the whole cluster: on one machine all nodes share one network, and need none.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from wherry.api.core.node import Node
from wherry.client.controller import Controller
from wherry.client.plan import CheckAgain, Event, Plan, Update
from wherry.client.world import World

# Another node's range may become free.
RETRY_SECONDS = 60.0
# Kubernetes allows as many.
_MOST_BITS = 16

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Ranges:
    """Which node has which range. Ranges given away are remembered until our copy of the node shows them."""

    def __init__(self, cluster: Network, mask: int) -> None:
        if not cluster.prefixlen <= mask <= min(cluster.max_prefixlen, cluster.prefixlen + _MOST_BITS):
            raise ValueError(f"a node's range of /{mask} in {cluster}: there would be none, or more than 65,536")
        self._cluster, self._mask = cluster, mask
        self._given: dict[str, int] = {}

    def free(self, node: Node, world: World) -> Network | None:
        """A range that no other node has; the same again for the same node. None if there is none."""
        name, nodes = node.metadata.name, world.list(Node)
        present = {other.metadata.name for other in nodes}
        self._given = {other: index for other, index in self._given.items() if other in present}
        if name not in self._given:
            taken = {index for other in nodes for cidr in other.spec.pod_cidrs for index in self._covered(cidr)}
            taken.update(self._given.values())
            count = 1 << (self._mask - self._cluster.prefixlen)
            index = next((index for index in range(count) if index not in taken), None)
            if index is None:
                return None
            self._given[name] = index
        start = self._cluster.network_address + (self._given[name] << self._bits)
        return ipaddress.ip_network((start, self._mask))

    @property
    def _bits(self) -> int:
        return self._cluster.max_prefixlen - self._mask

    def _covered(self, cidr: str) -> Iterable[int]:
        """The numbers of our ranges that somebody's range touches."""
        other = ipaddress.ip_network(cidr, strict=False)
        if other.version != self._cluster.version or not other.overlaps(self._cluster):
            return ()
        first = max(int(other.network_address), int(self._cluster.network_address))
        last = min(int(other.broadcast_address), int(self._cluster.broadcast_address))
        begin = int(self._cluster.network_address)
        return range((first - begin) >> self._bits, ((last - begin) >> self._bits) + 1)


def node_ipam_controller(cluster_cidr: str, mask: int) -> Controller:
    """The controller for this range; ValueError says what is wrong with it."""
    ranges = Ranges(ipaddress.ip_network(cluster_cidr), mask)

    def plan(node: Node, world: World) -> Plan:
        return allocated(node, world, ranges)

    return Controller("node_ipam", Node, plan, component="cidrAllocator")


def allocated(node: Node, world: World, ranges: Ranges) -> Plan:
    """Write the range down; it is for life."""
    if node.spec.pod_cidrs or node.metadata.deleted_at is not None:
        return
    network = ranges.free(node, world)
    if network is None:
        why = f"Node {node.metadata.name} status is now: CIDRNotAvailable"
        yield Event(node, "CIDRNotAvailable", why)
        yield CheckAgain(RETRY_SECONDS)
    else:
        yield Update(node, {"spec": {"podCIDR": str(network), "podCIDRs": [str(network)]}})
