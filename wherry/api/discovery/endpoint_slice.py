"""EndpointSlice: up to 100 addresses behind a service. Behaviour: controllers/services, kubeproxy."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.core.service_rules import PROTOCOLS
from wherry.api.filling import fill_empty
from wherry.api.meta import ObjectReference
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, duplicate, invalid, required, too_many
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE, first_three
from wherry.machinery.validation import (
    check_ip,
    check_name,
    check_public_ip,
    in_range,
    one_of,
    parse_ip,
    unchanged,
    under,
)
from wherry.machinery.view import View

SERVICE_NAME = "kubernetes.io/service-name"
ADDRESS_TYPES = {"FQDN": 0, "IPv4": 4, "IPv6": 6}
MAX_ENDPOINTS, MAX_ADDRESSES, MAX_PORTS = 1000, 100, 100

fill_empty("io.k8s.api.discovery.v1.EndpointPort", protocol="TCP")
defaults.literal("io.k8s.api.discovery.v1.EndpointPort", name="")


class EndpointConditions(View):
    """`ready` is what traffic follows; `serving` ignores that a pod is terminating."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class HintedPlace(View):
    """A zone or node by name."""

    name: str = ""


class EndpointHints(View):
    """From where the endpoint should be used, if every other endpoint says so too."""

    for_zones: tuple[HintedPlace, ...] = ()
    for_nodes: tuple[HintedPlace, ...] = ()


class Endpoint(View):
    """One pod's addresses."""

    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    hostname: str = ""
    node_name: str = ""
    zone: str = ""
    target_ref: ObjectReference | None = None
    hints: EndpointHints | None = None


class EndpointPort(View):
    """A port open on every endpoint of the slice; none means any."""

    name: str = ""
    protocol: str = "TCP"
    port: int | None = None
    app_protocol: str = ""


class EndpointSlice(Resource, group="discovery.k8s.io", version="v1"):
    """Some of the addresses behind the service its label names."""

    address_type: str = ""
    endpoints: tuple[Endpoint, ...] = ()
    ports: tuple[EndpointPort, ...] = ()

    counts_generations = True
    columns = (
        Column("AddressType", lambda slice: slice.address_type),
        Column("Ports", lambda slice: first_three(map(_port_text, slice.ports)) or "<unset>"),
        Column("Endpoints", lambda slice: first_three(_addresses(slice)) or "<unset>"),
        AGE,
    )

    def validate(self, old: EndpointSlice | None) -> Iterator[FieldError]:
        """Every broken rule; the type of the addresses is for life."""
        if old is not None:
            yield from unchanged("addressType", self.address_type, old.address_type)
        yield from one_of("addressType", self.address_type, ADDRESS_TYPES)
        yield from under("endpoints", _check_endpoints(self.endpoints, self.address_type))
        yield from under("ports", _check_ports(self.ports))

    @property
    def service_key(self) -> str:
        """`namespace/name` of the service."""
        return f"{self.metadata.namespace}/{self.metadata.labels.get(SERVICE_NAME, '')}"


def _check_endpoints(endpoints: tuple[Endpoint, ...], address_type: str) -> Iterator[FieldError]:
    if len(endpoints) > MAX_ENDPOINTS:
        yield too_many("", len(endpoints), MAX_ENDPOINTS)
        return
    for index, endpoint in enumerate(endpoints):
        yield from under(f"[{index}]", _check_endpoint(endpoint, address_type))


def _check_endpoint(endpoint: Endpoint, address_type: str) -> Iterator[FieldError]:
    if not endpoint.addresses:
        yield required("addresses", "must contain at least 1 address")
    elif len(endpoint.addresses) > MAX_ADDRESSES:
        yield too_many("addresses", len(endpoint.addresses), MAX_ADDRESSES)
    for index, address in enumerate(endpoint.addresses):
        yield from _check_address(f"addresses[{index}]", address, address_type)
    if endpoint.node_name:
        yield from check_name("nodeName", endpoint.node_name, names.dns1123_subdomain)
    if endpoint.hostname:
        yield from check_name("hostname", endpoint.hostname, names.dns1123_label)


def _check_address(field: str, address: str, address_type: str) -> Iterator[FieldError]:
    if address_type == "FQDN":
        yield from check_name(field, address, names.dns1123_subdomain)
        return
    ip = parse_ip(address)
    if ip is None:
        yield from check_ip(field, address)
    elif ip.version != ADDRESS_TYPES.get(address_type, ip.version):
        yield invalid(field, address, f"must be a valid {address_type} address")
    else:
        yield from check_public_ip(field, address)


def _check_ports(ports: tuple[EndpointPort, ...]) -> Iterator[FieldError]:
    if len(ports) > MAX_PORTS:
        yield too_many("", len(ports), MAX_PORTS)
        return
    seen: set[str] = set()
    for index, port in enumerate(ports):
        path = f"[{index}]"
        if port.name:
            yield from check_name(f"{path}.name", port.name, names.dns1123_label)
        if port.name in seen:
            yield duplicate(f"{path}.name", port.name)
        seen.add(port.name)
        if port.port is not None:
            yield from in_range(f"{path}.port", port.port, 1, 65535)
        yield from one_of(f"{path}.protocol", port.protocol, PROTOCOLS)
        if port.app_protocol:
            yield from check_name(f"{path}.appProtocol", port.app_protocol, names.qualified_name)


def _port_text(port: EndpointPort) -> str:
    return str(port.port) if port.port is not None else port.name or "*"


def _addresses(slice: EndpointSlice) -> Iterator[str]:
    return (address for endpoint in slice.endpoints for address in endpoint.addresses)
