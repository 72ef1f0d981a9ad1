"""Informers of custom kinds, begun and ended as CustomResourceDefinitions come and go; of objects the metadata only.

customs = CustomWatches(client)
customs.subscribe(lambda change: ...)
group.create_task(customs.run())
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from controllers.parts.metadata import custom_kind, metadata_view
from wherry.api.extensions.custom_resource_definition import CustomResourceDefinition
from wherry.client.http import Client
from wherry.client.informer import Change, Informer
from wherry.machinery.resource import Kind, Resource

# A kind whose objects cannot be listed, because who converts them is away, must not hold up all others for ever.
PATIENCE_SECONDS = 10.0

Subscriber = Callable[[Change[Resource]], None]


class CustomWatches:
    """See the module. `definitions` is an informer of its own, which others may read."""

    def __init__(self, client: Client) -> None:
        self.definitions = Informer(client, CustomResourceDefinition)
        self._client = client
        self._informers: dict[str, Informer[Any]] = {}
        self._known: dict[tuple[str, str], Kind] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._subscribers: list[Subscriber] = []
        self._group: asyncio.TaskGroup | None = None
        self._is_ready = asyncio.Event()

    def kind(self, group: str, name: str) -> Kind | None:
        """The custom kind of that name, whatever the version; also one that is gone, as its objects then are."""
        return self._known.get((group, name))

    def count(self, resource: str, namespace: str) -> int | None:
        """How many objects of `widgets.example.com` a namespace has; None for no custom kind, or while unknown."""
        informer = self._informers.get(resource)
        if informer is None or not informer.is_synced:
            return None
        return sum(1 for _ in informer.shelf.in_namespace(namespace))

    def subscribe(self, callback: Subscriber) -> None:
        """Call for every change of a custom object."""
        self._subscribers.append(callback)

    async def ready(self) -> None:
        """Return when the objects of all kinds declared so far are known."""
        await self._is_ready.wait()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as self._group:
            self.definitions.subscribe(self._declared)
            self._group.create_task(self.definitions.run(), name="informer customresourcedefinitions")
            await self.definitions.synced()
            waiting = [asyncio.ensure_future(informer.synced()) for informer in self._informers.values()]
            if waiting:
                _, late = await asyncio.wait(waiting, timeout=PATIENCE_SECONDS)
                for task in late:
                    task.cancel()
            self._is_ready.set()

    def _declared(self, change: Change[CustomResourceDefinition]) -> None:
        kinds = [custom_kind(one) if one is not None else None for one in change]
        before, after = kinds
        if before is not None and before != after:
            self._end(before)
        if after is not None and after.resource not in self._informers:
            self._begin(after)

    def _begin(self, kind: Kind) -> None:
        if self._group is None:
            return
        self._known[kind.group, kind.name] = kind
        informer = self._informers[kind.resource] = Informer(self._client, metadata_view(kind))
        informer.subscribe(self._changed)
        self._tasks[kind.resource] = self._group.create_task(informer.run(), name=f"informer {kind.resource}")

    def _end(self, kind: Kind) -> None:
        informer, task = self._informers.pop(kind.resource, None), self._tasks.pop(kind.resource, None)
        if task is not None:
            task.cancel()
        for obj in informer.list() if informer is not None else ():
            self._changed(Change(obj, None))

    def _changed(self, change: Change[Resource]) -> None:
        for callback in self._subscribers:
            callback(change)
