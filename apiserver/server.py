"""The API server's parts, put together: what every step of the pipeline and every operation finds at hand."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import structlog

from apiserver.access.rbac import Authorizer
from apiserver.access.tokens import TokenIssuer
from apiserver.admission import Admission
from apiserver.aggregation.remotes import Remotes
from apiserver.extensions.catalogue import CustomKinds
from apiserver.extensions.establishing import Establishing
from apiserver.fairness.bodies import Bodies
from apiserver.fairness.sharing import Sharing
from apiserver.fairness.turnstile import Turnstile, turnstile_here
from apiserver.kubelets import Kubelets
from apiserver.metrics.gathering import Gathering
from apiserver.metrics.requests import Counts
from apiserver.proxying.callouts import Callouts
from apiserver.proxying.forwarding import Forwarding
from apiserver.reading.conversion import stored_class
from apiserver.reading.fan_out import FanOut
from apiserver.reading.watch_cache import WatchCache
from apiserver.reading.watchers import Watcher
from apiserver.request import Receive, Scope, Send, Target
from apiserver.storage.encryption.store import EncryptedStore
from apiserver.storage.store import Store, StoreError
from apiserver.tracing.slow import SlowRequests
from apiserver.writing.allocations import Allocations
from apiserver.writing.claims import Claims
from apiserver.writing.entropy import Entropy
from apiserver.writing.grants import Grants
from apiserver.writing.rest import Rest
from apiserver.writing.turns import Turns
from wherry.api import kinds
from wherry.api.coordination.node_loss import KUBERNETES
from wherry.machinery.resource import Resource, all_kinds, kind_at

if TYPE_CHECKING:
    from apiserver.access.oidc.config import Anonymous, Trusted
    from apiserver.access.oidc.issuers import Issuers
    from apiserver.admission.pod_security.configuration import PodSecurityConfiguration
    from apiserver.audit.record import Audit
    from apiserver.tracing.spans import Spans

log = structlog.get_logger()

# History kept for watches and pages that began in the past. Kubernetes: the compactor's five minutes.
HISTORY_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Settings:
    """What an operator decides about an API server."""

    service_account_key: Path
    issuer: str = "https://kubernetes.default.svc"
    audiences: tuple[str, ...] = ("https://kubernetes.default.svc",)
    service_cidr: str = "10.96.0.0/16"
    advertise_address: str = "127.0.0.1"
    port: int = 6443
    # Under which name this server tells that it is there; empty: not at all.
    hostname: str = ""
    kubelet_ca: Path | None = None
    kubelet_cert: Path | None = None
    kubelet_key: Path | None = None
    # By which aggregated API servers know this one, and who signed it; and who signs the certificates of clients.
    proxy_client_cert: Path | None = None
    proxy_client_key: Path | None = None
    requestheader_ca: Path | None = None
    client_ca: Path | None = None
    disabled_admission: tuple[str, ...] = ()
    # How many requests run at once, by the shares of the priority levels. Kubernetes: 600, on many threads.
    max_requests_inflight: int = 100
    request_timeout_seconds: float = 60.0
    enabled_admission: tuple[str, ...] = ()
    pod_security: PodSecurityConfiguration | None = None
    # Whose ID tokens are believed besides this server's own tokens.
    trusted_issuers: tuple[Trusted, ...] = ()
    # Who may come without credentials; None: everybody.
    anonymous: Anonymous | None = None
    # How long pods that say nothing else stay on a node that is down.
    not_ready_toleration_seconds: int = KUBERNETES.toleration_seconds
    unreachable_toleration_seconds: int = KUBERNETES.toleration_seconds


@dataclass(slots=True)
class Health:
    """What must be done before the server is ready; names of steps not done yet."""

    pending: list[str] = field(default_factory=lambda: ["watch-cache", "bootstrap"])
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    is_draining: bool = False
    # What checks said when somebody asked: by check and endpoint, how often well and how often not, and what at last.
    asked: dict[tuple[str, str], tuple[int, int, bool]] = field(default_factory=dict)

    def say(self, check: str, endpoint: str, *, good: bool) -> None:
        """Count what is said of a check."""
        well, badly, _ = self.asked.get((check, endpoint), (0, 0, True))
        self.asked[check, endpoint] = (well + good, badly + (not good), good)

    def done(self, step: str) -> None:
        """One step less."""
        self.pending.remove(step)
        if not self.pending:
            self.ready.set()


def _issuers(settings: Settings, now: Callable[[], datetime]) -> Issuers | None:
    if not settings.trusted_issuers:
        return None
    from apiserver.access.oidc.issuers import Issuers

    return Issuers(settings.trusted_issuers, now)


class Server:
    """One API server on one store."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        random: Random | None = None,
        audit: Audit | None = None,
        spans: Spans | None = None,
    ) -> None:
        kinds.load()
        self.store = store
        self.settings = settings
        self._now = now
        self.random = random or Entropy()
        self.cache = WatchCache(store, (stored_class(cls) for cls in all_kinds() if "watch" in cls.kind.verbs))
        self.custom = CustomKinds(self)
        self.authorizer = Authorizer(self.cache)
        self.tokens = TokenIssuer(self.cache, settings.service_account_key, settings.issuer, settings.audiences)
        self.issuers = _issuers(settings, self.now)
        self.kubelets = Kubelets(self.cache, settings.kubelet_ca, settings.kubelet_cert, settings.kubelet_key)
        self.audit, self.spans = audit, spans
        self.slow_requests = SlowRequests()
        self.counts = Counts()
        self.sharing = Sharing(self.cache, settings.max_requests_inflight)
        self.bodies = Bodies()
        self.forwarding = Forwarding()
        self.callouts = Callouts(self)
        self.remotes = Remotes(self)
        self.usage = Gathering(self)
        self.grants = Grants(self.cache)
        self.turns = Turns(self.cache)
        self.allocations = Allocations(self.cache, Claims(store, self.now), settings.service_cidr, self.random)
        self.admission = Admission(self, settings.disabled_admission, settings.enabled_admission)
        self.watching: set[Watcher] = set()
        self.fan_out = FanOut()
        self.health = Health()
        self._rests: dict[type[Resource], Rest] = {}

    @property
    def advertised(self) -> str:
        """`host:port` as told to clients in discovery."""
        return f"{self.settings.advertise_address}:{self.settings.port}"

    @property
    def accepted_since(self) -> float:
        """Objects in later versions were accepted by this process; what others write may be as older rules had it."""
        return math.inf if self.store.is_shared else self.cache.filled

    def now(self) -> datetime:
        """The time, in UTC."""
        return self._now()

    @cached_property
    def turnstile(self) -> Turnstile:
        """Where requests wait for each other; the store's answers do so too."""
        return turnstile_here()

    @cached_property
    def operations(self) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
        """The operational endpoints, loaded when they are first asked for."""
        from apiserver.operations import operations

        return operations(self)  # type: ignore[return-value]  # ASGI, with narrower types

    def rest(self, cls: type[Resource]) -> Rest:
        """The operations on a kind."""
        cls = stored_class(cls)
        rest = self._rests.get(cls)
        if rest is None:
            rest = self._rests[cls] = Rest(self, cls)
        return rest

    def serves(self, target: Target) -> bool:
        """Whether there is such a kind, here or on a server that this one passes on to."""
        address = (target.group, target.version, target.plural)
        known = kind_at(*address) or self.custom.at(*address)
        return known is not None or address[:2] in self.remotes.all

    def forget_custom(self) -> None:
        """The definitions of custom kinds changed: their operations are made anew."""
        for cls in [cls for cls in self._rests if cls.kind.is_custom]:
            del self._rests[cls]

    async def run(self) -> None:
        """Fill the cache, bootstrap, then follow the store until cancelled."""
        from apiserver.bootstrap import bootstrap
        from apiserver.extensions.registering import Registering
        from apiserver.own_service import OwnService
        from apiserver.presence import Presence

        await self.custom.prepare()
        await self.cache.fill()
        await self.custom.complete()
        self.allocations.rebuild()
        self.health.done("watch-cache")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.cache.run())
            tasks.create_task(Establishing(self).run())
            await bootstrap(self)
            own_service = OwnService(self)
            await own_service.begin()
            self.health.done("bootstrap")
            log.info("ready", address=self.advertised, revision=self.cache.applied)
            tasks.create_task(self._compact_for_ever())
            tasks.create_task(own_service.run())
            if self.settings.hostname:
                tasks.create_task(Presence(self).run())
            tasks.create_task(Registering(self).run())
            tasks.create_task(self.remotes.run())
            if isinstance(self.store, EncryptedStore):
                tasks.create_task(self.store.run())

    async def _compact_for_ever(self) -> None:
        while True:
            revision = self.cache.applied
            await asyncio.sleep(HISTORY_SECONDS)
            try:
                await self.cache.compact(revision)
            except StoreError as error:
                log.warning("compaction failed; trying again later", revision=revision, error=str(error))

    def end_watches(self) -> None:
        """End every stream, so that clients go to another server or come back after the restart."""
        self.health.is_draining = True
        for watcher in list(self.watching):
            watcher.end()
