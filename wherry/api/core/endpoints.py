"""Endpoints: the addresses behind a service, in one object; EndpointSlice is its successor."""

from __future__ import annotations

from wherry.api.meta import ObjectReference
from wherry.machinery.resource import Resource
from wherry.machinery.view import View


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


class EndpointSubset(View):
    """Addresses that share ports."""

    addresses: tuple[EndpointAddress, ...] = ()
    not_ready_addresses: tuple[EndpointAddress, ...] = ()
    ports: tuple[EndpointPort, ...] = ()


class Endpoints(Resource, version="v1", plural="endpoints", short=("ep",)):
    """The addresses behind the service of the same name."""

    subsets: tuple[EndpointSubset, ...] = ()

    create_on_update = True
