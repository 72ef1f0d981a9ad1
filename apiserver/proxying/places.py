"""Where a pod, a service or a node answers, by names such as `web`, `web:http` and `https:web:443`.

Kubernetes: ResourceLocation of pods, services and nodes.
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import TYPE_CHECKING, NamedTuple

from apiserver.request import Target
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.api.core.service import Service
from wherry.api.discovery.endpoint_slice import SERVICE_NAME, Endpoint, EndpointSlice
from wherry.machinery.errors import BadRequest, InternalError, Unavailable, not_found

if TYPE_CHECKING:
    from apiserver.server import Server

_SCHEMES = ("", "http", "https")


class Place(NamedTuple):
    """A backend: `http://10.0.0.7:8080`, how its certificate is judged where it has one, and for which name."""

    url: str
    tls: ssl.SSLContext | None = None
    server_name: str | None = None


class Asked(NamedTuple):
    """A name in a proxy's path, in its parts."""

    scheme: str
    name: str
    port: str


@cache
def unchecked() -> ssl.SSLContext:
    """TLS without a look at the certificate: pods sign their own. Kubernetes: the proxy transport does the same."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def asked(target: Target) -> Asked:
    """Split `name`, `name:port` or `scheme:name:port`; raises BadRequest.

    >>> asked(Target("", "v1", "services", "shop", "https:web:443", "proxy"))
    Asked(scheme='https', name='web', port='443')
    """
    parts = target.name.split(":")
    scheme, name, port = parts if len(parts) == 3 else ["", *parts, ""][:3]
    if len(parts) > 3 or scheme not in _SCHEMES or not name:
        raise BadRequest(f'invalid {target.plural.removesuffix("s")} request "{target.name}"')
    return Asked(scheme, name, port)


def place_at(scheme: str, address: str, port: str | int) -> Place:
    """A place by its address."""
    host = f"[{address}]" if ":" in address else address
    is_tls = scheme == "https"
    return Place(f"{scheme or 'http'}://{host}" + (f":{port}" if port else ""), unchecked() if is_tls else None)


async def place_of_pod(server: Server, target: Target) -> Place:
    """The pod itself, at the port that was named, or the first one it declares."""
    wanted = asked(target)
    pod = Pod.read((await server.rest(Pod).get(target.namespace, wanted.name)).item)
    declared = [port for container in pod.spec.containers for port in container.ports]
    port = wanted.port or (str(declared[0].container_port) if declared else "")
    if port and not port.isdigit():
        numbers = [str(each.container_port) for each in declared if each.name == port]
        if not numbers:
            raise BadRequest(f'pod "{wanted.name}" has no port {port!r}')
        port = numbers[0]
    _check_address(pod.status.pod_ip)
    return place_at(wanted.scheme, pod.status.pod_ip, port)


def _check_address(address: str) -> None:
    """Nobody reaches the API server's own machine through a pod that claims to be there."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        raise BadRequest("address not allowed") from None
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    if parsed.is_loopback or parsed.is_link_local or parsed.is_multicast or parsed.is_unspecified:
        raise BadRequest("address not allowed")


async def place_of_service(server: Server, target: Target) -> Place:
    """One of the ready pods behind a service, by chance."""
    wanted = asked(target)
    service = Service.read((await server.rest(Service).get(target.namespace, wanted.name)).item)
    return place_behind(server, service, wanted)


def place_behind(server: Server, service: Service, wanted: Asked, *, only_pods: bool = True) -> Place:
    """One of the ready pods behind a service; the port is one of the service's, by number or by name.

    Users may write endpoints by hand. Unless `only_pods`, whatever they lead to is asked.
    """
    port, namespace = wanted.port, service.metadata.namespace
    if port.isdigit():
        names = [each.name for each in service.spec.ports if each.port == int(port)]
        if not names:
            raise Unavailable(f'no service port {port} found for service "{wanted.name}"')
        port = names[0]
    found = list(_answering(server, namespace, wanted.name, port, only_pods))
    if not found:
        asked_for = ":".join(wanted) if wanted.scheme else ":".join(part for part in wanted if part)
        raise Unavailable(f'no endpoints available for service "{asked_for}"')
    random: Random = server.random
    address, number = random.choice(found)
    return place_at(wanted.scheme, address, number)


def _answering(
    server: Server, namespace: str, service: str, port_name: str, only_pods: bool
) -> Iterator[tuple[str, int]]:
    for stored in server.cache.of(EndpointSlice).objects(namespace):
        if stored.labels.get(SERVICE_NAME) != service:
            continue
        listed = EndpointSlice.read(stored.item)
        numbers = [port.port for port in listed.ports if port.name == port_name and port.port]
        for endpoint in listed.endpoints if numbers else ():
            if endpoint.conditions.ready is False or not endpoint.addresses:
                continue
            if not only_pods or _is_a_pod_there(server, namespace, endpoint):
                yield endpoint.addresses[0], numbers[0]


def _is_a_pod_there(server: Server, namespace: str, endpoint: Endpoint) -> bool:
    """Whether the address is really that pod's: endpoints can be written by hand, and must not lead elsewhere."""
    ref = endpoint.target_ref
    if ref is None or (ref.namespace or namespace) != namespace:
        return False
    stored = server.cache.of(Pod).get(namespace, ref.name)
    if stored is None:
        return False
    status = Pod.read(stored.item).status
    return endpoint.addresses[0] in (status.pod_ip, *(each.ip for each in status.pod_ips))


async def place_of_node(server: Server, target: Target) -> Place:
    """The node's kubelet, or another port of the node."""
    wanted = asked(target)
    if wanted.scheme == "http" and not wanted.port:
        raise BadRequest(f'invalid node request "{target.name}"')
    if server.cache.of(Node).get("", wanted.name) is None:
        raise not_found("nodes", wanted.name)
    kubelet = await server.kubelets.on(wanted.name)
    address, _, kubelet_port = kubelet.url.removeprefix("https://").rpartition(":")
    if wanted.port in ("", kubelet_port):
        return Place(kubelet.url, kubelet.tls)
    if not wanted.port.isdigit():
        raise InternalError(f"Internal error occurred: a node's port is a number, got {wanted.port!r}")
    _check_address(address)
    return place_at(wanted.scheme, address, wanted.port)
