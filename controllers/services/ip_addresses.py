"""Keep an IPAddress for every cluster address of a service, and none for addresses that nobody has.

The address itself is given by the API server; the objects tell people who has which. Kubernetes: the allocator of
ServiceCIDRs and its repair loop. Differs: an object follows its service a moment later.
"""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.core.service import Service
from wherry.api.networking.ip_address import ALLOCATOR, FAMILY_LABEL, MANAGED_BY_LABEL, IPAddress
from wherry.client.controller import controller
from wherry.client.plan import CheckAgain, Create, Delete, Manifest, Plan
from wherry.client.world import World

_AGAIN_SECONDS = 5.0


def addresses_of(service: Service) -> list[str]:
    """The cluster addresses of a service."""
    return [address for address in service.spec.cluster_ips if address not in ("", "None")]


def service_of(address: IPAddress, _: World) -> Iterator[str]:
    """The service that has an address."""
    parent = address.spec.parent_ref
    if parent is not None and parent.resource == "services":
        yield f"{parent.namespace}/{parent.name}"


def names_of(service: Service, _: World) -> Iterator[str]:
    """The objects that a service's coming or going may concern."""
    return iter(addresses_of(service))


@controller(Service, wakes={IPAddress: service_of}, name="ip_addresses")
def plan(service: Service, world: World) -> Plan:
    """Create what is missing; an address that is still somebody else's becomes free first."""
    for address in addresses_of(service):
        taken = world.get(IPAddress, address)
        if taken is None:
            yield Create(_manifest(address, service))
        elif service.key not in service_of(taken, world):
            yield CheckAgain(_AGAIN_SECONDS)


@controller(IPAddress, wakes={Service: names_of}, name="ip_address_repair")
def repair(address: IPAddress, world: World) -> Plan:
    """Delete what was made here for a service that does not have the address any more."""
    parent = address.spec.parent_ref
    if address.metadata.labels.get(MANAGED_BY_LABEL) != ALLOCATOR or address.metadata.deleted_at is not None:
        return
    owner = world.get(Service, parent.name, parent.namespace) if parent is not None else None
    if owner is None or address.metadata.name not in addresses_of(owner):
        yield Delete(address)


def _manifest(address: str, service: Service) -> Manifest:
    labels = {FAMILY_LABEL: "IPv6" if ":" in address else "IPv4", MANAGED_BY_LABEL: ALLOCATOR}
    parent = {"resource": "services", "namespace": service.metadata.namespace, "name": service.metadata.name}
    kind = IPAddress.kind
    return {
        "apiVersion": kind.api_version,
        "kind": kind.name,
        "metadata": {"name": address, "labels": labels},
        "spec": {"parentRef": {"group": "", **parent}},
    }
