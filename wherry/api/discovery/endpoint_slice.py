"""EndpointSlice: up to 100 addresses behind a service. Behaviour: controllers/endpointslice.py; read by kubeproxy."""

from __future__ import annotations

from wherry.api.meta import ObjectReference
from wherry.machinery.resource import Resource
from wherry.machinery.view import View

SERVICE_NAME = "kubernetes.io/service-name"


class EndpointConditions(View):
    """`ready` is what traffic follows; `serving` ignores that a pod is terminating."""

    ready: bool | None = None
    serving: bool | None = None
    terminating: bool | None = None


class Endpoint(View):
    """One pod's addresses."""

    addresses: tuple[str, ...] = ()
    conditions: EndpointConditions = EndpointConditions()
    hostname: str = ""
    node_name: str = ""
    zone: str = ""
    target_ref: ObjectReference | None = None


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

    @property
    def service_key(self) -> str:
        """`namespace/name` of the service."""
        return f"{self.metadata.namespace}/{self.metadata.labels.get(SERVICE_NAME, '')}"
