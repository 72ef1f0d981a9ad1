"""Give Services of type LoadBalancer the addresses of the nodes, as k3s does. Kubernetes: the service controller.

Every node's kube-proxy answers at these addresses, so any node that is up will do; with externalTrafficPolicy Local
only those that have a ready endpoint. Of two services that want the same port the older one has it, and what the nodes
themselves listen on is nobody's. Services that name a `loadBalancerClass` are left to whoever calls himself that.
"""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.core.node import Node
from wherry.api.core.service import LoadBalancerIngress, LoadBalancerStatus, Service
from wherry.api.discovery.endpoint_slice import SERVICE_NAME, EndpointSlice
from wherry.client.controller import controller
from wherry.client.plan import Event, Plan, SetStatus
from wherry.client.world import World

OUR_CLASS = "wherry.dev/service-lb"
EXCLUDED = "node.kubernetes.io/exclude-from-external-load-balancers"

Port = tuple[str, int]


def is_ours(service: Service) -> bool:
    """Whether we balance this service."""
    return service.spec.type == "LoadBalancer" and service.spec.load_balancer_class in ("", OUR_CLASS)


def balanced(_: Node | Service, world: World) -> Iterator[str]:
    """All services that depend on which nodes there are, and on each other's ports."""
    return (service.key for service in world.list(Service) if is_ours(service))


def service_of(slice: EndpointSlice, world: World) -> Iterator[str]:
    """The service of a slice, if it cares where its endpoints are."""
    service = world.get(Service, slice.metadata.labels.get(SERVICE_NAME, ""), slice.metadata.namespace)
    if service is not None and is_ours(service) and service.spec.external_traffic_policy == "Local":
        yield service.key


@controller(
    Service, wakes={Node: balanced, Service: balanced, EndpointSlice: service_of}, component="service-controller"
)
def plan(service: Service, world: World) -> Plan:
    """Say where the service answers."""
    now = service.status.load_balancer.ingress
    if service.spec.type != "LoadBalancer":
        if now:  # it was one before
            yield SetStatus(service.with_status(load_balancer=LoadBalancerStatus()))
        return
    if not is_ours(service) or service.metadata.deleted_at is not None:
        return
    taken = sorted(set(_ports(service)) & _taken(service, world))
    addresses = [] if taken else _addresses(service, world)
    wanted = tuple(LoadBalancerIngress(ip=address, ip_mode="VIP") for address in addresses)
    if taken:
        which = ", ".join(f"{number}/{protocol}" for protocol, number in taken)
        message = f"Error syncing load balancer: port {which} of the nodes is in use already"
        yield Event(service, "SyncLoadBalancerFailed", message, "Warning")
    if wanted != now:
        yield SetStatus(service.with_status(load_balancer=LoadBalancerStatus(ingress=wanted)))
        if wanted:
            yield Event(service, "EnsuredLoadBalancer", "Ensured load balancer")


def _addresses(service: Service, world: World) -> list[str]:
    nodes = [node for node in world.list(Node) if node.is_ready and EXCLUDED not in node.metadata.labels]
    if service.spec.external_traffic_policy == "Local":
        here = _nodes_behind(service, world)
        nodes = [node for node in nodes if node.metadata.name in here]
    found = {node.status.address("ExternalIP") or node.status.address("InternalIP") for node in nodes}
    return sorted(found - {""})


def _nodes_behind(service: Service, world: World) -> set[str]:
    labels = {SERVICE_NAME: service.metadata.name}
    slices = world.list(EndpointSlice, namespace=service.metadata.namespace, labels=labels)
    return {one.node_name for slice in slices for one in slice.endpoints if one.conditions.ready is not False}


def _ports(service: Service) -> Iterator[Port]:
    for port in service.spec.ports:
        yield port.protocol, port.port


def _taken(service: Service, world: World) -> set[Port]:
    """The ports of nodes that are not to be had: older services', the kubelets' and the API server's."""
    taken = {("TCP", node.status.daemon_endpoints.kubelet_endpoint.port) for node in world.list(Node)}
    for other in world.list(Service):
        if other.key == "default/kubernetes":
            taken |= {
                (port.protocol, port.target_port) for port in other.spec.ports if isinstance(port.target_port, int)
            }
        elif is_ours(other) and _age(other) < _age(service):
            taken |= set(_ports(other))
    return taken


def _age(service: Service) -> tuple[str, str]:
    return str(service.metadata.created_at), service.key
