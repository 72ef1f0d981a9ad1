"""EventRecorder: tells people what happened to objects, as Events, without ever making the teller wait.

    recorder = EventRecorder(client, "kubelet", host="node-1")
    group.create_task(recorder.run())
    recorder.record(pod, "BackOff", "restarting failed container", "Warning")

Events are hints, not facts to build on: when the API server is away for long or a queue is full they are lost, and
the log says so. What is written at all is decided by `EventSeries`. Those that wait are written together, if the
server takes batches. Where only one of several processes may write, `may_act` is asked before each request: what the
one that lost its lead had still to tell is lost.

Kubernetes: client-go `tools/record`, which writes core/v1 events.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import structlog

from wherry.api.events.event import Event
from wherry.api.meta import reference_to
from wherry.client import clock
from wherry.client.backoff import Backoff
from wherry.client.batches import Batches, NoBatches, check_lead
from wherry.client.event_series import EventSeries, Told
from wherry.client.http import Client
from wherry.client.plan import Event as EventAction
from wherry.machinery.errors import AlreadyExists, ApiError, NotFound
from wherry.machinery.resource import Resource
from wherry.machinery.time import time_text

log = structlog.get_logger()

QUEUE_SIZE = 1000
MOST_IN_BATCH = 100
ATTEMPTS = 8
TYPES = ("Normal", "Warning")
# Kubernetes' limit for the text of an event.
MOST_MESSAGE_BYTES = 1024


class EventRecorder:
    """See the module."""

    def __init__(
        self, client: Client, component: str, *, host: str = "", may_act: Callable[[], bool] = lambda: True
    ) -> None:
        self._client, self._component, self._host, self._may_act = client, component, host, may_act
        self._batches = Batches(client, Event, may_act=may_act)
        self._series = EventSeries()
        self._queue: asyncio.Queue[Told] = asyncio.Queue(QUEUE_SIZE)
        self.lost = 0

    def record(
        self, obj: Resource, reason: str, message: str, type: str = "Normal", *, action: str = "", field_path: str = ""
    ) -> None:
        """Tell what happened to an object, or to the part of it at a path; returns at once."""
        self.tell(EventAction(obj, reason, message, type, action), field_path)

    def tell(self, event: EventAction, field_path: str = "") -> None:
        """As `record`, of an event that is a value."""
        obj, reason, type, action = event.obj, event.reason, event.type, event.action
        if type not in TYPES:
            raise ValueError(f"event type {type!r}: allowed are Normal and Warning")
        message = event.message.encode()[:MOST_MESSAGE_BYTES].decode(errors="ignore")
        reference = reference_to(obj) | ({"fieldPath": field_path} if field_path else {})
        told = self._series.told(reference, reason, message, type, clock.now(), action=action)
        if told is None:
            log.debug("event dropped", about=obj.key, reason=reason, why="too many events about this object")
            return
        try:
            self._queue.put_nowait(replace(told, annotations=event.annotations) if event.annotations else told)
        except asyncio.QueueFull:
            self._lose(obj.key, reason, "the queue is full")

    async def run(self) -> None:
        """Write what was recorded, until cancelled."""
        while True:
            first = await self._queue.get()
            most = MOST_IN_BATCH - 1 if self._batches.are_taken else 0
            told = [first, *(self._queue.get_nowait() for _ in range(min(self._queue.qsize(), most)))]
            for each in await self._left_after_batch(told) if len(told) > 1 else told:
                await self._deliver(each)
            for _ in told:
                self._queue.task_done()

    async def flushed(self) -> None:
        """Return when all that was recorded is written or lost."""
        await self._queue.join()

    async def _left_after_batch(self, told: list[Told]) -> list[Told]:
        """Write those together that are new; gives those that must be written, or tried again, one by one."""
        new = [each for each in told if each.count == 1]
        if not new:
            return told
        try:
            outcomes = await self._batches.create([self._manifest(each) for each in new])
        except (NoBatches, ApiError):
            return told
        done = {each.name for each, error in zip(new, outcomes, strict=True) if error is None}
        return [each for each in told if each.count > 1 or each.name not in done]

    async def _deliver(self, told: Told) -> None:
        backoff = Backoff(0.2, 10.0)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._write(told)
                return
            except ApiError as error:
                if error.says_namespace_is_going:
                    return  # nobody will read events there
                if error.retry != "backoff" or attempt == ATTEMPTS:
                    self._lose(told.reference["name"], told.reason, error.message)
                    return
                await asyncio.sleep(max(backoff.next(), error.retry_after_seconds or 0))

    async def _write(self, told: Told) -> None:
        check_lead(self._may_act)
        if told.count > 1:
            change = {"count": told.count, "lastTimestamp": time_text(told.last_at), "message": told.message}
            try:
                await self._client.patch(Event, told.name, told.namespace, change)
                return
            except NotFound:
                pass  # events expire: this one begins anew
        try:
            await self._client.create(self._manifest(told))
        except AlreadyExists:
            return  # an earlier attempt got through, though its answer was lost

    def _manifest(self, told: Told) -> dict[str, Any]:
        metadata: dict[str, Any] = {"name": told.name, "namespace": told.namespace}
        if told.annotations:
            metadata["annotations"] = told.annotations
        source = {"component": self._component, "host": self._host} if self._host else {"component": self._component}
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": metadata,
            "involvedObject": told.reference,
            "reason": told.reason,
            "message": told.message,
            "type": told.type,
            "source": source,
            "count": told.count,
            "firstTimestamp": time_text(told.first_at),
            "lastTimestamp": time_text(told.last_at),
            "reportingComponent": self._component,
            "reportingInstance": self._host,
            **({"action": told.action} if told.action else {}),
        }

    def _lose(self, name: str, reason: str, why: str) -> None:
        self.lost += 1
        log.warning("event lost", about=name, reason=reason, why=why)
