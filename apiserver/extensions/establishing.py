"""Establishing: writes what `conditions.py` says into definitions, and ends those that are being deleted.

Every server of a cluster does it, woken by the watch cache. Writes are compare-and-swap, so that two of them agree.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from apiserver.extensions.conditions import share_a_name, status_of, told_in
from apiserver.reading.watchers import Event
from apiserver.request import SERVER_ITSELF
from apiserver.storage.store import StoreError
from apiserver.writing.deletion import DeleteOptions
from apiserver.writing.rest import Write
from wherry.api.extensions.custom_resource_definition import CustomResourceDefinition
from wherry.api.extensions.definition_views import CLEANUP
from wherry.api.meta import Condition, with_condition
from wherry.machinery.errors import ApiError, NotFound

if TYPE_CHECKING:
    from apiserver.server import Server

log = structlog.get_logger()

Draft = dict[str, Any]

AGAIN_SECONDS = 1.0
# While objects wait for their own finalizers.
LOOK_AGAIN_SECONDS = 0.5


class Establishing:
    """See the module."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._waiting: dict[str, None] = {}
        self._woken = asyncio.Event()
        self._cache = server.cache.of(CustomResourceDefinition)
        self._cache.listeners.append(self._changed)

    async def run(self) -> None:
        """Work until cancelled."""
        for stored in self._cache.objects():
            self._waiting[stored.name] = None
        if self._waiting:
            self._woken.set()
        async with asyncio.TaskGroup() as tasks:
            while True:
                await self._woken.wait()
                self._woken.clear()
                while self._waiting:
                    name = next(iter(self._waiting))
                    del self._waiting[name]
                    seconds = await self._attempt(name)
                    if seconds is not None:
                        tasks.create_task(self._later(name, seconds))

    async def _later(self, name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        self._wake(name)

    def _wake(self, name: str) -> None:
        self._waiting[name] = None
        self._woken.set()

    def _changed(self, event: Event) -> None:
        shown = event.after or event.before
        if shown is None:
            return
        if event.after is not None:
            self._wake(event.after.name)
            # Another server may have accepted names that this one gave to a rival.
            changed = self._server.custom.definitions.get(event.after.name)
            for other in self._server.custom.definitions.values():
                if changed is not None and share_a_name(other, changed):
                    self._wake(other.metadata.name)
        else:
            # Its names are free now: whoever wanted them may have them.
            for stored in self._cache.objects():
                self._wake(stored.name)

    async def _attempt(self, name: str) -> float | None:
        """Bring one definition up to date; says when to look at it again."""
        definition = self._server.custom.definitions.get(name)
        if definition is None:
            return None
        try:
            if definition.metadata.deleted_at is not None and CLEANUP in definition.metadata.finalizers:
                return await self._end(definition)
            await self._tell(definition)
        except NotFound:
            return None
        except (ApiError, StoreError) as error:
            log.warning("definition not brought up to date", customresourcedefinition=name, error=str(error))
            return AGAIN_SECONDS
        except Exception:
            # One definition must not end the server.
            log.exception("definition not brought up to date", customresourcedefinition=name)
            return AGAIN_SECONDS
        return None

    async def _tell(self, definition: CustomResourceDefinition) -> None:
        others = self._server.custom.definitions.values()
        conditions, names = status_of(definition, others, self._server.now())
        if conditions == definition.status.conditions and names == definition.status.accepted_names:
            return
        await self._write(definition.metadata.name, lambda draft: told_in(draft, conditions, names))

    async def _write(self, name: str, change: Any) -> None:
        write = Write(CustomResourceDefinition, "UPDATE", "", name, SERVER_ITSELF, "status")
        await self._server.rest(CustomResourceDefinition).update(change, write)

    # ---- the end -------------------------------------------------------------------------------------------------

    async def _end(self, definition: CustomResourceDefinition) -> float | None:
        """Delete the objects; when none is left, let the definition go."""
        name, spec = definition.metadata.name, definition.spec
        # What was stored before the definition came is still being read.
        await self._server.custom.find(spec.group, spec.storage_version, spec.names.plural)
        cls = self._server.custom.at(spec.group, spec.storage_version, spec.names.plural) or next(
            iter(self._server.custom.of(name)), None
        )
        left = await self._delete_objects(cls) if cls is not None else 0
        if left:
            told = Condition(type="Terminating", status="True", reason="InstanceDeletionInProgress")
            message = "CustomResource deletion is in progress"
            conditions = with_condition(definition.status.conditions, told.replace(message=message), self._server.now())
            if conditions != definition.status.conditions:
                names = definition.status.accepted_names
                await self._write(name, lambda draft: told_in(draft, conditions, names))
            return LOOK_AGAIN_SECONDS
        write = Write(CustomResourceDefinition, "UPDATE", "", name, SERVER_ITSELF, "finalize")
        await self._server.rest(CustomResourceDefinition).update(_without_cleanup, write)
        return None

    async def _delete_objects(self, cls: Any) -> int:
        server = self._server
        await server.cache.fresh()
        rest = server.rest(cls)
        for stored in list(rest.cache.objects()):
            write = Write(cls, "DELETE", stored.namespace, stored.name, SERVER_ITSELF)
            try:
                await rest.delete(DeleteOptions(), write)
            except NotFound:
                continue
        await server.cache.fresh()
        return rest.cache.count()


def _without_cleanup(draft: Draft) -> Draft:
    metadata = draft["metadata"]
    metadata["finalizers"] = [name for name in metadata.get("finalizers", []) if name != CLEANUP]
    return draft
