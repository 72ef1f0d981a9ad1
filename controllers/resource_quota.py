"""Count what each namespace holds, and tell it in the status of its quotas. Kubernetes: the resource quota controller.

The API server charges a quota before the object is stored. Whoever counts in that instant finds too little, so a count
is lowered only when the quota has not been charged for a moment. Counting a large namespace takes a while and any
change in it asks for it, so of many changes in a row only the first is counted at once. Custom objects are counted by
who watches them (`shells/custom_watches.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from controllers.parts.metadata import collectable_kinds, metadata_view
from controllers.parts.quota_pace import NOT_BEFORE_SECONDS, Pace, Seconds
from wherry.api.core.persistent_volume_claim import PersistentVolumeClaim
from wherry.api.core.pod import Pod
from wherry.api.core.pod.totals import add
from wherry.api.core.quota.resource_quota import ResourceQuota
from wherry.api.core.quota.scopes import concerns
from wherry.api.core.quota.usage import Usage, is_alive, is_counted, usage_of
from wherry.api.core.service import Service
from wherry.client.controller import Controller, NoticeFunction
from wherry.client.plan import CheckAgain, Plan, SetStatus
from wherry.client.world import World
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Resource

# How long a write takes at most, from its charge until our copies show the object.
SETTLE_SECONDS = 1.0
# What is in these says what they count for; of all other kinds it is enough that there are so many.
_LOOKED_INTO = (Pod, Service, PersistentVolumeClaim)

_Known = dict[str, tuple[str, Usage]]
# For how many seconds a quota, by its key, has been left alone.
Stillness = Callable[[str], float]
# How many objects of a custom resource there are in a namespace; None where it is not known.
CustomCount = Callable[[str, str], int | None]


def no_customs(resource: str, namespace: str) -> int | None:
    """Where there are no custom kinds."""
    return None


def resource_quota_controller(
    watched: Iterable[type[Resource]], stillness: Stillness, seconds: Seconds, customs: CustomCount = no_customs
) -> Controller:
    """The controller. Kinds that others watch anyway are not watched twice."""
    known = {cls.kind.resource: cls for cls in watched} | {cls.kind.resource: cls for cls in _LOOKED_INTO}
    known[ResourceQuota.kind.resource] = ResourceQuota
    counted = tuple(known.get(kind.resource) or metadata_view(kind) for kind in collectable_kinds() if is_counted(kind))
    ledger, pace = Ledger(counted, customs), Pace(seconds)

    def plan(quota: ResourceQuota, world: World) -> Plan:
        if wait := pace.wait(quota):
            return iter((CheckAgain(wait),))
        return counted_again(quota, world, ledger, stillness(quota.key))

    def forget(key: str, _: World) -> Plan:
        ledger.forget(key)
        pace.forget(key)
        return iter(())

    # Quotas are counted as well, but what is charged to one is nothing to the others.
    notices: dict[type[Resource], NoticeFunction] = {ResourceQuota: lambda quota: quota.metadata.uid}
    wakes = dict.fromkeys(counted, quotas_beside)
    return Controller("resource_quota", ResourceQuota, plan, wakes=wakes, notices=notices, absent=forget)


def quotas_beside(obj: Resource, world: World) -> Iterator[str]:
    """The quotas to look at again when something in their namespace changes."""
    return (quota.key for quota in world.list(ResourceQuota, namespace=obj.metadata.namespace))


class Ledger:
    """What the objects of these kinds count for; what has not changed is not looked into again."""

    def __init__(self, kinds: tuple[type[Resource], ...], customs: CustomCount = no_customs) -> None:
        self._kinds, self._customs = kinds, customs
        self._counts = {f"count/{kind.kind.resource}" for kind in kinds}
        # quota -> uid -> the version looked into, and what it counts for
        self._known: dict[tuple[str, str], _Known] = {}

    def total(self, quota: ResourceQuota, world: World) -> Usage:
        """What everything that the quota concerns counts for, in what it limits."""
        place = (quota.key, str(list(quota.spec.requirements)))
        known, seen = self._known.get(place, {}), _Known()
        total = {name: Quantity() for name in quota.spec.hard if self._can_count(name)}
        for kind in self._kinds_under(quota):
            for obj in world.list(kind, namespace=quota.metadata.namespace):
                meta = obj.metadata
                version, usage = known.get(meta.uid, ("", {}))
                if version != meta.resource_version or meta.deleted_at is not None:
                    usage = usage_of(obj, world.now) if concerns(quota, obj) else {}
                seen[meta.uid] = (meta.resource_version, usage)
                add(total, {name: amount for name, amount in usage.items() if name in total})
        self._known[place] = seen
        return total | self._custom_total(quota)

    def _custom_total(self, quota: ResourceQuota) -> Usage:
        names = [name for name in quota.spec.hard if not self._can_count(name)]
        counts = {name: self._customs(name.removeprefix("count/"), quota.metadata.namespace) for name in names}
        return {name: Quantity.from_value(count) for name, count in counts.items() if count is not None}

    def forget(self, key: str) -> None:
        """A quota is gone."""
        self._known = {place: known for place, known in self._known.items() if place[0] != key}

    def _can_count(self, name: str) -> bool:
        return not name.startswith("count/") or name in self._counts

    def _kinds_under(self, quota: ResourceQuota) -> Iterator[type[Resource]]:
        hard = quota.spec.hard.keys()
        for kind in self._kinds:
            if kind in _LOOKED_INTO or hard & {kind.kind.resource, f"count/{kind.kind.resource}"}:
                yield kind


def counted_again(quota: ResourceQuota, world: World, ledger: Ledger, still_seconds: float) -> Plan:
    """Set the status right; look again when a count may be lowered, or when a pod is overdue to be gone."""
    used, status = ledger.total(quota, world), quota.status
    if still_seconds < SETTLE_SECONDS and any(used[name] < status.used.get(name, Quantity()) for name in used):
        used = {name: max(amount, status.used.get(name, Quantity())) for name, amount in used.items()}
        yield CheckAgain(SETTLE_SECONDS - still_seconds + NOT_BEFORE_SECONDS)
    if (status.hard, status.used) != (quota.spec.hard, used):
        yield SetStatus(quota.with_status(hard=quota.spec.hard, used=used))
    overdue = [at for pod in world.list(Pod, namespace=quota.metadata.namespace) if (at := _overdue_at(pod, world.now))]
    if overdue:
        yield CheckAgain((min(overdue) - world.now).total_seconds() + 1)


def _overdue_at(pod: Pod, now: datetime) -> datetime | None:
    meta = pod.metadata
    if meta.deleted_at is None or meta.deletion_grace_seconds is None or not is_alive(pod, now):
        return None
    return meta.deleted_at + timedelta(seconds=meta.deletion_grace_seconds)
