"""Grants: a binding that names devices is refused while another pod holds one of them.

A scheduler that knows too little, because a second one works or because it has just come back, is told so by the same
write that would have granted a device twice. Who held what is read from the pods once; from then on it is known from
the bindings that were made here.

Limit: several API servers on one etcd do not see each other's bindings that are under way; the node does (it gives a
device to nobody else before it got it back).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from wherry.api.core.pod import Pod
from wherry.api.resource.gpu import GRANTED, granted_to
from wherry.machinery.errors import conflict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from apiserver.reading.watch_cache import WatchCache


class _Holder(NamedTuple):
    namespace: str
    name: str
    uid: str


class Grants:
    """See the module."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._holders: dict[str, _Holder] | None = None
        # Pods whose binding is under way: what the cache says of them is not the last word.
        self._pending: set[str] = set()

    @asynccontextmanager
    async def exclusive(self, pod: dict[str, Any], annotations: dict[str, str]) -> AsyncIterator[None]:
        """Hold the devices that the binding of this pod names while it is written; raises Conflict."""
        uuids = annotations.get(GRANTED, "").split(",") if annotations.get(GRANTED) else []
        if not uuids:
            yield
            return
        await self._cache.fresh()
        holder = _Holder(pod["namespace"], pod["name"], pod["uid"] or self._uid_of(pod))
        holders = self._known()
        self._check(uuids, holder, holders)
        before = {uuid: holders.get(uuid) for uuid in uuids}
        holders |= dict.fromkeys(uuids, holder)
        self._pending.add(holder.uid)
        try:
            yield
        except BaseException:
            # A write without an answer may have happened: whoever asks next looks at the pod itself.
            for uuid, earlier in before.items():
                if earlier is not None and not self._is_held(uuid, holder):
                    holders[uuid] = earlier
            raise
        finally:
            self._pending.discard(holder.uid)

    def _uid_of(self, pod: dict[str, Any]) -> str:
        stored = self._cache.of(Pod).get(pod["namespace"], pod["name"])
        return Pod.read(stored.item).metadata.uid if stored is not None else ""

    def _check(self, uuids: list[str], holder: _Holder, holders: dict[str, _Holder]) -> None:
        for uuid in uuids:
            other = holders.get(uuid)
            if other is None or other.uid == holder.uid:
                continue
            if other.uid in self._pending or self._is_held(uuid, other):
                why = f"device {uuid} is granted to pod {other.namespace}/{other.name} already"
                raise conflict("pods/binding", holder.name, why)

    def _is_held(self, uuid: str, holder: _Holder) -> bool:
        stored = self._cache.of(Pod).get(holder.namespace, holder.name)
        if stored is None:
            return False
        pod = Pod.read(stored.item)
        return pod.metadata.uid == holder.uid and not pod.is_finished and uuid in (granted_to(pod) or ())

    def _known(self) -> dict[str, _Holder]:
        if self._holders is None:
            self._holders = dict(self._read())
        return self._holders

    def _read(self) -> Iterator[tuple[str, _Holder]]:
        for stored in self._cache.of(Pod).objects():
            pod = Pod.read(stored.item)
            if not pod.is_finished:
                for uuid in granted_to(pod) or ():
                    yield uuid, _Holder(stored.namespace, stored.name, pod.metadata.uid)
