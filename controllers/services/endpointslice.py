"""Keep the EndpointSlices of a service equal to the pods behind it. Kubernetes: the EndpointSlice controller.

Slices of one address family and one set of ports belong together (`slice_packing` fills them). A service without any
endpoint keeps one empty slice, so that everyone can tell "none" from "not yet known". Differs: the annotation
endpoints.kubernetes.io/last-change-trigger-time is not kept; the zone of a node is read when its pods change.
"""

from __future__ import annotations

from collections import defaultdict
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
from controllers.parts.slice_packing import Packed, pack
from controllers.parts.traffic_distribution import hints_for
from controllers.parts.zone_shares import ZONE, shared_out
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.core.service import Service
from wherry.api.discovery.endpoint_slice import (
    SERVICE_NAME,
    Endpoint,
    EndpointConditions,
    EndpointPort,
    EndpointSlice,
)
from wherry.client.controller import controller
from wherry.client.plan import Create, Delete, Manifest, Plan, Update
from wherry.client.world import World
from wherry.machinery.meta import controller_reference

MANAGED_BY = "endpointslice.kubernetes.io/managed-by"
MANAGER = "endpointslice-controller.k8s.io"

Ports = tuple[EndpointPort, ...]
Group = tuple[str, Ports]


def _slices_of(namespace: str, name: str, world: World) -> list[EndpointSlice]:
    return world.list(EndpointSlice, namespace=namespace, labels={SERVICE_NAME: name, MANAGED_BY: MANAGER})


def forget(key: str, world: World) -> Plan:
    """The service is gone, and so are its slices."""
    namespace, name = key.split("/")
    yield from map(Delete, _slices_of(namespace, name, world))


@controller(Service, owns=[EndpointSlice], reads=[Node], wakes={Pod: services_of}, absent=forget)
def plan(service: Service, world: World) -> Plan:
    """Change as few slices as possible."""
    namespace, name = service.metadata.namespace, service.metadata.name
    present = [one for one in _slices_of(namespace, name, world) if one.metadata.deleted_at is None]
    if not has_endpoints(service):
        yield from map(Delete, present)
    if not has_endpoints(service) or service.metadata.deleted_at is not None:
        return
    wanted = shared_out(service, _wanted(service, world), world)
    groups: defaultdict[Group, list[EndpointSlice]] = defaultdict(list)
    for one in present:
        groups[one.address_type, _sorted(one.ports)].append(one)
    for group in sorted({*wanted, *groups}, key=repr):
        yield from _written(service, group, pack(wanted.get(group, ()), groups.get(group, ())), group in wanted)


def _wanted(service: Service, world: World) -> dict[Group, list[Endpoint]]:
    """The endpoints by family and ports; a family that has none is there with no ports."""
    pods = pods_behind(service, world)
    wanted: dict[Group, list[Endpoint]] = {}
    for family in families_of(service):
        reachable = [pod for pod in pods if address_in(pod, family)]
        for pod in reachable:
            wanted.setdefault((family, _ports(service, pod)), []).append(_endpoint(service, pod, family, world))
        if not reachable:
            wanted[family, ()] = []
    return wanted


def _ports(service: Service, pod: Pod) -> Ports:
    found = [(port, number) for port in service.spec.ports if (number := port_on(pod, port)) is not None]
    same = ("name", "protocol", "app_protocol")
    return _sorted([EndpointPort(port=number, **{key: getattr(port, key) for key in same}) for port, number in found])


def _sorted(ports: Ports | list[EndpointPort]) -> Ports:
    return tuple(sorted(ports, key=lambda port: (port.name, port.protocol, port.port or 0)))


def _endpoint(service: Service, pod: Pod, family: str, world: World) -> Endpoint:
    is_terminating = pod.metadata.deleted_at is not None
    is_ready = service.spec.publish_not_ready_addresses or (pod.status.ready and not is_terminating)
    node = world.get(Node, pod.spec.node_name) if pod.spec.node_name else None
    zone = node.metadata.labels.get(ZONE, "") if node else ""
    return Endpoint(
        addresses=(address_in(pod, family),),
        conditions=EndpointConditions(ready=is_ready, serving=pod.status.ready, terminating=is_terminating),
        hostname=hostname_for(pod, service),
        node_name=pod.spec.node_name,
        zone=zone,
        target_ref=reference_to_pod(pod),
        hints=hints_for(service, is_ready=is_ready, node=pod.spec.node_name, zone=zone),
    )


def _written(service: Service, group: Group, packed: Packed, is_wanted: bool) -> Plan:
    labels = {**labels_for(service), SERVICE_NAME: service.metadata.name, MANAGED_BY: MANAGER}
    keeps_empty = is_wanted and not packed.new and not any(endpoints for _, endpoints in packed.kept)
    for one, endpoints in packed.kept:
        if not endpoints and not keeps_empty:
            yield Delete(one)
            continue
        keeps_empty = False  # one is enough
        patch: dict[str, Any] = {}
        if endpoints != one.endpoints:
            patch["endpoints"] = [endpoint.to_wire() for endpoint in endpoints]
        if labels != one.metadata.labels:
            surplus = one.metadata.labels.keys() - labels
            patch["metadata"] = {"labels": {**labels, **dict.fromkeys(surplus)}}
        if patch:
            yield Update(one, patch)
    for endpoints in packed.new or ([()] if keeps_empty else []):
        yield Create(_manifest(service, group, labels, [endpoint.to_wire() for endpoint in endpoints]))


def _manifest(service: Service, group: Group, labels: dict[str, str], endpoints: list[Any]) -> Manifest:
    family, ports = group
    return {
        "apiVersion": EndpointSlice.kind.api_version,
        "kind": EndpointSlice.kind.name,
        "metadata": {
            "generateName": f"{service.metadata.name}-",
            "namespace": service.metadata.namespace,
            "labels": labels,
            "ownerReferences": [controller_reference(service)],
        },
        "addressType": family,
        "endpoints": endpoints,
        "ports": [{"name": port.name, "protocol": port.protocol, **port.to_wire()} for port in ports],
    }
