"""Keep the Endpoints object of a service equal to the pods behind it, for those who do not read EndpointSlices yet.

Kubernetes: the Endpoints controller. Only the service's first address family, and at most 1000 addresses.
"""

from __future__ import annotations

from typing import Any

from controllers.parts.service_pods import (
    address_in,
    families_of,
    has_endpoints,
    hostname_for,
    labels_for,
    pods_behind,
    port_on,
    reference_to_pod,
    services_of,
)
from wherry.api.core.endpoints import EndpointAddress, EndpointPort, Endpoints, EndpointSubset
from wherry.api.core.pod import Pod
from wherry.api.core.service import Service
from wherry.client.controller import controller
from wherry.client.plan import Create, Delete, Plan, Update
from wherry.client.world import World

MANAGED_BY, MANAGER = "endpoints.kubernetes.io/managed-by", "endpoint-controller"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
MOST_ADDRESSES = 1000

Ports = tuple[EndpointPort, ...]


def same_name(endpoints: Endpoints, _: World) -> list[str]:
    """The service whose endpoints these are."""
    return [endpoints.key]


def forget(key: str, world: World) -> Plan:
    """The service is gone, and so is what we kept for it."""
    namespace, name = key.split("/")
    present = world.get(Endpoints, name, namespace)
    if present is not None and present.metadata.labels.get(MANAGED_BY) == MANAGER:
        yield Delete(present)


@controller(Service, wakes={Pod: services_of, Endpoints: same_name}, absent=forget)
def plan(service: Service, world: World) -> Plan:
    """One object of the service's name, written when it is not as it should be."""
    if not has_endpoints(service) or service.metadata.deleted_at is not None:
        return
    pods = [pod for pod in pods_behind(service, world) if _counts(pod, service)]
    subsets = _subsets(service, pods[:MOST_ADDRESSES])
    labels = {**labels_for(service), MANAGED_BY: MANAGER}
    annotations = {OVER_CAPACITY: "truncated"} if len(pods) > MOST_ADDRESSES else {}
    name, namespace = service.metadata.name, service.metadata.namespace
    present = world.get(Endpoints, name, namespace)
    if present is None:
        metadata = {"name": name, "namespace": namespace, "labels": labels, "annotations": annotations}
        identity = {"apiVersion": Endpoints.kind.api_version, "kind": Endpoints.kind.name}
        yield Create({**identity, "metadata": metadata, "subsets": [_wire(subset) for subset in subsets]})
        return
    patch: dict[str, Any] = {}
    if present.subsets != subsets:
        patch["subsets"] = [_wire(subset) for subset in subsets]
    surplus = dict.fromkeys(present.metadata.labels.keys() - labels)
    if labels != present.metadata.labels:
        patch["metadata"] = {"labels": {**labels, **surplus}}
    if annotations.get(OVER_CAPACITY) != present.metadata.annotations.get(OVER_CAPACITY):
        patch.setdefault("metadata", {})["annotations"] = {OVER_CAPACITY: annotations.get(OVER_CAPACITY)}
    if patch:
        yield Update(present, patch)


def _counts(pod: Pod, service: Service) -> bool:
    is_wanted = pod.metadata.deleted_at is None or service.spec.publish_not_ready_addresses
    return is_wanted and bool(address_in(pod, families_of(service)[0]))


def _subsets(service: Service, pods: list[Pod]) -> tuple[EndpointSubset, ...]:
    """Pods with the same ports share a subset, in the order of their ports and addresses."""
    ready: dict[Ports, list[EndpointAddress]] = {}
    waiting: dict[Ports, list[EndpointAddress]] = {}
    for pod in pods:
        ports = _ports(service, pod)
        if not ports and service.spec.ports:
            continue
        is_ready = pod.status.ready or service.spec.publish_not_ready_addresses
        (ready if is_ready else waiting).setdefault(ports, []).append(_address(service, pod))
    return tuple(
        EndpointSubset(addresses=_sorted(ready, ports), not_ready_addresses=_sorted(waiting, ports), ports=ports)
        for ports in sorted({*ready, *waiting}, key=repr)
    )


def _sorted(addresses: dict[Ports, list[EndpointAddress]], ports: Ports) -> tuple[EndpointAddress, ...]:
    return tuple(sorted(addresses.get(ports, ()), key=lambda address: (address.ip, repr(address.target_ref))))


def _ports(service: Service, pod: Pod) -> Ports:
    found = ((port, port_on(pod, port)) for port in service.spec.ports)
    ports = [
        EndpointPort(name=port.name, port=number, protocol=port.protocol, app_protocol=port.app_protocol)
        for port, number in found
        if number is not None
    ]
    return tuple(sorted(ports, key=lambda port: (port.name, port.protocol, port.port)))


def _address(service: Service, pod: Pod) -> EndpointAddress:
    return EndpointAddress(
        ip=address_in(pod, families_of(service)[0]),
        hostname=hostname_for(pod, service),
        node_name=pod.spec.node_name,
        target_ref=reference_to_pod(pod),
    )


def _wire(subset: EndpointSubset) -> dict[str, Any]:
    ports = [{"protocol": port.protocol, **port.to_wire()} for port in subset.ports]
    return {**subset.to_wire(), "ports": ports} if ports else subset.to_wire()
