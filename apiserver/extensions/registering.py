"""One APIService for every group and version of custom kinds. Kubernetes: crdRegistrationController.

Every server of a cluster does it, woken by the watch cache; two of them write the same.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from apiserver.bootstrap import ensure
from apiserver.discovery import built_in_versions
from apiserver.local_services import AUTOMANAGED, REGISTRY
from apiserver.reading.watchers import Event
from apiserver.request import SERVER_ITSELF
from apiserver.storage.store import StoreError
from apiserver.writing.deletion import DeleteOptions
from apiserver.writing.rest import Write
from wherry.api.apiregistration.api_service import APIService
from wherry.api.extensions.custom_resource_definition import CustomResourceDefinition
from wherry.machinery.errors import ApiError

if TYPE_CHECKING:
    from apiserver.server import Server

log = structlog.get_logger()

Json = dict[str, Any]

# Kubernetes: behind everything that is built in.
GROUP_PRIORITY, VERSION_PRIORITY = 1000, 100
AGAIN_SECONDS = 1.0


class Registering:
    """See the module."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._woken = asyncio.Event()
        self._services = server.cache.of(APIService)
        for cls in (CustomResourceDefinition, APIService):
            server.cache.of(cls).listeners.append(self._changed)

    def _changed(self, event: Event) -> None:
        self._woken.set()

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            self._woken.clear()
            try:
                await self._bring_up_to_date()
            except (ApiError, StoreError) as error:
                log.warning("API services of custom kinds not brought up to date", error=str(error))
                await asyncio.sleep(AGAIN_SECONDS)
                continue
            await self._woken.wait()

    async def _bring_up_to_date(self) -> None:
        built_in = built_in_versions()
        served = {(cls.kind.group, cls.kind.version) for cls in self._server.custom.served}
        wanted = {f"{version}.{group}": (group, version) for group, version in served if group not in built_in}
        for name, (group, version) in sorted(wanted.items()):
            if self._services.get("", name) is None:
                await ensure(self._server, _service(name, group, version))
        for stored in list(self._services.objects()):
            if stored.labels.get(AUTOMANAGED) == "true" and stored.name not in wanted:
                write = Write(APIService, "DELETE", "", stored.name, SERVER_ITSELF)
                await self._server.rest(APIService).delete(DeleteOptions(), write)


def _service(name: str, group: str, version: str) -> Json:
    spec = {"group": group, "version": version}
    priorities = {"groupPriorityMinimum": GROUP_PRIORITY, "versionPriority": VERSION_PRIORITY}
    metadata = {"name": name, "labels": {AUTOMANAGED: "true"}}
    return {"kind": "APIService", "apiVersion": f"{REGISTRY}/v1", "metadata": metadata, "spec": {**spec, **priorities}}
