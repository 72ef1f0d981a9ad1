"""The custom kinds that this server serves, learned from the definitions in the watch cache as they change.

A kind is known here before anybody who watches definitions hears that it is established, on every server that reads the
same store. Kubernetes: the apiextensions apiserver's crdHandler and discovery controllers.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

import structlog

from apiserver.reading.stored import Stored
from apiserver.reading.watch_cache import ResourceCache
from apiserver.reading.watchers import Event
from apiserver.storage.store import StoreError
from wherry.api.extensions.custom_resource import CustomResource, custom_kinds
from wherry.api.extensions.custom_resource_definition import CustomResourceDefinition

if TYPE_CHECKING:
    from apiserver.server import Server

log = structlog.get_logger()

Address = tuple[str, str, str]

_VERSION = re.compile(r"v(\d{1,9})(?:(alpha|beta)(\d{1,9}))?")
_MATURITY = {"alpha": 0, "beta": 1, "": 2}


def version_rank(name: str) -> tuple[object, ...]:
    """Sorts versions as clients prefer them: v2, v1, v1beta1, v1alpha1, and then all other names.

    >>> sorted(["foo", "v1beta1", "v1", "v10", "v2alpha1"], key=version_rank)
    ['v10', 'v1', 'v1beta1', 'v2alpha1', 'foo']
    """
    found = _VERSION.fullmatch(name)
    if found is None:
        return (1, name)
    return (0, -_MATURITY[found[2] or ""], -int(found[1]), -int(found[3] or 0))


class CustomKinds:
    """See the module. `served` changes as a whole, so that what is derived from it can be kept by it."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._by_definition: dict[str, list[type[CustomResource]]] = {}
        self._at: dict[Address, type[CustomResource]] = {}
        self._filling: dict[str, asyncio.Task[None]] = {}
        self._revisions: dict[str, int] = {}
        # Read once: conditions of one definition depend on the names of all.
        self.definitions: dict[str, CustomResourceDefinition] = {}
        self.served: tuple[type[CustomResource], ...] = ()
        server.cache.of(CustomResourceDefinition).listeners.append(self._changed)

    async def prepare(self) -> None:
        """Learn the definitions that the store holds, before the cache reads everything else."""
        cache = self._server.cache
        for stored in await cache.read_first(CustomResourceDefinition):
            self._learn(stored)
        self._publish()

    async def complete(self) -> None:
        """Learn what changed while the cache was being filled."""
        cache = self._server.cache
        found = {stored.name: stored for stored in cache.of(CustomResourceDefinition).objects()}
        for name in [name for name in self._revisions if name not in found]:
            self._forget(name)
        for stored in found.values():
            if self._revisions.get(stored.name) != stored.revision:
                self._learn(stored)
        self._publish()
        await asyncio.gather(*self._filling.values())

    def at(self, group: str, version: str, plural: str) -> type[CustomResource] | None:
        """The kind served at a URL path, if any."""
        return self._at.get((group, version, plural))

    def of(self, name: str) -> list[type[CustomResource]]:
        """The kinds of a definition, one for each version."""
        return self._by_definition.get(name, [])

    async def find(self, group: str, version: str, plural: str) -> type[CustomResource] | None:
        """The same; what another server acknowledged a moment ago is waited for."""
        if "." not in group:
            return None
        name = f"{plural}.{group}"
        if (group, version, plural) not in self._at:
            await self._server.cache.fresh()
        filling = self._filling.get(name)
        if filling is not None:
            await asyncio.shield(filling)
        return self.at(group, version, plural)

    # ---- learning ------------------------------------------------------------------------------------------------

    def _changed(self, event: Event) -> None:
        shown = event.after or event.before
        if shown is None:
            return
        if event.after is None:
            self._forget(shown.name)
        else:
            self._learn(event.after)
        self._publish()

    def _learn(self, stored: Stored) -> None:
        try:
            definition = CustomResourceDefinition.read(stored.whole(CustomResourceDefinition.kind))
            self.definitions[stored.name] = definition
            kinds = custom_kinds(definition) if definition.is_established else []
        except Exception:
            # Whatever stands in the store, the cache must go on.
            log.exception("unreadable definition", customresourcedefinition=stored.name)
            return
        self._revisions[stored.name] = stored.revision
        if not kinds:
            self._by_definition.pop(stored.name, None)
            return
        known = stored.name in self._by_definition
        self._by_definition[stored.name] = kinds
        added = self._server.cache.declare(kinds[0].stored_as)
        if added is not None and not known:
            self._fill(stored.name, added, stored.revision)

    def _forget(self, name: str) -> None:
        kinds = self._by_definition.pop(name, None)
        self._revisions.pop(name, None)
        self.definitions.pop(name, None)
        if kinds:
            self._server.cache.retract(kinds[0])
        filling = self._filling.pop(name, None)
        if filling is not None:
            filling.cancel()

    def _publish(self) -> None:
        served = [cls for kinds in self._by_definition.values() for cls in kinds if cls.declared.version.served]
        served.sort(key=lambda cls: (cls.kind.group, version_rank(cls.kind.version), cls.kind.plural))
        self.served = tuple(served)
        self._server.forget_custom()
        self._at = {(cls.kind.group, cls.kind.version, cls.kind.plural): cls for cls in served}

    # ---- objects that were there before their definition ---------------------------------------------------------

    def _fill(self, name: str, cache: ResourceCache, revision: int) -> None:
        """Load what may stand in the store already; nearly always nothing."""
        if not self._server.cache.applied:
            return  # the first fill reads it
        task = asyncio.ensure_future(self._load(name, cache, revision))
        self._filling[name] = task

    async def _load(self, name: str, cache: ResourceCache, revision: int) -> None:
        try:
            await self._server.cache.load_late(cache, revision)
        except StoreError as error:
            log.error("custom objects could not be read", customresourcedefinition=name, error=str(error))
        finally:
            self._filling.pop(name, None)
