"""Who answers for which group and version besides this server, and whether they do.

Every server asks for itself, at once when something changes and else every half minute; the condition `Available` is
written when it turns out to be another one. Without an APIService that names a service nobody is asked and nothing is
woken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import structlog

from apiserver.aggregation.checking import Health, check_place
from apiserver.aggregation.describing import Described, described
from apiserver.aggregation.passing_on import place_of
from apiserver.request import SERVER_ITSELF
from apiserver.storage.store import StoreError
from apiserver.writing.rest import Write
from wherry.api.apiregistration.api_service import AVAILABLE, LOCAL, APIService
from wherry.api.core.service import Service
from wherry.api.discovery.endpoint_slice import EndpointSlice
from wherry.machinery.errors import ApiError
from wherry.machinery.time import time_text

if TYPE_CHECKING:
    from apiserver.server import Server

log = structlog.get_logger()

CHECK_SECONDS = 30.0
# Changes come together: those of a moment are looked at together.
_GATHER_SECONDS = 0.05

GroupVersion = tuple[str, str]


class Remote:
    """One APIService that names a service, and what was learned of it."""

    def __init__(self, service: APIService) -> None:
        self.service = service
        self.is_available = False
        self.told = Described([], {})


class Remotes:
    """See the module."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._services = server.cache.of(APIService)
        self._known: dict[GroupVersion, Remote] = {}
        self._revision = -1
        self._changed = asyncio.Event()
        for kind in (APIService, EndpointSlice, Service):
            server.cache.of(kind).listeners.append(lambda _: self._changed.set())

    @property
    def all(self) -> Mapping[GroupVersion, Remote]:
        """By group and version, those that are preferred first."""
        if self._revision != self._services.revision:
            self._revision = self._services.revision
            found: dict[GroupVersion, Remote] = {}
            for stored in self._services.objects():
                service = APIService.read(stored.item)
                if service.spec.service is not None:
                    key = (service.spec.group, service.spec.version)
                    found[key] = self._known.get(key) or Remote(service)
                    found[key].service = service
            ranked = sorted(found.items(), key=lambda each: _rank(each[1].service))
            self._known = dict(ranked)
        return self._known

    def at(self, path: str) -> Remote | None:
        """Who answers for a path, if it is not this server: `/apis/GROUP/VERSION/...`, or its OpenAPI document."""
        if not self.all:
            return None
        parts = path.removeprefix("/openapi/v3").split("/", 4)
        if len(parts) < 4 or parts[1] != "apis":
            return None
        return self._known.get((parts[2], parts[3]))

    # ---- asking whether they answer ------------------------------------------------------------------------------

    async def run(self) -> None:
        """Ask until cancelled."""
        while True:
            self._changed.clear()
            await self._look()
            await self._until_due()
            await asyncio.sleep(_GATHER_SECONDS)

    async def _look(self) -> None:
        try:
            async with asyncio.TaskGroup() as checks:
                for remote in list(self.all.values()):
                    checks.create_task(self._check(remote))
            await self._mend_local_ones()
        except Exception:
            # What other servers say must not end this one.
            log.exception("aggregated APIs were not checked")

    async def _until_due(self) -> None:
        if not self.all:
            await self._changed.wait()
            return
        try:
            await asyncio.wait_for(self._changed.wait(), CHECK_SECONDS)
        except TimeoutError:
            return

    async def _check(self, remote: Remote) -> None:
        health = check_place(self._server, remote.service)
        if health.is_available:
            health = await self._ask(remote)
        remote.is_available = health.is_available
        await self._tell(remote.service, health)

    async def _ask(self, remote: Remote) -> Health:
        spec = remote.service.spec
        path = f"/apis/{spec.group}/{spec.version}"
        try:
            remote.told = await described(self._server, remote.service)
        except (ApiError, OSError, ValueError) as error:
            why = error.message if isinstance(error, ApiError) else str(error)
            try:
                shown = place_of(self._server, remote.service).url + path
            except ApiError:
                shown = path
            return Health(False, "FailedDiscoveryCheck", f"failing or missing response from {shown}: {why}")
        return Health(True, "Passed", "all checks passed")

    async def _mend_local_ones(self) -> None:
        """What was somebody else's and is this server's again is available."""
        for stored in list(self._services.objects()):
            service = APIService.read(stored.item)
            if service.spec.service is None:
                await self._tell(service, Health(True, LOCAL["reason"], LOCAL["message"]))

    async def _tell(self, service: APIService, health: Health) -> None:
        """Write the condition, if it is not what stands there."""
        status = "True" if health.is_available else "False"
        known = next((each for each in service.status.conditions if each.type == AVAILABLE), None)
        if known is not None and (known.status, known.reason, known.message) == (status, *health[1:]):
            return
        condition: dict[str, Any] = {"type": AVAILABLE, "status": status}
        condition |= {"reason": health.reason, "message": health.message}
        changed = time_text(self._server.now())
        if known is not None and known.status == status and known.last_transition_time is not None:
            changed = time_text(known.last_transition_time)
        condition["lastTransitionTime"] = changed

        def told(draft: dict[str, Any]) -> dict[str, Any]:
            others = [each for each in (draft.get("status") or {}).get("conditions", []) if each["type"] != AVAILABLE]
            return {**draft, "status": {"conditions": [*others, condition]}}

        write = Write(APIService, "UPDATE", "", service.metadata.name, SERVER_ITSELF, "status")
        try:
            await self._server.rest(APIService).update(told, write)
        except (ApiError, StoreError) as error:
            log.warning("an API's condition could not be written", apiservice=service.metadata.name, error=str(error))


def _rank(service: APIService) -> tuple[int, str, int, str]:
    spec = service.spec
    return (-spec.group_priority_minimum, spec.group, -spec.version_priority, spec.version)
