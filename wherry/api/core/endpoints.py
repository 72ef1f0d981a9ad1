"""Endpoints: the addresses behind a service, in one object; EndpointSlice is its successor."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.core.service_rules import PROTOCOLS
from wherry.api.filling import fill_empty
from wherry.api.meta import ObjectReference
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE, first_three
from wherry.machinery.validation import (
    check_ip,
    check_name,
    check_public_ip,
    each,
    in_range,
    one_of,
    parse_ip,
    under,
)
from wherry.machinery.view import View

fill_empty("io.k8s.api.core.v1.EndpointPort", protocol="TCP")


class EndpointAddress(View):
    """One pod's address."""

    ip: str = ""
    hostname: str = ""
    node_name: str = ""
    target_ref: ObjectReference | None = None


class EndpointPort(View):
    """A port open on every address of the subset."""

    name: str = ""
    port: int = 0
    protocol: str = "TCP"
    app_protocol: str = ""


class EndpointSubset(View):
    """Addresses that share ports."""

    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class Endpoints(Resource, version="v1", plural="endpoints", short=("ep",)):
    """The addresses behind the service of the same name."""

    subsets: tuple[EndpointSubset, ...] = ()

    create_on_update = True
    deprecation = "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"
    columns = (Column("Endpoints", lambda endpoints: first_three(_texts(endpoints)) or "<none>"), AGE)

    def validate(self, old: Endpoints | None) -> Iterator[FieldError]:
        """Every broken rule: addresses others can reach, ports that can be told apart."""
        return each("subsets", self.subsets, _check_subset)


def _check_subset(subset: EndpointSubset) -> Iterator[FieldError]:
    if not subset.addresses and not subset.not_ready_addresses:
        yield required("", "must specify `addresses` or `notReadyAddresses`")
    yield from each("addresses", subset.addresses, _check_address)
    yield from each("notReadyAddresses", subset.not_ready_addresses, _check_address)
    for index, port in enumerate(subset.ports):
        yield from under(f"ports[{index}]", _check_port(port, needs_name=len(subset.ports) > 1))


def _check_address(address: EndpointAddress) -> Iterator[FieldError]:
    yield from check_ip("ip", address.ip)
    if address.hostname:
        yield from check_name("hostname", address.hostname, names.dns1123_label)
    if address.node_name:
        yield from check_name("nodeName", address.node_name, names.dns1123_subdomain)
    yield from check_public_ip("ip", address.ip)


def _check_port(port: EndpointPort, needs_name: bool) -> Iterator[FieldError]:
    if port.name:
        yield from check_name("name", port.name, names.dns1123_label)
    elif needs_name:
        yield required("name")
    yield from in_range("port", port.port, 1, 65535)
    yield from one_of("protocol", port.protocol, PROTOCOLS)
    if port.app_protocol:
        yield from check_name("appProtocol", port.app_protocol, names.qualified_name)


def _texts(endpoints: Endpoints) -> Iterator[str]:
    for subset in endpoints.subsets:
        if not subset.ports:
            yield from (address.ip for address in subset.addresses)
        for port in subset.ports:
            yield from (f"{_in_url(address.ip)}:{port.port}" for address in subset.addresses)


def _in_url(ip: str) -> str:
    parsed = parse_ip(ip)
    return f"[{ip}]" if parsed is not None and parsed.version == 6 else ip
