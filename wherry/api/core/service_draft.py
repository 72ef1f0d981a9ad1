"""What the API server fills into a service and keeps in it: defaults, both forms of its address, what a type needs.

`clusterIP` and `clusterIPs` are two fields for one thing; whoever writes one of them means both. What was allocated
stays when an update leaves it out, and goes when the new type has no use for it.

Kubernetes: core/v1 `SetDefaults_Service`, registry/core/service `normalizeClusterIPs`, `patchAllocatedValues`,
`dropTypeDependentFields`. Allocation itself is the API server's (admission).
"""

from __future__ import annotations

from typing import Any

from wherry.api.filling import fill_empty
from wherry.machinery.schema import defaults

CORE = "io.k8s.api.core.v1."
AFFINITY_SECONDS = 10800

Draft = dict[str, Any]

fill_empty(CORE + "ServicePort", protocol="TCP")
fill_empty(CORE + "ServiceSpec", sessionAffinity="None", type="ClusterIP")


@defaults(CORE + "ServicePort")
def _target_port(port: Draft) -> None:
    if not port.get("targetPort") and "port" in port:
        port["targetPort"] = port["port"]


@defaults(CORE + "ServiceSpec")
def _session_affinity(spec: Draft) -> None:
    if spec["sessionAffinity"] == "None":
        spec.pop("sessionAffinityConfig", None)
    elif spec["sessionAffinity"] == "ClientIP":
        config = spec.setdefault("sessionAffinityConfig", {})
        config.setdefault("clientIP", {}).setdefault("timeoutSeconds", AFFINITY_SECONDS)


@defaults(CORE + "ServiceSpec")
def _policies_of_the_type(spec: Draft) -> None:
    if is_externally_reachable(spec) and not spec.get("externalTrafficPolicy"):
        spec["externalTrafficPolicy"] = "Cluster"
    if spec["type"] in ("ClusterIP", "NodePort", "LoadBalancer"):
        spec.setdefault("internalTrafficPolicy", "Cluster")
    if spec["type"] == "LoadBalancer":
        spec.setdefault("allocateLoadBalancerNodePorts", True)


@defaults(CORE + "LoadBalancerIngress")
def _ip_mode(ingress: Draft) -> None:
    if ingress.get("ip"):
        ingress.setdefault("ipMode", "VIP")


def is_externally_reachable(spec: Draft) -> bool:
    """Whether traffic can come from outside of the cluster."""
    kind = spec.get("type")
    return kind in ("LoadBalancer", "NodePort") or (kind == "ClusterIP" and bool(spec.get("externalIPs")))


def needs_cluster_ip(spec: Draft) -> bool:
    """Every service but an alias has an address in the cluster."""
    return spec.get("type") in ("ClusterIP", "NodePort", "LoadBalancer")


def needs_node_ports(spec: Draft) -> bool:
    """Whether its ports are open on every node."""
    kind = spec.get("type")
    return kind == "NodePort" or (kind == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts") is not False)


def prepare(draft: Draft) -> None:
    """Bring a new service's address into both fields."""
    spec = draft.setdefault("spec", {})
    draft["status"] = {"loadBalancer": {}}
    if spec.get("clusterIP") and not spec.get("clusterIPs"):
        spec["clusterIPs"] = [spec["clusterIP"]]


def carry_over(draft: Draft, old_draft: Draft) -> None:
    """Bring an update's address into both fields, keep what was allocated, drop what the new type does not have."""
    spec, old = draft.setdefault("spec", {}), old_draft.get("spec") or {}
    if needs_cluster_ip(old) and needs_cluster_ip(spec):
        _keep_cluster_ip(spec, old)
    _pair_addresses(spec, old)
    if needs_node_ports(old) and needs_node_ports(spec):
        _keep_node_ports(spec, old)
    _drop_what_the_type_lacks(spec, old)


def _keep_cluster_ip(spec: Draft, old: Draft) -> None:
    if not spec.get("clusterIP") and not spec.get("clusterIPs"):
        for field in ("clusterIP", "clusterIPs"):
            if field in old:
                spec[field] = old[field]
    elif not spec.get("clusterIP"):
        spec["clusterIP"] = spec["clusterIPs"][0]


def _pair_addresses(spec: Draft, old: Draft) -> None:
    """Whichever of the two fields the author changed counts; a change of both is judged by validation."""
    address, addresses = spec.get("clusterIP", ""), spec.get("clusterIPs") or []
    if address and not addresses:
        spec["clusterIPs"] = [address]
    elif address != old.get("clusterIP", "") and addresses == (old.get("clusterIPs") or []):
        if address:
            spec["clusterIPs"] = [address, *addresses[1:]]
        else:
            spec.pop("clusterIPs", None)


def _keep_node_ports(spec: Draft, old: Draft) -> None:
    allocated = {_port_key(port): port["nodePort"] for port in old.get("ports") or () if port.get("nodePort")}
    given = {(port.get("protocol"), port["nodePort"]) for port in spec.get("ports") or () if port.get("nodePort")}
    for port in spec.get("ports") or ():
        number = allocated.get(_port_key(port))
        if not port.get("nodePort") and number and (port.get("protocol"), number) not in given:
            port["nodePort"] = number


def _port_key(port: Draft) -> tuple[Any, Any]:
    return port.get("protocol"), port.get("port")


def _drop_what_the_type_lacks(spec: Draft, old: Draft) -> None:
    """A field the author changed himself stays, for validation to refuse."""
    if needs_cluster_ip(old) and not needs_cluster_ip(spec):
        for field in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"):
            _drop_if_same(spec, old, field)
    if needs_node_ports(old) and not needs_node_ports(spec):
        before = {_port_key(port): port.get("nodePort") for port in old.get("ports") or ()}
        for port in spec.get("ports") or ():
            if port.get("nodePort") == before.get(_port_key(port)):
                port.pop("nodePort", None)
    if is_externally_reachable(old) and not is_externally_reachable(spec):
        _drop_if_same(spec, old, "externalTrafficPolicy")
    if old.get("type") == "LoadBalancer" and spec.get("type") != "LoadBalancer":
        for field in ("allocateLoadBalancerNodePorts", "loadBalancerClass", "healthCheckNodePort"):
            _drop_if_same(spec, old, field)


def _drop_if_same(spec: Draft, old: Draft, field: str) -> None:
    if field in spec and spec[field] == old.get(field):
        del spec[field]
