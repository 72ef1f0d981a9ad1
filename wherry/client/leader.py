"""Leader: of several processes exactly one works, and another takes over when it stops or falls silent.

    leader = Leader(client, "wherry-controllers", identity="node-1_4711")
    runner = Runner(client, all_controllers(), may_act=leader.holds)
    await leader.lead(runner.run)

The right to lead is a Lease that its holder renews; every change of it is a compare-and-swap on resourceVersion.
Candidates watch it: one that is given back is taken within a round trip, one that is silent for `lease_seconds` is
taken then. Silence is measured on the candidate's own monotonic clock from the moment it saw the last renewal, so
wrong or jumping wall clocks do no harm.

A holder that cannot renew for `renew_seconds` stops its work, well before anyone may take over. `holds` says the
same without waiting for a task to run: a process that was stopped and goes on after half a minute finds it False at
its first write.

Kubernetes: client-go `leaderelection`, its record and its 15, 10 and 2 seconds. Differs: candidates watch instead
of polling.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog

from wherry.api.coordination.lease import Lease
from wherry.client import clock
from wherry.client.backoff import Backoff
from wherry.client.http import Client
from wherry.client.informer import Change, Informer
from wherry.machinery.errors import AlreadyExists, ApiError, Conflict, NotFound
from wherry.machinery.time import micro_time_text

log = structlog.get_logger()

RELEASE_SECONDS = 2.0


@dataclass(frozen=True)
class Timing:
    """How long a lease lasts, when its holder gives up, how often it renews; each must leave room for the next."""

    lease_seconds: int = 15
    renew_seconds: float = 10.0
    retry_seconds: float = 2.0

    def __post_init__(self) -> None:
        if not self.lease_seconds > self.renew_seconds > self.retry_seconds > 0:
            raise ValueError(f"expected lease_seconds > renew_seconds > retry_seconds > 0, got {self}")


class Leader:
    """See the module. One per process and lease; `lead` runs once at a time."""

    def __init__(
        self, client: Client, name: str, *, identity: str, namespace: str = "kube-system", timing: Timing | None = None
    ) -> None:
        self.identity = identity
        self._client, self._name, self._namespace = client, name, namespace
        self._timing = timing or Timing()
        self._informer = Informer(client, Lease, namespace=namespace, fields=f"metadata.name={name}")
        self._changed = asyncio.Event()
        self._seen_at = 0.0
        self._informer.subscribe(self._saw)
        # The lease as our own last write left it, and until when that write lets us act (loop time).
        self._own: Lease | None = None
        self._holds_until = -1.0

    def holds(self) -> bool:
        """Whether this process may act now."""
        return self._own is not None and asyncio.get_running_loop().time() < self._holds_until

    async def lead(self, work: Callable[[], Awaitable[Any]]) -> None:
        """Wait for the lead, then do the work; return when the work is done and the lead given back.

        When the lead is lost, the work is cancelled and `LostLead` raised: what it knew is old, so a process ends or
        starts afresh. Cancelling this gives the lead back once the work has ended.
        """
        watching = asyncio.create_task(self._informer.run(), name=f"lease {self._name}")
        try:
            await self._acquire()
            log.info("leading", lease=self._name, identity=self.identity)
            await self._work_while_renewing(work)
        finally:
            watching.cancel()
            await self._release()

    async def _work_while_renewing(self, work: Callable[[], Awaitable[Any]]) -> None:
        working = asyncio.ensure_future(work())
        renewing = asyncio.create_task(self._renew(), name=f"renew {self._name}")
        try:
            await asyncio.wait((working, renewing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Work first: nothing may be written after the lead is given back.
            await _ended(working)
            await _ended(renewing)
        if working.cancelled():
            raise LostLead(f"{self.identity} lost the lease {self._namespace}/{self._name}")
        working.result()

    def _saw(self, change: Change[Lease]) -> None:
        self._seen_at = asyncio.get_running_loop().time()
        self._changed.set()

    async def _acquire(self) -> None:
        """Return when the lease is ours."""
        await self._informer.synced()
        backoff = Backoff(0.05, self._timing.retry_seconds)
        awaited = ""
        while True:
            self._changed.clear()
            lease = self._informer.get(f"{self._namespace}/{self._name}")
            wait = self._seconds_until_free(lease)
            if wait <= 0:
                try:
                    await self._take(lease)
                    return
                except (AlreadyExists, Conflict, NotFound):
                    wait = self._timing.retry_seconds  # somebody was faster: the watch will show it
                except ApiError as error:
                    wait = backoff.next()
                    log.warning("lease not taken", lease=self._name, error=error.message)
            elif lease is not None and lease.spec.holder_identity != awaited:
                awaited = lease.spec.holder_identity
                log.info("waiting for the lead", lease=self._name, holder=awaited)
            await self._woken(wait)

    async def _woken(self, at_latest_seconds: float) -> None:
        try:
            async with asyncio.timeout(at_latest_seconds):
                await self._changed.wait()
        except TimeoutError:
            return

    def _seconds_until_free(self, lease: Lease | None) -> float:
        if lease is None or lease.spec.holder_identity in ("", self.identity):
            return 0.0
        # The holder's own promise counts, where it made one.
        lasts = lease.spec.lease_duration_seconds or self._timing.lease_seconds
        return self._seen_at + lasts - asyncio.get_running_loop().time()

    async def _take(self, lease: Lease | None) -> None:
        spec = {**self._renewal(), "acquireTime": micro_time_text(clock.now())}
        sent_at = asyncio.get_running_loop().time()
        if lease is None:
            metadata = {"name": self._name, "namespace": self._namespace}
            manifest = {"apiVersion": Lease.kind.api_version, "kind": Lease.kind.name, "metadata": metadata}
            written = await self._client.create({**manifest, "spec": {**spec, "leaseTransitions": 0}})
        else:
            spec["leaseTransitions"] = lease.spec.lease_transitions + 1
            written = await self._swap(lease, spec)
        self._wrote(written, sent_at)

    def _renewal(self) -> dict[str, Any]:
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self._timing.lease_seconds,
            "renewTime": micro_time_text(clock.now()),
        }

    async def _swap(self, lease: Lease, spec: dict[str, Any]) -> dict[str, Any]:
        metadata = {"uid": lease.metadata.uid, "resourceVersion": lease.metadata.resource_version}
        patch = {"metadata": metadata, "spec": spec}
        return await self._client.patch(Lease, self._name, self._namespace, patch)

    def _wrote(self, written: dict[str, Any], sent_at: float) -> None:
        self._own = Lease.read(written)
        # Counted from before the request: others count from after it, so we are always the first to stop.
        self._holds_until = sent_at + self._timing.renew_seconds

    async def _renew(self) -> None:
        """Renew until the lead is lost."""
        loop = asyncio.get_running_loop()
        while self.holds():
            await asyncio.sleep(self._timing.retry_seconds)
            try:
                async with asyncio.timeout_at(self._holds_until):
                    if not await self._renewed(loop.time()):
                        return
            except TimeoutError:
                return
            except ApiError as error:
                log.warning("lease not renewed", lease=self._name, error=error.message)

    async def _renewed(self, sent_at: float) -> bool:
        """Whether we still hold the lease; raises `ApiError` when nobody knows."""
        if self._own is None:
            return False
        try:
            self._wrote(await self._swap(self._own, self._renewal()), sent_at)
        except NotFound:
            return False
        except Conflict:
            # Perhaps our own renewal got through and only its answer was lost.
            lease = await self._client.get(Lease, self._name, self._namespace)
            if lease.spec.holder_identity != self.identity or lease.metadata.uid != self._own.metadata.uid:
                return False
            self._own = lease
            self._wrote(await self._swap(lease, self._renewal()), sent_at)
        return True

    async def _release(self) -> None:
        """Give the lead back, so that another need not wait; if that fails, the lease runs out by itself."""
        own, self._own = self._own, None
        if own is None:
            return
        try:
            async with asyncio.timeout(RELEASE_SECONDS):
                await self._swap(own, {**self._renewal(), "holderIdentity": "", "leaseDurationSeconds": 1})
            log.info("lead given back", lease=self._name, identity=self.identity)
        except (ApiError, TimeoutError) as error:
            log.warning("lead not given back", lease=self._name, error=str(error))


class LostLead(Exception):
    """Another process may lead now: the work was cancelled."""


async def _ended(task: asyncio.Future[Any]) -> None:
    """Cancel a task and wait until it has ended; its outcome is the caller's to look at."""
    task.cancel()
    await asyncio.wait((task,))
