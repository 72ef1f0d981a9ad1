"""Emptying: observes namespaces that are being deleted, for controllers/namespace.py, by asking the server itself."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from controllers import namespace as controller
from controllers.parts.metadata import collectable_kinds, custom_kind, metadata_view
from controllers.shells.bench import Bench
from controllers.shells.desk import ShellDesk
from wherry.api.core.namespace import Namespace
from wherry.api.core.pod import Pod
from wherry.api.events.event import Event
from wherry.api.extensions.custom_resource_definition import CustomResourceDefinition
from wherry.client import clock
from wherry.client.http import Client
from wherry.client.informer import Change, Informer
from wherry.machinery.errors import NotFound
from wherry.machinery.resource import Resource

WORKERS = 4


class Emptying:
    """See the module."""

    def __init__(
        self, client: Client, namespaces: Informer[Namespace], pods: Informer[Pod], may_act: Callable[[], bool]
    ) -> None:
        self._client, self._namespaces = client, namespaces
        self._desk = ShellDesk("namespace", client, may_act)
        self._bench = Bench("namespace", self._empty, workers=WORKERS)
        kinds = [*collectable_kinds(), Event.kind]
        self._kinds = [metadata_view(kind) for kind in kinds if kind.namespaced]
        namespaces.subscribe(self._namespace_changed)
        pods.subscribe(self._pod_changed)

    @property
    def is_idle(self) -> bool:
        """Whether no namespace can be emptied further just now."""
        return self._bench.is_idle

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._desk.recorder.run())
            group.create_task(self._bench.run())

    def _namespace_changed(self, change: Change[Namespace]) -> None:
        if change.after is not None and controller.is_ending(change.after):
            self._bench.add(change.after.key)

    def _pod_changed(self, change: Change[Pod]) -> None:
        """The last pod to go is what the rest waits for."""
        if change.before is not None and change.after is None:
            namespace = self._namespaces.get(change.before.metadata.namespace)
            if namespace is not None and controller.is_ending(namespace):
                self._bench.add(namespace.key)

    async def _empty(self, name: str) -> float | None:
        try:
            namespace = await self._client.get(Namespace, name)
        except NotFound:
            return None
        if not controller.is_ending(namespace):
            return None
        content = await self._content(name)
        actions = controller.plan(namespace, content, clock.now(), self._bench.failures.get(name))
        return await self._desk.carry_out(namespace, actions)

    async def _content(self, namespace: str) -> list[Resource]:
        """What stands in the namespace; only its pods, while there are any."""
        pods = (await self._client.list(metadata_view(Pod.kind), namespace)).items
        if pods:
            return pods
        content: list[Any] = []
        for kind in [*self._kinds, *await self._custom_kinds()]:
            content += (await self._client.list(kind, namespace)).items
        return content

    async def _custom_kinds(self) -> list[type[Resource]]:
        definitions = (await self._client.list(CustomResourceDefinition)).items
        kinds = [custom_kind(definition) for definition in definitions]
        return [metadata_view(kind) for kind in kinds if kind is not None and kind.namespaced]
