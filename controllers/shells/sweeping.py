"""Sweeping: looks now and then for what is due by its age alone, where a timer for each object would cost more."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from controllers.event_expiry import EventAge, is_expired
from controllers.nodes import pod_gc
from controllers.parts.node_health import Silence
from controllers.shells.desk import ShellDesk
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.client import clock
from wherry.client.http import Client
from wherry.client.informer import Informer
from wherry.client.world import World
from wherry.machinery.errors import ApiError, Conflict, NotFound
from wherry.machinery.resource import Resource

log = structlog.get_logger()

# Kubernetes: gcCheckPeriod. Events may outlive their hour by the second number.
PODS_EVERY_SECONDS, EVENTS_EVERY_SECONDS = 20.0, 300.0


class Sweeping:
    """See the module. `informers` are those that run anyway."""

    def __init__(
        self,
        client: Client,
        informers: Mapping[type[Resource], Informer[Any]],
        silence: Silence,
        may_act: Callable[[], bool],
    ) -> None:
        self._client, self._silence, self._may_act = client, silence, may_act
        self._informers: dict[type[Resource], Informer[Any]] = {kind: informers[kind] for kind in (Node, Pod)}
        self._desk = ShellDesk("sweeping", client, may_act)

    async def run(self) -> None:
        """Sweep until cancelled."""
        for informer in self._informers.values():
            await informer.synced()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._desk.recorder.run())
            group.create_task(_every(PODS_EVERY_SECONDS, self.sweep_pods))
            group.create_task(_every(EVENTS_EVERY_SECONDS, self.sweep_events))

    async def sweep_pods(self) -> None:
        """Clear away the pods that nobody else will."""
        shelves = {kind: informer.shelf for kind, informer in self._informers.items()}
        world = World.over(shelves, clock.now_in_seconds)
        for pod in list(pod_gc.doomed(world, self._silence)):
            try:
                await self._desk.carry_out(pod, pod_gc.cleared(pod, world))
            except ApiError as error:  # one pod's trouble is not another's
                log.warning("pod not cleared away", pod=pod.key, error=error.message)

    async def sweep_events(self) -> None:
        """Delete the events that are too old."""
        now = clock.now()
        expired = [event for event in (await self._client.list(EventAge)).items if is_expired(event, now)]
        for event in expired:
            if not self._may_act():
                return
            name, namespace, uid = event.metadata.name, event.metadata.namespace, event.metadata.uid
            with contextlib.suppress(NotFound, Conflict):
                await self._client.delete(EventAge, name, namespace, uid=uid)
        if expired:
            log.info("events expired", count=len(expired))


async def _every(seconds: float, sweep: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await sweep()
        except ApiError as error:
            log.warning("sweep ended early", error=error.message)
        except Exception:
            log.exception("sweep broken")
