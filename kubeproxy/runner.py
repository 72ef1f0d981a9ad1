"""kube-proxy's shell: watches Services and EndpointSlices, and puts what the plan says in force.

A change is in force within a watch event. Changes that come together are planned together: the first one of a while is
acted on at once, those that come within the next 50 ms share the next plan.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import structlog

from kubeproxy.backends import Backend, BackendError
from kubeproxy.dns.responder import Responder
from kubeproxy.dns.zone import Zone, ZoneSettings
from kubeproxy.plan import Here, Planner
from kubeproxy.rules import Rules
from wherry.api.core.node import Node
from wherry.api.core.service import Service
from wherry.api.discovery.endpoint_slice import EndpointSlice
from wherry.client.http import Client
from wherry.client.informer import Change, Informer

_log = structlog.get_logger()
BATCH_SECONDS = 0.05
RETRY_SECONDS = 1.0
# Rules flushed by hand are back after at most this long.
REPAIR_SECONDS = 10.0
ZONE = "topology.kubernetes.io/zone"


@dataclass(frozen=True, slots=True)
class ProxySettings:
    """Where this proxy works, and how its zone is cut."""

    here: Here
    zone: ZoneSettings


class Proxy:
    """Keeps one node's backend and DNS responder at what the API server says."""

    def __init__(self, client: Client, backend: Backend, responder: Responder, settings: ProxySettings) -> None:
        self._services = Informer(client, Service)
        self._slices = Informer(client, EndpointSlice)
        self._node = Informer(client, Node, fields=f"metadata.name={settings.here.node_name}")
        self._backend = backend
        self._responder = responder
        self._settings = settings
        self._planner = Planner()
        self._changed = asyncio.Event()
        self._in_force = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled."""
        self._services.subscribe(self._note)
        self._slices.subscribe(self._note)
        self._node.subscribe(self._note_zone)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._services.run())
            group.create_task(self._slices.run())
            group.create_task(self._node.run())
            group.create_task(self._follow())
            group.create_task(self._watch_over())

    async def ready(self) -> None:
        """Return when the first rules are in force."""
        await self._in_force.wait()

    def _note(self, change: Any) -> None:
        self._changed.set()

    def _note_zone(self, change: Change[Node]) -> None:
        before, after = change
        if _zone(before) != _zone(after):  # heartbeats are no news
            self._changed.set()

    async def _follow(self) -> None:
        # Planned on half a world, all services would lose their endpoints for a moment.
        await self._services.synced()
        await self._slices.synced()
        self._changed.set()
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self._converge()
            await asyncio.sleep(BATCH_SECONDS)

    async def _converge(self) -> None:
        services, slices = self._services.list(), self._slices.list()
        self._responder.use(Zone(services, slices, self._settings.zone))
        rules = self._planner.plan(services, slices, replace(self._settings.here, zone=self._zone))
        try:
            await self._backend.apply(rules)
        except BackendError as error:
            _log.error("rules not in force", error=str(error), retry_seconds=RETRY_SECONDS)
            asyncio.get_running_loop().call_later(RETRY_SECONDS, self._changed.set)
            return
        _log.debug("rules in force", routes=len(rules.routes), targets=_targets(rules))
        self._in_force.set()

    @property
    def _zone(self) -> str:
        # Until the node is known nothing is near, and so nothing is left out.
        return _zone(self._node.get(self._settings.here.node_name))

    async def _watch_over(self) -> None:
        await self._in_force.wait()
        while True:
            await asyncio.sleep(REPAIR_SECONDS)
            try:
                if await self._backend.repair():
                    _log.warning("rules were changed by others and are back")
            except BackendError as error:
                _log.error("rules cannot be repaired", error=str(error))


def _zone(node: Node | None) -> str:
    return node.metadata.labels.get(ZONE, "") if node is not None else ""


def _targets(rules: Rules) -> int:
    return sum(len(route.everywhere) for route in rules.routes)
