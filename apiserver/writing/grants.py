"""Grants: a binding that names devices is refused while another pod holds one of them.

Parts of a card's memory are granted to several pods, as long as they are no more than the card has and nobody has the
whole of it.

A scheduler that knows too little, because a second one works or because it has just come back, is told so by the same
write that would have granted a device twice. Who held what is read from the pods once; from then on it is known from
the bindings that were made here, and from the watch cache, which tells of those made by other servers.

Limit: several API servers on one etcd do not see each other's bindings that are under way; the node does (it gives a
device to nobody else before it got it back).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from wherry.api.core.pod import Pod
from wherry.api.resource.gpu import GRANTED, Share, granted_to, read_share
from wherry.machinery.errors import conflict

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from apiserver.reading.stored import Stored
    from apiserver.reading.watch_cache import WatchCache
    from apiserver.reading.watchers import Event

_MARK = GRANTED.encode()


class _Holder(NamedTuple):
    """A pod that has devices; of one card only a `share`, if it says so."""

    namespace: str
    name: str
    uid: str
    share: Share | None = None


class Grants:
    """See the module."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        # By device, and by the uid of the pod. Some may hold nothing any more: that is found out when it matters.
        self._holders: dict[str, dict[str, _Holder]] | None = None
        # Pods whose binding is under way: what the cache says of them is not the last word.
        self._pending: set[str] = set()
        cache.of(Pod).listeners.append(self._changed)

    @asynccontextmanager
    async def exclusive(self, pod: dict[str, Any], annotations: dict[str, str]) -> AsyncIterator[None]:
        """Hold the devices that the binding of this pod names while it is written; raises Conflict."""
        uuids = annotations.get(GRANTED, "").split(",") if annotations.get(GRANTED) else []
        if not uuids:
            yield
            return
        await self._cache.fresh()
        uid = pod["uid"] or self._uid_of(pod)
        holder = _Holder(pod["namespace"], pod["name"], uid, read_share(annotations))
        holders = self._known()
        for uuid in uuids:
            self._check(uuid, holder, holders)
        # Whatever becomes of the write: whoever asks next looks at the pod itself.
        for uuid in uuids:
            holders.setdefault(uuid, {})[uid] = holder
        self._pending.add(uid)
        try:
            yield
        finally:
            self._pending.discard(uid)

    def _uid_of(self, pod: dict[str, Any]) -> str:
        stored = self._cache.of(Pod).get(pod["namespace"], pod["name"])
        return Pod.read(stored.item).metadata.uid if stored is not None else ""

    def _check(self, uuid: str, holder: _Holder, holders: dict[str, dict[str, _Holder]]) -> None:
        known = holders.get(uuid, {})
        for other in [each for uid, each in known.items() if uid != holder.uid]:
            if other.uid not in self._pending and not self._is_held(uuid, other):
                del known[other.uid]
            elif holder.share is None or other.share is None:
                why = f"device {uuid} is granted to pod {other.namespace}/{other.name} already"
                raise conflict("pods/binding", holder.name, why)
        if holder.share is None:
            return
        parts = [each.share for uid, each in known.items() if uid != holder.uid and each.share is not None]
        left = min(each.whole for each in (*parts, holder.share)) - sum(each.size for each in parts)
        if holder.share.size > left:
            why = f"device {uuid} has {left} bytes of memory left, and {holder.share.size} are to be granted"
            raise conflict("pods/binding", holder.name, why)

    def _is_held(self, uuid: str, holder: _Holder) -> bool:
        stored = self._cache.of(Pod).get(holder.namespace, holder.name)
        if stored is None:
            return False
        pod = Pod.read(stored.item)
        return pod.metadata.uid == holder.uid and not pod.is_finished and uuid in (granted_to(pod) or ())

    def _changed(self, event: Event) -> None:
        after = event.after
        if self._holders is not None and after is not None and _MARK in after.item:
            for uuid, holder in _holders_in(after):
                self._holders.setdefault(uuid, {}).setdefault(holder.uid, holder)

    def _known(self) -> dict[str, dict[str, _Holder]]:
        if self._holders is None:
            self._holders = {}
            for uuid, holder in self._read():
                self._holders.setdefault(uuid, {})[holder.uid] = holder
        return self._holders

    def _read(self) -> Iterator[tuple[str, _Holder]]:
        for stored in self._cache.of(Pod).objects():
            yield from _holders_in(stored)


def _holders_in(stored: Stored) -> Iterator[tuple[str, _Holder]]:
    """The devices that a pod has, if it is not over."""
    pod = Pod.read(stored.item)
    if not pod.is_finished:
        share = read_share(pod.metadata.annotations)
        for uuid in granted_to(pod) or ():
            yield uuid, _Holder(stored.namespace, stored.name, pod.metadata.uid, share)
