"""Whether an aggregated API answers, and if not, why. Kubernetes: kube-aggregator's availability controllers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from wherry.api.apiregistration.api_service import HTTPS_PORT, APIService
from wherry.api.core.service import Service
from wherry.api.discovery.endpoint_slice import SERVICE_NAME, EndpointSlice

if TYPE_CHECKING:
    from apiserver.server import Server


class Health(NamedTuple):
    """The condition `Available`, and the words for it."""

    is_available: bool
    reason: str
    message: str


PASSED = Health(True, "Passed", "all checks passed")


def check_place(server: Server, service: APIService) -> Health:
    """Whether the service is there, with its port and somebody behind it."""
    reference = service.spec.service
    if reference is None:
        return PASSED
    place, port = f'service/{reference.name} in "{reference.namespace}"', reference.port or HTTPS_PORT
    stored = server.cache.of(Service).get(reference.namespace, reference.name)
    if stored is None:
        return Health(False, "ServiceNotFound", f"{place} is not present")
    spec = Service.read(stored.item).spec
    if spec.type == "ExternalName":
        return PASSED
    names = [each.name for each in spec.ports if each.port == port]
    if not names:
        return Health(False, "ServicePortError", f"{place} is not listening on port {port}")
    slices = [
        EndpointSlice.read(each.item)
        for each in server.cache.of(EndpointSlice).objects(reference.namespace)
        if each.labels.get(SERVICE_NAME) == reference.name
    ]
    if not slices:
        return Health(False, "EndpointsNotFound", f"cannot find endpointslices for {place}")
    ready = any(
        endpoint.conditions.ready is not False and endpoint.addresses
        for piece in slices
        if any(each.name == names[0] for each in piece.ports)
        for endpoint in piece.endpoints
    )
    if not ready:
        why = f'endpointslices for {place} have no addresses with port name "{names[0]}"'
        return Health(False, "MissingEndpoints", why)
    return PASSED
