"""Copy Endpoints that people write themselves into EndpointSlices, from which traffic is led.

It concerns services without a selector: behind the others, slices are made from pods. Slices belong to the Endpoints
they copy and go with them. Kubernetes: the EndpointSliceMirroring controller. Differs: no limit of 1000 addresses.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from controllers.parts.service_pods import family_of
from controllers.parts.slice_packing import pack
from wherry.api.core.endpoints import EndpointAddress, Endpoints, EndpointSubset
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
MANAGER = "endpointslicemirroring-controller.k8s.io"
SKIP = "endpointslice.kubernetes.io/skip-mirror"
# Endpoints on which candidates for a lead write their claims lead nowhere.
LEADER = "control-plane.alpha.kubernetes.io/leader"
_OF_THE_ORIGINAL = ("kubectl.kubernetes.io/last-applied-configuration", "endpoints.kubernetes.io/over-capacity")

Ports = tuple[EndpointPort, ...]
Group = tuple[str, Ports]


def same_name(service: Service, _: World) -> list[str]:
    """The endpoints of this service."""
    return [service.key]


@controller(Endpoints, owns=[EndpointSlice], wakes={Service: same_name})
def plan(endpoints: Endpoints, world: World) -> Plan:
    """Slices with the addresses of the subsets, changed as little as possible."""
    present = [piece for piece in _copies(endpoints, world) if piece.metadata.deleted_at is None]
    wanted = _wanted(endpoints) if _is_copied(endpoints, world) else {}
    groups: defaultdict[Group, list[EndpointSlice]] = defaultdict(list)
    for piece in present:
        groups[piece.address_type, piece.ports].append(piece)
    for group in sorted({*wanted, *groups}, key=repr):
        packed = pack(wanted.get(group, ()), groups.get(group, ()))
        for piece, content in packed.kept:
            yield from _kept(endpoints, piece, content)
        for content in packed.new:
            yield Create(_manifest(endpoints, group, content))


def _copies(endpoints: Endpoints, world: World) -> list[EndpointSlice]:
    labels = {SERVICE_NAME: endpoints.metadata.name, MANAGED_BY: MANAGER}
    return world.list(EndpointSlice, namespace=endpoints.metadata.namespace, labels=labels)


def _is_copied(endpoints: Endpoints, world: World) -> bool:
    metadata = endpoints.metadata
    if metadata.deleted_at is not None or metadata.labels.get(SKIP) == "true" or LEADER in metadata.annotations:
        return False
    service = world.get(Service, metadata.name, metadata.namespace)
    return service is not None and not service.spec.selector and service.spec.type != "ExternalName"


def _wanted(endpoints: Endpoints) -> dict[Group, list[Endpoint]]:
    wanted: defaultdict[Group, dict[str, Endpoint]] = defaultdict(dict)
    for subset in endpoints.subsets:
        ports = tuple(
            EndpointPort(name=port.name, protocol=port.protocol, port=port.port, app_protocol=port.app_protocol)
            for port in subset.ports
        )
        for address, is_ready in _addresses(subset):
            wanted[family_of(address.ip), ports].setdefault(address.ip, _endpoint(address, is_ready))
    return {group: list(found.values()) for group, found in wanted.items()}


def _addresses(subset: EndpointSubset) -> Iterator[tuple[EndpointAddress, bool]]:
    yield from ((address, True) for address in subset.addresses)
    yield from ((address, False) for address in subset.not_ready_addresses)


def _endpoint(address: EndpointAddress, is_ready: bool) -> Endpoint:
    return Endpoint(
        addresses=(address.ip,),
        conditions=EndpointConditions(ready=is_ready),
        hostname=address.hostname,
        node_name=address.node_name,
        target_ref=address.target_ref,
    )


def _kept(endpoints: Endpoints, piece: EndpointSlice, content: tuple[Endpoint, ...]) -> Plan:
    if not content:
        yield Delete(piece)
        return
    patch: dict[str, Any] = {}
    if content != piece.endpoints:
        patch["endpoints"] = [endpoint.to_wire() for endpoint in content]
    for name, wanted in (("labels", _labels(endpoints)), ("annotations", _annotations(endpoints))):
        present = getattr(piece.metadata, name)
        if wanted != present:
            surplus = dict.fromkeys(present.keys() - wanted)
            patch.setdefault("metadata", {})[name] = {**wanted, **surplus}
    if patch:
        yield Update(piece, patch)


def _labels(endpoints: Endpoints) -> dict[str, str]:
    return {**endpoints.metadata.labels, SERVICE_NAME: endpoints.metadata.name, MANAGED_BY: MANAGER}


def _annotations(endpoints: Endpoints) -> dict[str, str]:
    return {name: text for name, text in endpoints.metadata.annotations.items() if name not in _OF_THE_ORIGINAL}


def _manifest(endpoints: Endpoints, group: Group, content: tuple[Endpoint, ...]) -> Manifest:
    family, ports = group
    return {
        "apiVersion": EndpointSlice.kind.api_version,
        "kind": EndpointSlice.kind.name,
        "metadata": {
            "generateName": f"{endpoints.metadata.name}-",
            "namespace": endpoints.metadata.namespace,
            "labels": _labels(endpoints),
            "annotations": _annotations(endpoints),
            "ownerReferences": [controller_reference(endpoints)],
        },
        "addressType": family,
        "endpoints": [endpoint.to_wire() for endpoint in content],
        "ports": [{"name": port.name, "protocol": port.protocol, **port.to_wire()} for port in ports],
    }
