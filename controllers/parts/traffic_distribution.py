"""What `trafficDistribution` of a Service asks kube-proxies to prefer. Kubernetes: endpointslice/trafficdist."""

from __future__ import annotations

from wherry.api.core.service import Service
from wherry.api.discovery.endpoint_slice import EndpointHints, HintedPlace

SAME_ZONE, SAME_NODE = ("PreferClose", "PreferSameZone"), "PreferSameNode"


def hints_for(service: Service, *, is_ready: bool, node: str, zone: str) -> EndpointHints | None:
    """The hints of one endpoint: its own zone, or node and zone; None where there is nothing to prefer."""
    if not is_ready:
        return None
    zones = (HintedPlace(name=zone),) if zone else ()
    if service.spec.traffic_distribution in SAME_ZONE and zones:
        return EndpointHints(for_zones=zones)
    if service.spec.traffic_distribution == SAME_NODE and node:
        return EndpointHints(for_zones=zones, for_nodes=(HintedPlace(name=node),))
    return None
