"""Fence: never plan on a world older than our own last write.

    fence.wrote("shop/web", Pod, 17)
    await fence.passed("shop/web")          # the pod informer shows revision 17

A controller whose copy lags would otherwise miss the pods it has just created, and create them again. Kubernetes
has `ControllerExpectations`, kept by each controller, for this; here one place does it for all, per object planned
and per kind written.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wherry.client.http import Client
from wherry.client.informer import Informer
from wherry.machinery.errors import NotFound
from wherry.machinery.resource import Resource


@dataclass
class _Marks:
    """What the informers must show before the next plan of one object."""

    revisions: dict[type[Resource], int] = field(default_factory=dict)
    deleted: dict[tuple[type[Resource], str], str] = field(default_factory=dict)  # -> uid
    doubts: dict[tuple[type[Resource], str, str], None] = field(default_factory=dict)
    unanswered: dict[str, Resource] = field(default_factory=dict)  # deletions, by uid


class Fence:
    """The fences of one controller. Kinds without an informer need none: no plan of that controller reads them."""

    def __init__(self, client: Client, informers: Mapping[type[Resource], Informer[Any]]) -> None:
        self._client, self._informers = client, informers
        self._marks: defaultdict[str, _Marks] = defaultdict(_Marks)

    def wrote(self, key: str, kind: type[Resource], revision: int) -> None:
        """A plan of `key` wrote an object of that kind, and this is its new revision."""
        if kind in self._informers:
            revisions = self._marks[key].revisions
            revisions[kind] = max(revision, revisions.get(kind, 0))

    def deleted(self, key: str, obj: Resource) -> None:
        """A plan of `key` deleted an object. Some answers to a delete carry no revision, so its end is waited for."""
        if type(obj) in self._informers:
            self._marks[key].deleted[type(obj), obj.key] = obj.metadata.uid

    def doubts_deletion(self, key: str, obj: Resource) -> None:
        """A delete got no clear answer: were the next plan made as if it had failed, two might go instead of one."""
        if type(obj) in self._informers:
            self._marks[key].unanswered[obj.metadata.uid] = obj

    def doubts(self, key: str, kind: type[Resource], namespace: str, name: str) -> None:
        """A create or a change got no clear answer: before the next plan, the server must say what is there now."""
        if kind in self._informers:
            self._marks[key].doubts[kind, namespace, name] = None

    def waiting_for(self, kind: type[Resource]) -> list[str]:
        """The keys whose plans wrote objects of that kind and were not made again since."""
        return [key for key, marks in self._marks.items() if kind in marks.revisions]

    async def passed(self, key: str) -> None:
        """Return when the informers show all that plans of `key` wrote; raises `ApiError` while a doubt remains."""
        if key not in self._marks:
            return
        marks = self._marks[key]
        for kind, namespace, name in list(marks.doubts):
            await self._settle(key, kind, namespace, name)
            del marks.doubts[kind, namespace, name]
        for uid, obj in list(marks.unanswered.items()):
            await self._settle_deletion(key, obj)
            del marks.unanswered[uid]
        for kind, revision in marks.revisions.items():
            await self._informers[kind].reaches(revision)
        for (kind, name), uid in marks.deleted.items():
            await self._informers[kind].loses(name, uid)
        del self._marks[key]

    async def _settle(self, key: str, kind: type[Resource], namespace: str, name: str) -> None:
        try:
            found = await self._client.get(kind, name, namespace)
        except NotFound:
            return
        self.wrote(key, kind, int(found.metadata.resource_version))

    async def _settle_deletion(self, key: str, obj: Resource) -> None:
        try:
            found = await self._client.get(type(obj), obj.metadata.name, obj.metadata.namespace)
        except NotFound:
            self.deleted(key, obj)
            return
        self.wrote(key, type(obj), int(found.metadata.resource_version))
