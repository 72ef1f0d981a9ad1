"""What the quotas of a namespace have left for pods that are made one after the other. Pure.

The API server charges no quota for what it is only asked about, so of many pods it knows about the first alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from wherry.api.core.pod import Pod
from wherry.api.core.quota.resource_quota import ResourceQuota
from wherry.api.core.quota.scopes import concerns
from wherry.api.core.quota.usage import Usage, missing_from, usage_of
from wherry.machinery.quantity import Quantity


class Allowed(NamedTuple):
    """So many of the pods would be made, and why the next would not, in the API server's words."""

    number: int
    why: str = ""


class Allowances:
    """See the module; what it has allowed once is used from then on."""

    def __init__(self, quotas: Iterable[ResourceQuota], now: datetime) -> None:
        self._quotas, self._now = list(quotas), now
        self._used: dict[str, Usage] = {quota.key: dict(quota.status.used) for quota in self._quotas}

    def of(self, pods: Sequence[Pod]) -> Allowed:
        """How many of these may come, in this order."""
        for number, pod in enumerate(pods):
            wanted = usage_of(pod, self._now)
            there = [each for each in self._quotas if each.metadata.namespace == pod.metadata.namespace]
            charged = [quota for quota in there if concerns(quota, pod)]
            if why := next((why for quota in charged if (why := self._why_not(quota, pod, wanted))), ""):
                return Allowed(number, why)
            for quota in charged:
                self._charge(quota, wanted)
        return Allowed(len(pods))

    def _why_not(self, quota: ResourceQuota, pod: Pod, wanted: Usage) -> str:
        used, hard = self._used[quota.key], quota.status.hard
        if missing := missing_from(pod, hard):
            told = "; ".join(f"{name} for: {','.join(containers)}" for name, containers in sorted(missing.items()))
            return f"failed quota: {quota.metadata.name}: must specify {told}"
        over = [name for name in _limited(wanted, quota) if used.get(name, Quantity()) + wanted[name] > hard[name]]
        if not over:
            return ""
        told = f"requested: {_listed(wanted, over)}, used: {_listed(used, over)}, limited: {_listed(hard, over)}"
        return f"exceeded quota: {quota.metadata.name}, {told}"

    def _charge(self, quota: ResourceQuota, wanted: Usage) -> None:
        used = self._used[quota.key]
        for name in _limited(wanted, quota):
            used[name] = used.get(name, Quantity()) + wanted[name]


def in_force(quota: ResourceQuota, pods: Iterable[Pod], now: datetime) -> ResourceQuota:
    """A quota that is not there yet, as it would be with what the pods of its namespace use."""
    used: dict[str, Quantity] = {}
    for pod in pods:
        for name, amount in usage_of(pod, now).items() if concerns(quota, pod) else ():
            used[name] = used.get(name, Quantity()) + amount
    return quota.with_status(hard=dict(quota.spec.hard), used=used)


def _limited(wanted: Usage, quota: ResourceQuota) -> list[str]:
    return sorted(name for name in wanted.keys() & quota.status.hard.keys() if wanted[name])


def _listed(amounts: Mapping[str, Quantity], names: Iterable[str]) -> str:
    return ",".join(f"{name}={amounts.get(name, Quantity())}" for name in names)
