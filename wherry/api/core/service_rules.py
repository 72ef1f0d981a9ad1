"""The rules of a service's spec; paths begin there. Kubernetes: core/validation `ValidateService`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, duplicate, forbidden, invalid, not_supported, required
from wherry.machinery.validation import (
    check_cidr,
    check_ip,
    check_labels,
    check_name,
    check_port,
    check_public_ip,
    in_range,
    one_of,
    parse_ip,
    repeats,
    under,
)

if TYPE_CHECKING:
    from wherry.api.core.service import ServicePort, ServiceSpec

TYPES = ("ClusterIP", "ExternalName", "LoadBalancer", "NodePort")
PROTOCOLS = ("SCTP", "TCP", "UDP")
FAMILIES = {"IPv4": 4, "IPv6": 6}
FAMILY_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")
TRAFFIC_POLICIES = ("Cluster", "Local")
DISTRIBUTIONS = ("PreferClose", "PreferSameNode", "PreferSameZone")
MAX_AFFINITY_SECONDS = 86400
_LOAD_BALANCERS_ONLY = "may only be used when `type` is 'LoadBalancer'"
_STAYS = "may not change once set"


def check_spec(spec: ServiceSpec) -> Iterator[FieldError]:
    """Everything that one version of a service must obey."""
    if not spec.ports and not spec.is_headless and spec.type != "ExternalName":
        yield required("ports")
    yield from _check_address_of_type(spec)
    yield from under("ports", _check_ports(spec))
    yield from check_labels("selector", spec.selector)
    yield from _check_affinity(spec)
    if spec.type != "ExternalName":
        yield from _check_cluster_ips(spec)
    for index, ip in enumerate(spec.external_ips):
        check = check_public_ip if parse_ip(ip) else check_ip
        yield from check(f"externalIPs[{index}]", ip)
    yield from one_of("type", spec.type, TYPES)
    yield from _check_load_balancer(spec)
    yield from _check_traffic(spec)


def _check_address_of_type(spec: ServiceSpec) -> Iterator[FieldError]:
    if spec.type in ("LoadBalancer", "NodePort") and spec.is_headless:
        yield invalid("clusterIPs[0]", "None", f"may not be set to 'None' for {spec.type} services")
    if spec.type != "ExternalName":
        return
    for field, is_set in (
        ("clusterIPs", spec.cluster_ips),
        ("ipFamilies", spec.ip_families),
        ("ipFamilyPolicy", spec.ip_family_policy),
    ):
        if is_set:
            yield forbidden(field, "may not be set for ExternalName services")
    name = spec.external_name.removesuffix(".")
    if name:
        yield from check_name("externalName", name, names.dns1123_subdomain)
    else:
        yield required("externalName")


def _check_ports(spec: ServiceSpec) -> Iterator[FieldError]:
    seen_names: set[str] = set()
    for index, port in enumerate(spec.ports):
        path = f"[{index}]"
        yield from under(path, _check_port(port, needs_name=len(spec.ports) > 1))
        if port.name and port.name in seen_names:
            yield duplicate(f"{path}.name", port.name)
        seen_names.add(port.name)
    if spec.type == "ClusterIP":
        for index, port in enumerate(spec.ports):
            if port.node_port:
                yield forbidden(f"[{index}].nodePort", "may not be used when `type` is 'ClusterIP'")
    yield from _check_distinct_ports(spec.ports)


def _check_port(port: ServicePort, needs_name: bool) -> Iterator[FieldError]:
    if port.name:
        yield from check_name("name", port.name, names.dns1123_label)
    elif needs_name:
        yield required("name")
    yield from in_range("port", port.port, 1, 65535)
    yield from one_of("protocol", port.protocol, PROTOCOLS)
    yield from check_port("targetPort", port.target_port)
    if port.node_port:
        yield from in_range("nodePort", port.node_port, 1, 65535)
    if port.app_protocol:
        yield from check_name("appProtocol", port.app_protocol, names.qualified_name)


def _check_distinct_ports(ports: tuple[ServicePort, ...]) -> Iterator[FieldError]:
    node_ports: set[tuple[str, int]] = set()
    own_ports: set[tuple[str, int]] = set()
    for index, port in enumerate(ports):
        if port.node_port and (port.protocol, port.node_port) in node_ports:
            yield duplicate(f"[{index}].nodePort", port.node_port)
        node_ports.add((port.protocol, port.node_port))
        if (port.protocol, port.port) in own_ports:
            yield duplicate(f"[{index}]", {"protocol": port.protocol, "port": port.port})
        own_ports.add((port.protocol, port.port))


def _check_affinity(spec: ServiceSpec) -> Iterator[FieldError]:
    yield from one_of("sessionAffinity", spec.session_affinity, ("ClientIP", "None"))
    seconds = spec.session_affinity_config.client_ip.timeout_seconds
    if spec.session_affinity == "ClientIP" and not 0 < seconds <= MAX_AFFINITY_SECONDS:
        field = "sessionAffinityConfig.clientIP.timeoutSeconds"
        yield invalid(field, seconds, f"must be greater than 0 and less than {MAX_AFFINITY_SECONDS}")


def _check_cluster_ips(spec: ServiceSpec) -> Iterator[FieldError]:
    address, addresses = spec.cluster_ip, spec.cluster_ips
    if address and not addresses:
        yield required("clusterIPs")
    elif address and addresses[0] != address:
        yield invalid("clusterIPs", addresses, "first value must match `clusterIP`")
    elif addresses and not address:
        yield invalid("clusterIPs", addresses, "must be empty when `clusterIP` is not specified")
    yield from _check_families(spec)
    problems = tuple(_check_address_forms(addresses))
    yield from problems
    if not problems:
        yield from _check_family_of_each(spec)


def _check_families(spec: ServiceSpec) -> Iterator[FieldError]:
    for index, is_repeated in enumerate(repeats(spec.ip_families)):
        family = spec.ip_families[index]
        if family not in FAMILIES:
            yield not_supported(f"ipFamilies[{index}]", family, FAMILIES)
        if is_repeated:
            yield duplicate(f"ipFamilies[{index}]", family)
    if spec.ip_family_policy is not None and spec.ip_family_policy not in FAMILY_POLICIES:
        yield not_supported("ipFamilyPolicy", spec.ip_family_policy, FAMILY_POLICIES)


def _check_address_forms(addresses: tuple[str, ...]) -> Iterator[FieldError]:
    for index, address in enumerate(addresses):
        if index == 0 and address == "None":
            if len(addresses) > 1:
                yield invalid("clusterIPs", addresses, "'None' must be the first and only value")
        else:
            yield from check_ip(f"clusterIPs[{index}]", address)
    if len(addresses) > 2:
        yield invalid("clusterIPs", addresses, "may only hold up to 2 values")


def _check_family_of_each(spec: ServiceSpec) -> Iterator[FieldError]:
    versions = [ip.version for address in spec.cluster_ips if (ip := parse_ip(address))]
    if len(versions) != len(set(versions)):
        yield invalid("clusterIPs", spec.cluster_ips, "may specify no more than one IP for each IP family")
    for index, (version, family) in enumerate(zip(versions, spec.ip_families, strict=False)):
        if version != FAMILIES.get(family, version):
            why = f"expected an {family} value as indicated by `ipFamilies[{index}]`"
            yield invalid(f"clusterIPs[{index}]", spec.cluster_ips[index], why)


def _check_load_balancer(spec: ServiceSpec) -> Iterator[FieldError]:
    is_load_balancer = spec.type == "LoadBalancer"
    if spec.load_balancer_source_ranges:
        if not is_load_balancer:
            yield forbidden("LoadBalancerSourceRanges", _LOAD_BALANCERS_ONLY)
        for index, cidr in enumerate(spec.load_balancer_source_ranges):
            yield from check_cidr(f"LoadBalancerSourceRanges[{index}]", cidr.strip())
    if spec.allocate_load_balancer_node_ports is not None and not is_load_balancer:
        yield forbidden("allocateLoadBalancerNodePorts", _LOAD_BALANCERS_ONLY)
    if spec.load_balancer_class and not is_load_balancer:
        yield forbidden("loadBalancerClass", _LOAD_BALANCERS_ONLY)
    elif spec.load_balancer_class:
        yield from check_name("loadBalancerClass", spec.load_balancer_class, names.qualified_name)


def _check_traffic(spec: ServiceSpec) -> Iterator[FieldError]:
    policy = spec.external_traffic_policy
    if spec.is_externally_reachable:
        yield from one_of("externalTrafficPolicy", policy, TRAFFIC_POLICIES)
    elif policy:
        yield invalid("externalTrafficPolicy", policy, "may only be set for externally-accessible services")
    if spec.health_check_node_port:
        if spec.type == "LoadBalancer" and policy == "Local":
            yield from in_range("healthCheckNodePort", spec.health_check_node_port, 1, 65535)
        else:
            why = "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"
            yield invalid("healthCheckNodePort", spec.health_check_node_port, why)
    if spec.internal_traffic_policy or spec.type != "ExternalName":
        yield from one_of("internalTrafficPolicy", spec.internal_traffic_policy, TRAFFIC_POLICIES)
    distribution = spec.traffic_distribution
    if distribution is not None and distribution not in DISTRIBUTIONS:
        yield not_supported("trafficDistribution", distribution, DISTRIBUTIONS)


def check_spec_update(spec: ServiceSpec, old: ServiceSpec) -> Iterator[FieldError]:
    """The first address stays for life; a second one may come and go."""
    if "ExternalName" not in (spec.type, old.type):
        if not (spec.is_headless and old.is_headless):
            yield from _check_addresses_stay(spec, old)
        if not spec.is_headless and not old.is_headless:
            yield from _check_families_stay(spec, old)
    if spec.type == old.type == "LoadBalancer" and spec.load_balancer_class != old.load_balancer_class:
        yield invalid("loadBalancerClass", spec.load_balancer_class or None, _STAYS)


def _check_addresses_stay(spec: ServiceSpec, old: ServiceSpec) -> Iterator[FieldError]:
    now, before = spec.cluster_ips, old.cluster_ips
    if before and not now:
        yield invalid("clusterIPs[0]", now, "primary clusterIP can not be unset")
    for index, (address, old_address) in enumerate(zip(now, before, strict=False)):
        if address != old_address:
            yield invalid(f"clusterIPs[{index}]", now, _STAYS)
    if len(before) > len(now) == 1 and spec.ip_family_policy != "SingleStack":
        why = "must be set to 'SingleStack' when releasing the secondary clusterIP"
        yield invalid("ipFamilyPolicy", spec.ip_family_policy, why)


def _check_families_stay(spec: ServiceSpec, old: ServiceSpec) -> Iterator[FieldError]:
    now, before = spec.ip_families, old.ip_families
    if any(family != old_family for family, old_family in zip(now, before, strict=False)):
        yield invalid("ipFamilies[0]", now, _STAYS)
    if len(before) > len(now) == 1 and spec.ip_family_policy != "SingleStack":
        why = "must be set to 'SingleStack' when releasing the secondary ipFamily"
        yield invalid("ipFamilyPolicy", spec.ip_family_policy, why)
