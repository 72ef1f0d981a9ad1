"""ResourceQuota: what would take more of a namespace's quota than is left is refused; everything else is charged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar
from weakref import WeakValueDictionary

from apiserver.admission.base import AdmissionPlugin, Draft
from apiserver.request import SERVER_ITSELF
from apiserver.writing.rest import Write
from wherry.api.core.pod import Pod
from wherry.api.core.quota.resource_quota import ResourceQuota as Quota
from wherry.api.core.quota.resource_quota import ResourceQuotaStatus as QuotaStatus
from wherry.api.core.quota.scopes import concerns
from wherry.api.core.quota.usage import Usage, is_counted, missing_from, usage_of
from wherry.machinery.errors import NotFound, forbidden
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from apiserver.server import Server

# What grows when it is changed: services by ports, claims by expansion, pods by a resize.
_GROWING = {("services", ""), ("persistentvolumeclaims", ""), ("pods", "resize")}


class ResourceQuota(AdmissionPlugin):
    """Kubernetes: ResourceQuota.

    The charge is a compare-and-swap on the quota's status, so that of two writes for the last place one is refused,
    whichever server they reach. It comes before the object is stored: a write that fails after it leaves too much
    charged, until the controller has counted again.
    """

    operations: ClassVar[tuple[str, ...]] = ("CREATE", "UPDATE")
    order = 1000  # whatever any other plugin refuses is not charged

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self._quotas = server.cache.of(Quota)
        # One charge at a time in a namespace: neighbours need not try again because of each other.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def validate(self, draft: Draft, old: Draft | None, write: Write) -> None:
        if not write.namespace or not self._quotas.count(write.namespace):
            return
        if not is_counted(write.cls.kind) or not _may_grow(write):
            return
        obj = write.cls.read(draft)
        wanted = self._wanted(obj, old)
        quotas = [Quota.read(stored.item) for stored in self._quotas.objects(write.namespace)]
        concerned = [quota for quota in quotas if concerns(quota, obj)]
        for quota in concerned:
            _check_told(quota, obj, write)
            _check_left(quota.metadata.name, quota.status, wanted, write)
        charged = [quota.metadata.name for quota in concerned if wanted.keys() & quota.status.hard.keys()]
        if charged and not write.dry_run:
            turn = self._turns.setdefault(write.namespace, asyncio.Lock())
            async with turn:
                for name in charged:
                    await self._charge(name, wanted, write)

    def _wanted(self, obj: Resource, old: Draft | None) -> Usage:
        """What the write takes in addition; what it gives back is for the controller to see."""
        now = self.server.now()
        usage = usage_of(obj, now)
        if old is None:
            return {name: amount for name, amount in usage.items() if amount}
        before = usage_of(type(obj).read(old), now)
        more = {name: amount - before.get(name, Quantity()) for name, amount in usage.items()}
        return {name: amount for name, amount in more.items() if amount.nanos > 0}

    async def _charge(self, name: str, wanted: Usage, write: Write) -> None:
        def charged(draft: Draft) -> Draft:
            status = QuotaStatus.read(draft.get("status") or {})
            counted = {resource: wanted[resource] for resource in wanted.keys() & status.hard.keys()}
            _check_left(name, status, counted, write)
            total = {resource: str(status.used[resource] + amount) for resource, amount in counted.items()}
            return {**draft, "status": {**draft["status"], "used": {**draft["status"]["used"], **total}}}

        charge = Write(Quota, "UPDATE", write.namespace, name, SERVER_ITSELF, "status")
        try:
            await self.server.rest(Quota).update(charged, charge)
        except NotFound:
            return  # a quota that has just been deleted limits nothing


def _may_grow(write: Write) -> bool:
    if write.operation == "CREATE":
        return not write.subresource
    return (write.cls.kind.resource, write.subresource) in _GROWING


def _check_told(quota: Quota, obj: Resource, write: Write) -> None:
    """A pod speaks of all cpu and memory that its quota limits."""
    missing = missing_from(obj, quota.status.hard) if isinstance(obj, Pod) else {}
    if missing:
        told = "; ".join(f"{name} for: {','.join(containers)}" for name, containers in sorted(missing.items()))
        why = f"failed quota: {quota.metadata.name}: must specify {told}"
        raise forbidden(write.cls.kind.resource, write.name, why)


def _check_left(name: str, status: QuotaStatus, wanted: Usage, write: Write) -> None:
    limited = sorted(wanted.keys() & status.hard.keys())
    unknown = [resource for resource in limited if resource not in status.used]
    if unknown:
        why = f"status unknown for quota: {name}, resources: {','.join(unknown)}"
        raise forbidden(write.cls.kind.resource, write.name, why)
    over = [each for each in limited if status.used[each] + wanted[each] > status.hard[each]]
    if over:
        told = f"requested: {_listed(wanted, over)}, used: {_listed(status.used, over)}"
        why = f"exceeded quota: {name}, {told}, limited: {_listed(status.hard, over)}"
        raise forbidden(write.cls.kind.resource, write.name, why)


def _listed(amounts: Mapping[str, Quantity], names: Iterable[str]) -> str:
    return ",".join(f"{name}={amounts[name]}" for name in names)
