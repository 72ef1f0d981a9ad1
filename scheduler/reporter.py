"""Reporter: tells people how pods fared, in their status and as events, without making the scheduler wait.

Events and conditions wait a while for the bindings: a pod's start depends on these, and nothing on what is told of it.
One writer of conditions waits for nobody, so that they are told however busy the scheduler is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable

import msgspec
import structlog

from scheduler.cycle.decision import Decision
from scheduler.explaining.text import DECISION, Record, record_of
from scheduler.pods import PodView
from scheduler.writes import News, status_patch
from wherry.api.core.pod import Pod
from wherry.client import clock
from wherry.client.events import EventRecorder
from wherry.client.http import Client
from wherry.client.plan import Event
from wherry.machinery.errors import ApiError, NotFound

log = structlog.get_logger()

WORKERS = 8
# Bindings are many at a time: with one writer, events would lag far behind where they are written one by one. The
# recorder loses what exceeds its queue of a thousand, so it is given less than that at a time.
EVENT_WRITERS = 8
EVENTS_AT_A_TIME = 500
# How long events wait for bindings, and how many of them do.
PATIENCE_SECONDS, MOST_PATIENT = 3.0, 10_000
# How long after a binding the next one is expected: until then one condition is written at a time.
QUIET_SECONDS = 1.0


class Reporter:
    """Runs until cancelled. Of several messages about one pod that wait to be written only the last is.

    `others` returns when there is nothing more urgent to write. An event comes from the scheduler, of those with these
    `names`, whose pod it is about, or for whose pod it happened.
    """

    def __init__(
        self,
        client: Client,
        names: Iterable[str],
        may_act: Callable[[], bool],
        others: Callable[[], Awaitable[None]],
    ) -> None:
        self._client, self.may_act, self._others = client, may_act, others
        self._recorders = {name: EventRecorder(client, name, may_act=may_act) for name in names}
        self._events: asyncio.Queue[tuple[str, Event]] = asyncio.Queue()
        self._reasons: dict[str, Record | Decision] = {}
        self._assigned_at = -QUIET_SECONDS
        self._latest: dict[str, tuple[Pod, News]] = {}
        self._waiting: asyncio.Queue[str] = asyncio.Queue()

    def found_no_node(self, pod: Pod, message: str, nominated: str | None = None, record: Record | None = None) -> None:
        """Tell that a pod could not be scheduled, and, unless that stays as it is, which node it is nominated for."""
        self._put(pod, Event(pod, "FailedScheduling", message, "Warning", "Scheduling", _kept(record)))
        self._write_soon(pod, News(message, nominated))

    def nominated(self, pod: Pod, node: str) -> None:
        """Tell which node a pod is nominated for; empty: for none."""
        self._write_soon(pod, News(nominated=node))

    def preempted(self, victim: PodView, preemptor: PodView, node: str) -> None:
        """Tell that a pod makes way for another."""
        message = f"Preempted by pod {preemptor.uid} on node {node}"
        if victim.spec.priority >= preemptor.spec.priority:
            message += f": {_told(preemptor, victim)} takes back what is its queue's own"
        self._put(preemptor.pod, Event(victim.pod, "Preempted", message, action="Preempting"))

    def moved(self, pod: PodView, other: PodView, node: str) -> None:
        """Tell that a pod leaves a node for another that fits nowhere else."""
        message = (
            f"Evicted from node {node} to make room for pod {_told(other, pod)}; other nodes have room for this one"
        )
        self._put(other.pod, Event(pod.pod, "Consolidated", message, action="Evicting"))

    def chosen(self, pod: PodView, why: Record | Decision) -> None:
        """Keep why a node was chosen, to be told with the binding."""
        self._reasons[pod.uid] = why

    def assigned(self, pod: Pod, node: str) -> None:
        """Tell that a pod has its node, and why this one."""
        self._assigned_at = asyncio.get_running_loop().time()
        self._latest.pop(pod.metadata.uid, None)
        why = self._reasons.pop(pod.metadata.uid, None)
        record = record_of(why) if isinstance(why, Decision) else why
        message = f"Successfully assigned {pod.key} to {node}"
        self._put(pod, Event(pod, "Scheduled", message, action="Binding", annotations=_kept(record)))

    def forget(self, uid: str) -> None:
        """A pod is gone, or will be planned anew."""
        self._reasons.pop(uid, None)

    def _put(self, whose: Pod, event: Event) -> None:
        self._events.put_nowait((whose.spec.scheduler_name, event))

    def _write_soon(self, pod: Pod, news: News) -> None:
        uid = pod.metadata.uid
        earlier = self._latest.get(uid)
        if earlier is None:
            self._waiting.put_nowait(uid)
        self._latest[uid] = (pod, news.after(earlier[1]) if earlier else news)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                group.create_task(self._work(waits=number > 0), name="reporter")
            for recorder in self._recorders.values():
                for _ in range(EVENT_WRITERS):
                    group.create_task(recorder.run(), name="events")
            group.create_task(self._tell(), name="events")

    async def _tell(self) -> None:
        while True:
            first = await self._events.get()
            if self._events.qsize() < MOST_PATIENT:
                await self._let_others_pass()
            some = [first, *(self._events.get_nowait() for _ in range(min(self._events.qsize(), EVENTS_AT_A_TIME - 1)))]
            for name, event in some:
                self._recorders[name].tell(event)
            for name in dict.fromkeys(name for name, _ in some):
                await self._recorders[name].flushed()

    async def _let_others_pass(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                await self._others()

    async def _quiet(self) -> None:
        await self._let_others_pass()
        left = self._assigned_at + QUIET_SECONDS - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)

    async def _work(self, *, waits: bool) -> None:
        while True:
            uid = await self._waiting.get()
            if waits:
                await self._quiet()
            latest = self._latest.pop(uid, None)
            if latest is not None and self.may_act():
                await self._write(*latest)

    async def _write(self, pod: Pod, news: News) -> None:
        patch = status_patch(pod, news, clock.now())
        if patch is None:
            return
        metadata = pod.metadata
        try:
            await self._client.patch(
                Pod, metadata.name, metadata.namespace, patch, subresource="status", type="strategic"
            )
        except NotFound:
            return
        except ApiError as error:
            # The next attempt to schedule the pod says it again.
            log.warning("condition not written", pod=pod.key, error=error.message)


def _told(pod: PodView, reader: PodView) -> str:
    """Who a pod is to those who see another. Kubernetes: names of other namespaces are no business of theirs."""
    return pod.key if pod.metadata.namespace == reader.metadata.namespace else pod.uid


def _kept(record: Record | None) -> dict[str, str]:
    return {DECISION: msgspec.json.encode(record).decode()} if record else {}
