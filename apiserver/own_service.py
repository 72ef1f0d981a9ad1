"""The service `default/kubernetes`, by which pods reach this server: there from the start, and back when deleted.

Its addresses follow the server that starts last. Kubernetes: the kubernetesservice controller, which looks every ten
seconds. Differs: the watch cache says when something is missing, and what others change in these objects stays until
the next start.
"""

from __future__ import annotations

import asyncio
import ipaddress
from typing import TYPE_CHECKING, Any

import structlog

from apiserver.bootstrap import ensure
from apiserver.reading.watchers import Event
from apiserver.storage.store import StoreError
from wherry.api.core.endpoints import Endpoints
from wherry.api.core.service import Service
from wherry.api.discovery.endpoint_slice import SERVICE_NAME, EndpointSlice
from wherry.machinery.errors import ApiError

if TYPE_CHECKING:
    from apiserver.server import Server

log = structlog.get_logger()

Draft = dict[str, Any]

NAMESPACE, NAME = "default", "kubernetes"
AGAIN_SECONDS = 1.0


class OwnService:
    """See the module."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._woken = asyncio.Event()
        for cls in (Service, Endpoints, EndpointSlice):
            server.cache.of(cls).listeners.append(self._changed)

    async def begin(self) -> None:
        """Have the objects, with the addresses of this server."""
        await ensure(self._server, _service(self._server))
        for draft in _addresses(self._server):
            await ensure(self._server, draft, overwrite=True)

    async def run(self) -> None:
        """Bring back what is deleted, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            try:
                for draft in (_service(self._server), *_addresses(self._server)):
                    await ensure(self._server, draft)
            except (ApiError, StoreError) as error:
                log.warning("the kubernetes service is not whole; trying again", error=str(error))
                await asyncio.sleep(AGAIN_SECONDS)
                self._woken.set()

    def _changed(self, event: Event) -> None:
        gone = event.before if event.after is None else None
        if gone is not None and (gone.namespace, gone.name) == (NAMESPACE, NAME):
            self._woken.set()


def _service(server: Server) -> Draft:
    address = str(next(ipaddress.ip_network(server.settings.service_cidr).hosts()))
    port = {"name": "https", "port": 443, "protocol": "TCP", "targetPort": server.settings.port}
    labels = {"component": "apiserver", "provider": "kubernetes"}
    return {
        "kind": Service.kind.name,
        "apiVersion": Service.kind.api_version,
        "metadata": {"name": NAME, "namespace": NAMESPACE, "labels": labels},
        "spec": {"type": "ClusterIP", "clusterIP": address, "ports": [port], "sessionAffinity": "None"},
    }


def _addresses(server: Server) -> list[Draft]:
    address, port = server.settings.advertise_address, server.settings.port
    if ipaddress.ip_address(address).is_loopback:
        return []  # reachable from this machine only; a pod could not use it
    labels = {"endpointslice.kubernetes.io/skip-mirror": "true"}
    metadata = {"name": NAME, "namespace": NAMESPACE, "labels": labels}
    ports = [{"name": "https", "port": port, "protocol": "TCP"}]
    endpoints = {"kind": Endpoints.kind.name, "apiVersion": Endpoints.kind.api_version, "metadata": metadata}
    piece: Draft = {
        "kind": EndpointSlice.kind.name,
        "apiVersion": EndpointSlice.kind.api_version,
        "addressType": "IPv4",
    }
    piece["ports"] = ports
    piece["metadata"] = {"name": NAME, "namespace": NAMESPACE, "labels": {SERVICE_NAME: NAME}}
    piece["endpoints"] = [{"addresses": [address], "conditions": {"ready": True}}]
    return [{**endpoints, "subsets": [{"addresses": [{"ip": address}], "ports": ports}]}, piece]
