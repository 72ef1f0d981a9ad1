"""Endpoints shared out among zones by how much processor their nodes have, for services that ask for it.

    service.kubernetes.io/topology-mode: Auto

Kubernetes: topology aware routing. Every ready endpoint is for its own zone, but for those that a zone with too few
gets of one that has more than its share. Where the shares do not come out, or something is not known of a node or
endpoint, there are no hints at all: traffic goes everywhere. Differs: no events tell of it, and it is looked at again
when pods change, not nodes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import ceil
from typing import TypeVar

from wherry.api.core.node import Node
from wherry.api.core.service import Service
from wherry.api.discovery.endpoint_slice import Endpoint, EndpointHints, HintedPlace
from wherry.client.world import World

Group = TypeVar("Group")

ANNOTATIONS = ("service.kubernetes.io/topology-mode", "service.kubernetes.io/topology-aware-hints")
AUTO = ("Auto", "auto")
ZONE = "topology.kubernetes.io/zone"
_NOT_COUNTED = ("node-role.kubernetes.io/control-plane", "node-role.kubernetes.io/master")
# So much more than its share an endpoint of a zone may have to bear. Kubernetes: overloadThreshold.
OVERLOAD = Fraction(1, 5)


def is_automatic(service: Service) -> bool:
    """Whether the service asks for it."""
    return any(service.metadata.annotations.get(key) in AUTO for key in ANNOTATIONS)


def shares_of(nodes: Iterable[Node]) -> dict[str, Fraction]:
    """The share of each zone; empty if there are not two, or something is not known of a node."""
    cpu: Counter[str] = Counter()
    for node in nodes:
        labels = node.metadata.labels
        if not node.is_ready or any(label in labels for label in _NOT_COUNTED):
            continue
        zone, amount = labels.get(ZONE, ""), _millis(node)
        if not zone or not amount:
            return {}
        cpu[zone] += amount
    return {zone: Fraction(amount, cpu.total()) for zone, amount in cpu.items()} if len(cpu) > 1 else {}


def _millis(node: Node) -> int:
    cpu = node.status.allocatable.get("cpu")
    return cpu.millis if cpu is not None else 0


def shared_out(service: Service, groups: dict[Group, list[Endpoint]], world: World) -> dict[Group, list[Endpoint]]:
    """Groups of endpoints, hinted if the service asks for it."""
    if not is_automatic(service):
        return groups
    shares = shares_of(world.list(Node))
    return {group: hinted(endpoints, shares) for group, endpoints in groups.items()}


def hinted(endpoints: Sequence[Endpoint], shares: Mapping[str, Fraction]) -> list[Endpoint]:
    """The endpoints, each with the zone that it is for, or all without."""
    bare = [endpoint.replace(hints=None) for endpoint in endpoints]
    ready = [endpoint for endpoint in bare if endpoint.conditions.ready]
    least = {zone: ceil(share * len(ready) / (1 + OVERLOAD)) for zone, share in shares.items()}
    is_known = all(endpoint.zone in shares for endpoint in ready)
    if not shares or not is_known or len(ready) < len(shares) or sum(least.values()) > len(ready):
        return bare
    zones = _allotted([endpoint.zone for endpoint in ready], shares, least)
    places = iter(zones)
    return [one.replace(hints=_for_zone(next(places))) if one.conditions.ready else one for one in bare]


def _allotted(zones: list[str], shares: Mapping[str, Fraction], least: Mapping[str, int]) -> list[str]:
    """For which zone each is: zones that have too few get one after the other of whichever has most above its share."""
    has = Counter(zones)
    for poor in sorted(least):
        while has[poor] < least[poor]:
            above = [zone for zone in shares if has[zone] > least[zone]]
            rich = max(above, key=lambda zone: (has[zone] / shares[zone], zone))
            zones[len(zones) - 1 - zones[::-1].index(rich)] = poor
            has[rich] -= 1
            has[poor] += 1
    return zones


def _for_zone(zone: str) -> EndpointHints:
    return EndpointHints(for_zones=(HintedPlace(name=zone),))
