"""Running: the runner and the shells, as one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from controllers.catalogue import Settings, controllers_for
from controllers.shells.authority import Authority
from controllers.shells.autoscaling import Autoscaling
from controllers.shells.certifying import Certifying
from controllers.shells.collecting import Collecting
from controllers.shells.custom_watches import CustomWatches
from controllers.shells.emptying import Emptying
from controllers.shells.hearing import Hearing
from controllers.shells.heartbeats import Heartbeats
from controllers.shells.introducing import Introducing
from controllers.shells.issuing import Issuing
from controllers.shells.stillness import Stillness
from controllers.shells.sweeping import Sweeping
from wherry.api.certificates.certificate_signing_request import CertificateSigningRequest
from wherry.api.core.bootstrap_token import BootstrapToken
from wherry.api.core.namespace import Namespace
from wherry.api.core.pod import Pod
from wherry.api.core.quota.resource_quota import ResourceQuota
from wherry.api.core.service_account import ServiceAccount
from wherry.client.http import Client
from wherry.client.informer import Change
from wherry.client.runner import Runner
from wherry.machinery.resource import Resource

if TYPE_CHECKING:
    from prometheus_client.core import Metric


class Controllers:
    """All controllers at work. `may_act` is asked before each write. Runs once."""

    def __init__(self, client: Client, settings: Settings, *, may_act: Callable[[], bool] = lambda: True) -> None:
        customs = self._customs = CustomWatches(client)
        # Nodes are judged by their heartbeats, and those are seen by the informers that the runner makes.
        plans = controllers_for(
            settings,
            lambda node: heartbeats(node),
            lambda quota: stillness(quota),
            lambda: asyncio.get_running_loop().time(),
            customs.count,
        )
        self.runner = Runner(client, plans, may_act=may_act)
        informers = self.runner.informers
        customs.subscribe(self._quotas_beside)
        heartbeats = Heartbeats(informers)
        stillness = Stillness(informers[ResourceQuota])
        signs = bool(settings.signing_certificate)
        authority = Authority(settings.signing_certificate, settings.signing_key) if signs else None
        self._certifying = Certifying(client, informers[CertificateSigningRequest], authority, may_act)
        self._introducing = Introducing(client, informers[BootstrapToken], may_act)
        self._issuing = Issuing(client, informers[ServiceAccount], settings.root_ca, may_act)
        self._emptying = Emptying(client, informers[Namespace], informers[Pod], may_act)
        self._autoscaling = Autoscaling(client, informers[Pod], may_act)
        self._collecting = Collecting(client, self._autoscaling.among(informers), customs, may_act)
        self._sweeping = Sweeping(client, informers, heartbeats, may_act)
        self._hearing = Hearing(client, heartbeats, may_act)

    def _quotas_beside(self, change: Change[Resource]) -> None:
        """A custom object came or went: that may be counted."""
        obj = change.after or change.before
        if obj is not None and (change.after is None or change.before is None):
            for quota in self.runner.informers[ResourceQuota].shelf.in_namespace(obj.metadata.namespace):
                self.runner.wake("resource_quota", quota.key)

    @property
    def is_idle(self) -> bool:
        """Whether nothing is left to do just now, but what waits for a time."""
        parts = (self.runner, self._certifying, self._introducing, self._issuing, self._emptying, self._collecting)
        return all(part.is_idle for part in parts)

    def metrics(self) -> Iterable[Metric]:
        """What Prometheus reads of the controllers: their queues."""
        from wherry.client.serving.queues import of_queues  # its library is loaded when somebody asks

        return of_queues(self.runner.queues, asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Work until cancelled."""
        access = (self._certifying, self._introducing, self._issuing)
        rest = (self._autoscaling, self._emptying, self._customs, self._collecting, self._sweeping, self._hearing)
        async with asyncio.TaskGroup() as group:
            for part in (self.runner, *access, *rest):
                group.create_task(part.run(), name=type(part).__name__.lower())
