"""NVIDIA devices: which there are, how they are, and whose each is.

A device has one owner at a time: one container of one pod, which keeps it through restarts; or several pods, if their
claims or records say so: those that have a part of its memory each. Nobody keeps them to it. The ids are labels on the
containers, so a kubelet that was killed knows again who owns what; nothing is kept on disk. Which ones a pod may have
the scheduler has written into it (`wherry/api/resource/gpu.py`); a pod without such a record gets what nobody else has.

Kubernetes: a device plugin with the device manager. Differs: named by the scheduler, and in parts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from kubelet.runtime.base import ContainerRecord
from wherry.api.core.pod import Container, Pod
from wherry.api.resource.gpu import MEMORY, RESOURCE, Gpu, asked, granted_to, memory_asked, read_share

Recorded = Mapping[str, str]
Counted = Callable[[ContainerRecord], int]
_NOBODY: Recorded = {}


class Owner(NamedTuple):
    """One container of one pod."""

    pod_uid: str
    container: str


class NotEnough(Exception):
    """Fewer devices are there than asked for; the message is Kubernetes'."""


class StillInUse(Exception):
    """A device that was granted has not been given back by its last owner yet: it will be."""


class Gpus:
    """The devices of this machine. `find` looks at them anew; without it they stay as they are."""

    def __init__(self, cards: Iterable[Gpu], find: Callable[[], tuple[Gpu, ...]] | None = None) -> None:
        self.cards, self.find = tuple(cards), find
        self._owners: dict[str, Owner] = {}
        # Devices of claims, which several pods may share.
        self._claimed: dict[str, set[str]] = {}

    @property
    def ids(self) -> tuple[str, ...]:
        """The whole cards."""
        return tuple(card.uuid for card in self.cards if card.is_whole)

    @property
    def healthy_ids(self) -> tuple[str, ...]:
        """Those that can be given out."""
        return tuple(card.uuid for card in self.cards if card.is_whole and card.is_healthy)

    def see(self, cards: tuple[Gpu, ...]) -> list[Gpu]:
        """Take over how the cards are now; gives those that were well and are not. One that is lost stays known."""
        before = {card.uuid: card for card in self.cards}
        there = {card.uuid for card in cards} | {card.parent for card in cards}
        lost = (card for card in self.cards if card.is_whole and card.uuid not in there)
        now = (*cards, *(replace(card, trouble="the driver has lost it") for card in lost))
        self.cards = tuple(sorted(now, key=lambda card: card.name))
        return [card for card in self.cards if card.trouble and not before.get(card.uuid, card).trouble]

    def users(self, uuid: str) -> frozenset[str]:
        """The uids of the pods that have a device."""
        owner = self._owners.get(uuid)
        return frozenset(self._claimed.get(uuid, ())) | ({owner.pod_uid} if owner else frozenset())

    def adopt(self, records: Iterable[ContainerRecord], counted: Counted = lambda record: len(record.gpu_ids)) -> None:
        """Learn from labels who owns what: after a start of the kubelet. The first ones are those that were counted."""
        for record in records:
            number = counted(record)
            for device in record.gpu_ids[:number]:
                self._owners.setdefault(device, Owner(record.pod.uid, record.name))
            for device in record.gpu_ids[number:]:
                self._claimed.setdefault(device, set()).add(record.pod.uid)

    def claim(self, pod_uid: str, uuids: Iterable[str]) -> None:
        """A pod uses the devices of its claims; raises StillInUse while somebody else has counted on one."""
        uuids = tuple(uuids)
        for uuid in uuids:
            owner = self._owners.get(uuid)
            if owner is not None and owner.pod_uid != pod_uid:
                raise StillInUse(f"device {uuid} is still in use by the pod that had it before")
        for uuid in uuids:
            self._claimed.setdefault(uuid, set()).add(pod_uid)

    def share(self, pod: Pod, container: Container) -> tuple[str, ...]:
        """The card of which a container has a part; raises StillInUse while somebody has the whole of it."""
        if not memory_asked(container):
            return ()
        granted = granted_to(pod) if read_share(pod.metadata.annotations) else None
        found = tuple(uuid for uuid in granted or () if uuid in self.healthy_ids)
        if len(found) != 1:
            raise NotEnough(f"Allocate failed due to requested {MEMORY}, which no card that works was granted for")
        self.claim(pod.metadata.uid, found)
        return found

    def allocate(self, pod: Pod, container: Container, recorded: Recorded = _NOBODY) -> tuple[str, ...]:
        """The devices of a container: those it has, and free ones until it has as many as it asks for.

        Init containers end before the others start, so the others may have theirs. `recorded` says which pods hold
        which devices by record, whether they have started or not.
        """
        owner, count = Owner(pod.metadata.uid, container.name), asked(container)
        if count == 0:
            return ()
        mine = granted_to(pod)
        choice = self.healthy_ids if mine is None else tuple(id for id in mine if id in self.healthy_ids)
        if mine is not None:
            self._check_given_back(mine, pod)
        inits = {Owner(pod.metadata.uid, init.name) for init in pod.spec.init_containers if not init.is_sidecar}
        own = [device for device in self.ids if self._owners.get(device) == owner]
        free = [
            device
            for device in choice
            if device not in self._claimed
            and (device not in self._owners or self._owners[device] in inits - {owner})
            and recorded.get(device, owner.pod_uid) == owner.pod_uid
        ]
        granted = (*own, *free)[:count]
        if len(granted) < count:
            raise NotEnough(
                f"Allocate failed due to requested number of devices unavailable for {RESOURCE}. "
                f"Requested: {count}, Available: {len(own) + len(free)}, which is unexpected"
            )
        self._owners |= dict.fromkeys(granted, owner)
        return tuple(granted)

    def _check_given_back(self, uuids: Iterable[str], pod: Pod) -> None:
        for uuid in uuids:
            if self.users(uuid) - {pod.metadata.uid}:
                raise StillInUse(f"device {uuid} is still in use by the pod that had it before")

    def release(self, pod_uid: str) -> None:
        """The pod's containers have ended: its devices are free."""
        self._owners = {device: owner for device, owner in self._owners.items() if owner.pod_uid != pod_uid}
        users = {device: pods - {pod_uid} for device, pods in self._claimed.items()}
        self._claimed = {device: pods for device, pods in users.items() if pods}
