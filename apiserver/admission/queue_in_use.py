"""QueueInUse: a queue is not deleted while pods or namespaces name it: pods of theirs would wait for ever."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.writing.rest import Write
from wherry.api.core.namespace import Namespace
from wherry.api.core.pod import Pod
from wherry.api.sharing.queue import QUEUE
from wherry.machinery.errors import forbidden

# How many pods are named.
_MOST = 3


class QueueInUse(AdmissionPlugin):
    """Kubernetes: none; Kueue keeps a queue with a finalizer."""

    kinds: ClassVar[tuple[str, ...]] = ("queues.scheduling.wherry.dev",)
    operations: ClassVar[tuple[str, ...]] = ("DELETE",)

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        await self.server.cache.fresh()
        users = list(self._users(write.name))
        if users:
            number = f"{len(users)} pod{'s' if len(users) > 1 else ''}"
            why = f"it is the queue of {number}: {_some(users)}; delete them first"
            raise forbidden(write.cls.kind.resource, write.name, why)
        if places := list(self._places(write.name)):
            number = f"namespace{'s' if len(places) > 1 else ''} {_some(places)}"
            why = f"it is the queue of {number}; take the label {QUEUE} off first: `kubectl label ns NAME {QUEUE}-`"
            raise forbidden(write.cls.kind.resource, write.name, why)

    def _places(self, queue: str) -> Iterator[str]:
        for stored in self.server.cache.of(Namespace).objects():
            if stored.labels.get(QUEUE) == queue and Namespace.read(stored.item).metadata.deleted_at is None:
                yield stored.name

    def _users(self, queue: str) -> Iterator[str]:
        of_namespace = {each.name: each.labels.get(QUEUE, "") for each in self.server.cache.of(Namespace).objects()}
        for stored in self.server.cache.of(Pod).objects():
            if (stored.labels.get(QUEUE) or of_namespace.get(stored.namespace, "")) == queue:
                pod = Pod.read(stored.item)
                if not pod.is_finished:
                    yield pod.key


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"{', '.join(names[:_MOST])}{more}"
