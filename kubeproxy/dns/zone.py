"""What the cluster's names mean: a pure lookup over Services and EndpointSlices.

    web.shop.svc.cluster.local             A      the cluster IP; for a headless service its ready pods
    db-0.db.shop.svc.cluster.local         A      the endpoint with that hostname (or 10-244-0-5, by address)
    _http._tcp.web.shop.svc.cluster.local  SRV    port and name, per endpoint if headless
    10-244-0-5.shop.pod.cluster.local      A      the address in the name
    7.0.96.10.in-addr.arpa                 PTR    back to the name
    a service of type ExternalName         CNAME  what it says

Kubernetes: the DNS specification 1.1.0. Differs: IPv4 only; pod names are not checked against namespaces.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import NamedTuple

from kubeproxy.plan import cluster_ips, is_ready
from wherry.api.core.service import Service
from wherry.api.discovery.endpoint_slice import Endpoint, EndpointSlice

SPECIFICATION = "1.1.0"
_DASHED = re.compile(r"\d{1,3}(-\d{1,3}){3}", re.ASCII)


class Record(NamedTuple):
    """One record; names are absolute with a final dot, `data` as in a zone file."""

    name: str
    type: str
    data: str


class Answer(NamedTuple):
    """What the zone says. Without records, `is_known` tells a name that has others from one that does not exist."""

    is_known: bool
    records: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()


UNKNOWN = Answer(False)
NO_DATA = Answer(True)


class _Place(NamedTuple):
    """One endpoint under its name within the service, with its ports as (name, protocol, number)."""

    label: str
    address: str
    ports: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class ZoneSettings:
    """`domain` without dots at its ends; reverse lookups in `networks` are ours to answer."""

    domain: str = "cluster.local"
    dns_address: str = ""
    networks: tuple[IPv4Network, ...] = ()


class Zone:
    """The names of one moment. Look up with lower-case absolute names such as `web.shop.svc.cluster.local.`

    A zone is made anew at every change, and few of its names are asked for before the next one: endpoints are read
    when somebody asks.
    """

    def __init__(
        self,
        services: Iterable[Service] = (),
        slices: Iterable[EndpointSlice] = (),
        settings: ZoneSettings | None = None,
    ) -> None:
        self.settings = settings or ZoneSettings()
        self._services = {(service.metadata.namespace, service.metadata.name): service for service in services}
        self._namespaces = {namespace for namespace, _ in self._services}
        self._slices: dict[str, list[EndpointSlice]] = {}
        for slice in slices:
            if slice.address_type == "IPv4":
                self._slices.setdefault(slice.service_key, []).append(slice)
        self._places: dict[str, list[_Place]] = {}

    @cached_property
    def _reverse(self) -> dict[str, str]:
        """Names by address; cluster IPs come last, because they are surer than endpoints."""
        return dict(self._reverse_names())

    def owns(self, name: str) -> bool:
        """Whether the zone speaks for `name`; all others are somebody else's."""
        if name == f"{self.settings.domain}." or name.endswith(f".{self.settings.domain}."):
            return True
        address = _reversed_address(name)
        return address is not None and (
            str(address) in self._reverse or any(address in network for network in self.settings.networks)
        )

    def look_up(self, name: str, type: str) -> Answer:
        """The answer for a name that the zone owns. ANY gets what there is."""
        address = _reversed_address(name)
        answer = self._find(name, type) if address is None else self._pointer(name, str(address))
        wanted = tuple(record for record in answer.records if type in (record.type, "ANY") or record.type == "CNAME")
        return Answer(answer.is_known, wanted, answer.additional if wanted else ())

    def _find(self, name: str, type: str) -> Answer:
        labels = name.removesuffix(f"{self.settings.domain}.").rstrip(".").split(".")
        match labels:
            case [""] | ["svc"] | ["pod"] | ["dns"]:
                return NO_DATA
            case ["ns", "dns"] if self.settings.dns_address:
                return Answer(True, (Record(name, "A", self.settings.dns_address),))
            case ["dns-version"]:
                return Answer(True, (Record(name, "TXT", f'"{SPECIFICATION}"'),))
            case [dashed, _, "pod"]:
                return _dashed(name, dashed)
            case [namespace, "svc" | "pod"]:
                return NO_DATA if namespace in self._namespaces else UNKNOWN
            case [*rest, service, namespace, "svc"] if (namespace, service) in self._services:
                return self._service(name, rest, self._services[namespace, service], type)
        return UNKNOWN

    def _service(self, name: str, rest: list[str], service: Service, type: str) -> Answer:
        if service.spec.type == "ExternalName":
            target = service.spec.external_name.rstrip(".") + "."
            return UNKNOWN if rest else Answer(True, (Record(name, "CNAME", target),))
        match rest:
            case []:
                return self._whole(name, service, type)
            case [label]:
                found = {place.address for place in self._places_of(service) if place.label == label}
                return _addresses(name, sorted(found)) if found else self._if_named(service, label)
            case [port, protocol] if port.startswith("_") and protocol.startswith("_"):
                return self._port(name, service, port[1:], protocol[1:].upper(), type)
        return UNKNOWN

    def _whole(self, name: str, service: Service, type: str) -> Answer:
        if type == "SRV":
            return self._port(name, service, "", "", type)
        if service.spec.is_headless:
            addresses = {place.address for place in self._places_of(service)}
            # The specification: a headless service without ready endpoints does not exist.
            return _addresses(name, sorted(addresses)) if addresses else UNKNOWN
        return _addresses(name, cluster_ips(service))

    def _port(self, name: str, service: Service, port: str, protocol: str, type: str) -> Answer:
        """SRV records, with the addresses they lead to; an empty `port` and `protocol` mean all of them."""
        if service.spec.is_headless:
            found = [
                (number, f"{place.label}.{self._name_of(service)}", place.address)
                for place in self._places_of(service)
                for port_name, port_protocol, number in place.ports
                if (port_name, port_protocol) == (port, protocol) or not protocol
            ]
        else:
            found = [
                (entry.port, self._name_of(service), address)
                for entry in service.spec.ports
                for address in cluster_ips(service)
                if (entry.name, entry.protocol) == (port, protocol) or not protocol
            ]
        if not found:
            return UNKNOWN
        if type != "SRV":
            return _addresses(name, sorted({address for _, _, address in found}))
        weight = max(100 // len(found), 1)
        records = sorted({Record(name, "SRV", f"0 {weight} {number} {target}") for number, target, _ in found})
        additional = sorted({Record(target, "A", address) for _, target, address in found})
        return Answer(True, tuple(records), tuple(additional))

    def _places_of(self, service: Service) -> list[_Place]:
        key = service.key
        if key not in self._places:
            self._places[key] = [place for slice in self._slices.get(key, ()) for place in _places(slice)]
        return self._places[key]

    def _if_named(self, service: Service, label: str) -> Answer:
        """`_tcp.web…` exists where `_http._tcp.web…` does, without records of its own."""
        protocols = {f"_{port.protocol.lower()}" for port in service.spec.ports}
        return NO_DATA if label in protocols else UNKNOWN

    def _name_of(self, service: Service) -> str:
        return f"{service.metadata.name}.{service.metadata.namespace}.svc.{self.settings.domain}."

    def _reverse_names(self) -> Iterator[tuple[str, str]]:
        for service in self._services.values():
            if service.spec.is_headless:
                for place in self._places_of(service):
                    yield place.address, f"{place.label}.{self._name_of(service)}"
        for service in self._services.values():
            for address in cluster_ips(service):
                yield address, self._name_of(service)

    def _pointer(self, name: str, address: str) -> Answer:
        known = self._reverse.get(address)
        return Answer(True, (Record(name, "PTR", known),)) if known else UNKNOWN


def _places(slice: EndpointSlice) -> Iterator[_Place]:
    ports = tuple((port.name, port.protocol, port.port) for port in slice.ports if port.port)
    for endpoint in slice.endpoints:
        if endpoint.addresses and is_ready(endpoint):
            yield _Place(_label(endpoint), endpoint.addresses[0], ports)


def _label(endpoint: Endpoint) -> str:
    return endpoint.hostname or endpoint.addresses[0].replace(".", "-")


def _addresses(name: str, addresses: Iterable[str]) -> Answer:
    return Answer(True, tuple(Record(name, "A", address) for address in addresses))


def _dashed(name: str, label: str) -> Answer:
    """
    >>> _dashed("10-244-0-5.shop.pod.cluster.local.", "10-244-0-5").records[0].data
    '10.244.0.5'
    """
    try:
        address = IPv4Address(label.replace("-", ".")) if _DASHED.fullmatch(label) else None
    except AddressValueError:
        address = None
    return _addresses(name, [str(address)]) if address else UNKNOWN


def _reversed_address(name: str) -> IPv4Address | None:
    """
    >>> _reversed_address("7.0.96.10.in-addr.arpa.")
    IPv4Address('10.96.0.7')
    """
    octets = name.removesuffix(".in-addr.arpa.").split(".")
    if not name.endswith(".in-addr.arpa.") or len(octets) != 4:
        return None
    try:
        return IPv4Address(".".join(reversed(octets)))
    except AddressValueError:
        return None
