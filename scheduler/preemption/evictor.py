"""Evictor: deletes victims, having said in their status why they go; everything with the pod's own grace period.

The room that they leave is promised first: a scheduler that begins after a crash would else not know whose it is, and
send away others. Kubernetes: the preemption executor. Differs: there the promise is written later.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any

import structlog

from scheduler.pods import PodView
from scheduler.writes import News, status_patch
from wherry.api.core.pod import Pod
from wherry.client import clock
from wherry.client.backoff import Backoff
from wherry.client.http import Client
from wherry.machinery.errors import ApiError, Conflict, NotFound
from wherry.machinery.time import time_text

log = structlog.get_logger()

REASON = "PreemptionByScheduler"
ATTEMPTS = 8
FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS = 0.1, 5.0


def disrupted(victim: Pod, preemptor: PodView, now: datetime) -> dict[str, Any]:
    """The strategic merge patch of a victim's status."""
    is_lower = victim.spec.priority < preemptor.spec.priority
    why = "accommodate a higher priority pod" if is_lower else "give back what its queue had borrowed"
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": REASON,
        "message": f"{preemptor.spec.scheduler_name}: preempting to {why}",
        "lastProbeTime": None,
        "lastTransitionTime": time_text(now),
        "observedGeneration": victim.metadata.generation,
    }
    return {"metadata": {"uid": victim.metadata.uid}, "status": {"conditions": [condition]}}


class Evictor:
    """Runs until cancelled. `told` hears of each victim that goes, `failed` of pods for which one could not be sent.

    `may_act` is asked before each write.
    """

    def __init__(
        self,
        client: Client,
        told: Callable[[PodView, PodView, str], None],
        failed: Callable[[PodView, Sequence[PodView]], None],
        may_act: Callable[[], bool],
    ) -> None:
        self._client, self._told, self._failed, self._may_act = client, told, failed, may_act
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            await asyncio.Event().wait()

    def evict(self, victims: Sequence[PodView], preemptor: PodView, node: str) -> None:
        """Send the victims away, all at the same time; returns at once."""
        if self._tasks is not None:
            self._tasks.create_task(self._evict_all(victims, preemptor, node), name=f"evict for {preemptor.key}")

    async def promise(self, pod: PodView, node: str) -> bool:
        """Write down whose the room on a node will be; whether that is written, or need not be any more."""
        patch = status_patch(pod.pod, News(nominated=node), clock.now())
        return patch is None or await self._written(pod, lambda: self._patch(pod.pod, patch))

    async def _evict_all(self, victims: Sequence[PodView], preemptor: PodView, node: str) -> None:
        went = [await self.promise(preemptor, node)]
        if went[0]:
            went += await asyncio.gather(*(self._evict(victim, preemptor, node) for victim in victims))
        if not all(went):
            self._failed(preemptor, victims)

    async def _evict(self, victim: PodView, preemptor: PodView, node: str) -> bool:
        pod = victim.pod
        reason = disrupted(pod, preemptor, clock.now())
        key, uid = pod.metadata, pod.metadata.uid
        if not await self._written(victim, lambda: self._patch(pod, reason)):
            return False
        if not await self._written(victim, lambda: self._client.delete(Pod, key.name, key.namespace, uid=uid)):
            return False
        self._told(victim, preemptor, node)
        return True

    async def _patch(self, pod: Pod, patch: dict[str, Any]) -> Any:
        key = pod.metadata
        return await self._client.patch(Pod, key.name, key.namespace, patch, subresource="status", type="strategic")

    async def _written(self, pod: PodView, write: Callable[[], Awaitable[Any]]) -> bool:
        """Try until there is an answer, which may be that the pod is gone, or another one of its name is there."""
        backoff = Backoff(FIRST_RETRY_SECONDS, MOST_RETRY_SECONDS)
        for _ in range(ATTEMPTS):
            if not self._may_act():
                return False  # whoever leads now decides who goes
            try:
                await write()
            except (NotFound, Conflict):
                return True
            except ApiError as error:
                log.warning("not written for a preemption", pod=pod.key, error=error.message)
                if error.code < 500 and error.retry != "backoff":
                    return False
            else:
                return True
            await asyncio.sleep(backoff.next())
        return False
