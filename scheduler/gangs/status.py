"""What a PodGroup's status says: whether enough of its pods have had a node at the same time, and if not, why not.

Once that is so, it stays so, whatever becomes of the pods: the condition is about the beginning.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import structlog

from wherry.api.meta import find_condition
from wherry.api.scheduling.pod_group import SCHEDULED, PodGroup
from wherry.client import clock
from wherry.client.http import Client
from wherry.machinery.errors import ApiError
from wherry.machinery.time import time_text

log = structlog.get_logger()


class Report(NamedTuple):
    """What is to be said of a group: that it was scheduled, or the `message` why not."""

    is_scheduled: bool
    message: str = ""


def status_patch(group: PodGroup, report: Report, now: datetime) -> dict[str, Any] | None:
    """The strategic merge patch of the group's status; None if it says so already, or what it says is for ever."""
    before = find_condition(group.status.conditions, SCHEDULED)
    status, reason = ("True", "Scheduled") if report.is_scheduled else ("False", "Unschedulable")
    if before and (before.status == "True" or (before.status, before.message) == (status, report.message)):
        return None
    since = before.last_transition_time if before and before.status == status else None
    condition = {
        "type": SCHEDULED,
        "status": status,
        "reason": reason,
        "message": report.message or "All required pods have been successfully scheduled",
        "lastTransitionTime": time_text(since or now),
        "observedGeneration": group.metadata.generation,
    }
    return {"metadata": {"uid": group.metadata.uid}, "status": {"conditions": [condition]}}


class StatusWriter:
    """Runs until cancelled. Of several reports about one group that wait to be written only the last is."""

    def __init__(self, client: Client, group: Callable[[str], PodGroup | None], may_act: Callable[[], bool]) -> None:
        self._client, self._group, self._may_act = client, group, may_act
        self._latest: dict[str, Report] = {}
        self._waiting: asyncio.Queue[str] = asyncio.Queue()

    def tell(self, key: str, report: Report) -> None:
        """Have it written soon."""
        if key not in self._latest:
            self._waiting.put_nowait(key)
        self._latest[key] = report

    async def run(self) -> None:
        """Work until cancelled."""
        while True:
            key = await self._waiting.get()
            report, group = self._latest.pop(key), self._group(key)
            patch = status_patch(group, report, clock.now()) if group else None
            if group is not None and patch is not None and self._may_act():
                await self._write(group, patch)

    async def _write(self, group: PodGroup, patch: dict[str, Any]) -> None:
        name, namespace = group.metadata.name, group.metadata.namespace
        try:
            await self._client.patch(PodGroup, name, namespace, patch, subresource="status", type="strategic")
        except ApiError as error:
            # The next attempt to schedule the group says it again.
            log.warning("condition not written", pod_group=group.key, error=error.message)
