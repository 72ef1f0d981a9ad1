"""Who answers for a path of an ingress: a port of a service, or another object that the ingress controller knows."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, invalid, required
from wherry.machinery.validation import check_name, in_range, required_name, under
from wherry.machinery.view import View


class TypedLocalObjectReference(View):
    """An object of any kind in the same namespace."""

    api_group: str | None = None
    kind: str = ""
    name: str = ""


class ServiceBackendPort(View):
    """A port by its name or its number."""

    name: str = ""
    number: int = 0


class IngressServiceBackend(View):
    """A port of a service."""

    name: str = ""
    port: ServiceBackendPort = ServiceBackendPort()


class IngressBackend(View):
    """One of the two."""

    service: IngressServiceBackend | None = None
    resource: TypedLocalObjectReference | None = None


def check_backend(backend: IngressBackend) -> Iterator[FieldError]:
    """Every broken rule of a backend."""
    if backend.resource is not None and backend.service is not None:
        yield invalid("", "", "cannot set both resource and service backends")
    elif backend.resource is not None:
        yield from under("resource", check_typed_reference(backend.resource))
    elif backend.service is not None:
        yield from required_name("service.name", backend.service.name, names.dns1123_label)
        yield from _check_port(backend.service.port)
    else:
        yield invalid("", "", "resource or service backend is required")


def _check_port(port: ServiceBackendPort) -> Iterator[FieldError]:
    if port.name and port.number:
        yield invalid("", "", "cannot set both port name & port number")
    elif port.name:
        yield from check_name("service.port.name", port.name, names.port_name)
    elif port.number:
        yield from in_range("service.port.number", port.number, 1, 65535)
    else:
        yield required("", "port name or number is required")


def check_typed_reference(reference: TypedLocalObjectReference) -> Iterator[FieldError]:
    """A reference with a kind and a name."""
    if reference.api_group is not None:
        yield from check_name("apiGroup", reference.api_group, names.dns1123_subdomain)
    yield from required_name("kind", reference.kind, names.path_segment)
    yield from required_name("name", reference.name, names.path_segment)
