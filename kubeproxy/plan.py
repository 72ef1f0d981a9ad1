"""Services and EndpointSlices in, rules out: who may answer for whom on this node.

Kubernetes: kube-proxy's ServiceChangeTracker, EndpointsChangeTracker and CategorizeEndpoints. Differs: IPv4 only; load
balancer source ranges and health check node ports are not read.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address
from typing import NamedTuple

from kubeproxy.rules import Route, Rules, Target
from wherry.api.core.service import Service, ServicePort
from wherry.api.discovery.endpoint_slice import Endpoint, EndpointHints, EndpointSlice

# Services with this label are some other proxy's. Kubernetes: LabelServiceProxyName.
OTHER_PROXY = "service.kubernetes.io/service-proxy-name"
# What our own DNS routes are called: no service has a name without a namespace.
DNS_SERVICE = "cluster-dns"
DNS_PORT = 53


@dataclass(frozen=True, slots=True)
class Here:
    """Where the rules will be in force. Queries to `dns_address` go to `dns_target`, this node's own DNS server."""

    node_name: str
    dns_address: str = ""
    dns_target: Target | None = None
    zone: str = ""


class _Candidate(NamedTuple):
    """An endpoint of one service port."""

    target: Target
    is_ready: bool
    is_draining: bool
    is_here: bool
    # What the endpoint's hints say; empty if they say nothing.
    for_nodes: tuple[str, ...] = ()
    for_zones: tuple[str, ...] = ()


class _Planned(NamedTuple):
    """The routes of a service, and what they were made of."""

    service: Service
    slices: tuple[EndpointSlice, ...]
    routes: tuple[Route, ...]

    def still_holds(self, service: Service, slices: tuple[EndpointSlice, ...]) -> bool:
        """Whether nothing changed: an informer hands out one object for each version, so identity tells."""
        if service is not self.service or len(slices) != len(self.slices):
            return False
        return all(one is other for one, other in zip(slices, self.slices, strict=True))


class Planner:
    """Plans again and again: gives what `plan` gives, and makes anew only the routes of services that changed."""

    def __init__(self) -> None:
        self._here: Here | None = None
        self._planned: dict[str, _Planned] = {}

    def plan(self, services: Iterable[Service], slices: Iterable[EndpointSlice], here: Here) -> Rules:
        """See `plan`."""
        by_service: dict[str, tuple[EndpointSlice, ...]] = {}
        for slice in slices:
            if slice.address_type == "IPv4":
                key = slice.service_key
                by_service[key] = (*by_service.get(key, ()), slice)

        before, self._planned = self._planned if here == self._here else {}, {}
        self._here = here
        for service in services:
            own, planned = by_service.get(service.key, ()), before.get(service.key)
            if planned is None or not planned.still_holds(service, own):
                planned = _Planned(service, own, _routes(service, own, here))
            self._planned[service.key] = planned
        routes = [route for planned in self._planned.values() for route in planned.routes]
        return Rules(tuple(sorted(_with_own_dns(routes, here))))


def plan(services: Iterable[Service], slices: Iterable[EndpointSlice], here: Here) -> Rules:
    """What this node should do with traffic to services."""
    return Planner().plan(services, slices, here)


def _routes(service: Service, slices: tuple[EndpointSlice, ...], here: Here) -> tuple[Route, ...]:
    if not cluster_ips(service) or OTHER_PROXY in service.metadata.labels:
        return ()
    return tuple(_route(service, port, slices, here) for port in service.spec.ports)


def cluster_ips(service: Service) -> tuple[str, ...]:
    """The IPv4 addresses of a service; none for headless ones and for names of something outside."""
    spec = service.spec
    if spec.type == "ExternalName" or spec.is_headless:
        return ()
    return _ipv4(spec.cluster_ips or (spec.cluster_ip,))


def is_ready(endpoint: Endpoint) -> bool:
    """Whether traffic may go there; unset means yes."""
    return endpoint.conditions.ready is not False


def _route(service: Service, port: ServicePort, slices: tuple[EndpointSlice, ...], here: Here) -> Route:
    spec = service.spec
    candidates = sorted(_candidates(port, slices, here.node_name))
    internal_is_local = spec.internal_traffic_policy == "Local"
    external_is_local = spec.external_traffic_policy == "Local" and _is_external(service)
    sticky = spec.session_affinity == "ClientIP"
    # A balancer that is a proxy sends what it takes to the node ports: traffic to its address must go through it.
    balancers = tuple(each.ip for each in service.status.load_balancer.ingress if each.ip_mode != "Proxy")
    return Route(
        service=service.key,
        port_name=port.name,
        protocol=port.protocol,
        port=port.port,
        cluster_ips=cluster_ips(service),
        external_ips=_ipv4((*spec.external_ips, *balancers)),
        node_port=port.node_port,
        everywhere=_usable(_near(candidates, here)),
        here=_usable([c for c in candidates if c.is_here]) if internal_is_local or external_is_local else (),
        internal_is_local=internal_is_local,
        external_is_local=external_is_local,
        affinity_seconds=spec.session_affinity_config.client_ip.timeout_seconds if sticky else 0,
    )


def _is_external(service: Service) -> bool:
    return service.spec.type in ("NodePort", "LoadBalancer") or bool(service.spec.external_ips)


def _candidates(port: ServicePort, slices: tuple[EndpointSlice, ...], node_name: str) -> Iterator[_Candidate]:
    for slice in slices:
        numbers = [p.port for p in slice.ports if p.name == port.name and p.protocol == port.protocol and p.port]
        for endpoint in slice.endpoints:
            for number in numbers if _ipv4(endpoint.addresses[:1]) else ():
                yield _candidate(endpoint, Target(endpoint.addresses[0], number), node_name)


def _candidate(endpoint: Endpoint, target: Target, node_name: str) -> _Candidate:
    conditions = endpoint.conditions
    # Kubernetes: an unset `serving` is what `ready` is.
    serving = is_ready(endpoint) if conditions.serving is None else conditions.serving
    is_draining, hints = serving and conditions.terminating is True, endpoint.hints or EndpointHints()
    for_nodes, for_zones = (tuple(place.name for place in named) for named in (hints.for_nodes, hints.for_zones))
    is_here = endpoint.node_name == node_name
    return _Candidate(target, is_ready(endpoint), is_draining, is_here, for_nodes, for_zones)


def _near(candidates: list[_Candidate], here: Here) -> list[_Candidate]:
    """Those meant for this node, else for this zone, as long as every ready one says for where it is meant.

    Kubernetes: topologyModeFromHints.
    """
    ready = [candidate for candidate in candidates if candidate.is_ready]
    for_node = [candidate for candidate in ready if here.node_name in candidate.for_nodes]
    if for_node and all(candidate.for_nodes for candidate in ready):
        return for_node
    for_zone = [candidate for candidate in ready if here.zone in candidate.for_zones]
    if here.zone and for_zone and all(candidate.for_zones for candidate in ready):
        return for_zone
    return candidates


def _usable(candidates: list[_Candidate]) -> tuple[Target, ...]:
    """The ready ones; if there is none, those that shut down but still serve. Kubernetes: ProxyTerminatingEndpoints."""
    chosen = [c for c in candidates if c.is_ready] or [c for c in candidates if c.is_draining]
    return tuple(dict.fromkeys(c.target for c in chosen))


def _with_own_dns(routes: list[Route], here: Here) -> list[Route]:
    """This node answers at the cluster's DNS address, unless a service there has endpoints of its own."""
    if not here.dns_address or here.dns_target is None:
        return routes
    taken = {r.protocol: r for r in routes if here.dns_address in r.cluster_ips and r.port == DNS_PORT}
    for name, protocol in (("dns", "UDP"), ("dns-tcp", "TCP")):
        if protocol not in taken or not taken[protocol].everywhere:
            own = Route(DNS_SERVICE, name, protocol, DNS_PORT, (here.dns_address,), everywhere=(here.dns_target,))
            routes = [*(r for r in routes if r is not taken.get(protocol)), own]
    return routes


def _ipv4(addresses: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({address for address in addresses if _is_ipv4(address)}))


@lru_cache(maxsize=65536)
def _is_ipv4(address: str) -> bool:
    try:
        IPv4Address(address)
    except AddressValueError:
        return False
    return True
