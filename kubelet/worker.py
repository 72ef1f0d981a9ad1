"""The worker of one pod: observe, plan, act, until nothing of the pod is left to do on this node.

Kubernetes: pod_workers.go, whose booleans and timestamps are the four states here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from datetime import datetime, timedelta
from typing import Any

import structlog

from kubelet import plan
from kubelet.act import act
from kubelet.charge import Charge
from kubelet.host import Host
from kubelet.observe import observe
from kubelet.probes import begin_probes
from kubelet.reporting.status_writer import StatusWriter
from kubelet.runtime.base import RuntimeFailure
from kubelet.seen import Seen, is_done_for_good
from kubelet.status import status_of
from kubelet.steps import Step, Wait
from wherry.api.core.pod import Pod
from wherry.client import clock
from wherry.client.backoff import Backoff
from wherry.machinery.errors import ApiError
from wherry.volumes import MountFailed

log = structlog.get_logger()

# Should an event ever get lost, the pod is looked at again all the same.
RESYNC_SECONDS = 60.0
_REFRESH_AGAIN_SECONDS = 10


class State:
    """What the kubelet is doing with a pod, and the plan for it."""

    @staticmethod
    def plan(pod: Pod, seen: Seen) -> Iterator[Step]:
        """What to do next; nothing, unless a state says otherwise."""
        return iter(())


class Syncing(State):
    """The pod should run."""

    plan = staticmethod(plan.sync)


class Terminating(State):
    """Its containers are being stopped."""

    plan = staticmethod(plan.wind_down)


class Terminated(State):
    """Nothing runs any more; what it used is being given back."""

    plan = staticmethod(plan.clean_up)


class Finished(State):
    """This pod uid never runs here again."""


TRANSITIONS: dict[type[State], set[type[State]]] = {
    Syncing: {Terminating},  # deleted, evicted, failed, or every container is finished for good
    Terminating: {Terminated},  # the runtime reports no running container
    Terminated: {Finished},  # volumes unmounted, final status accepted by the API server
    Finished: set(),
}


def should_end(pod: Pod, seen: Seen) -> bool:
    """Whether the pod should run no longer."""
    is_given_up = seen.is_pod_gone or seen.failure is not None
    return is_given_up or pod.metadata.deleted_at is not None or pod.is_finished or is_done_for_good(pod, seen)


def advance(state: type[State], pod: Pod, seen: Seen, *, is_confirmed: bool) -> type[State]:
    """The state after one turn; pure."""
    following: type[State] = state
    if state is Syncing and should_end(pod, seen):
        following = Terminating
    elif state is Terminating and not seen.running:
        following = Terminated
    elif state is Terminated and is_confirmed:
        following = Finished
    if following is not state and following not in TRANSITIONS[state]:
        raise RuntimeError(f"a pod cannot go from {state.__name__} to {following.__name__}")
    return following


class Worker:
    """One pod uid's life on this node."""

    def __init__(self, pod: Pod, host: Host) -> None:
        self._woken = asyncio.Event()
        self._background: set[asyncio.Task[None]] = set()
        self._tasks: asyncio.TaskGroup | None = None
        self._retry = Backoff(0.2, 10.0)
        writer = StatusWriter(host.client, pod)
        self.charge = Charge(pod, host, writer, self._spawn, self.wake)
        self.state: type[State] = Syncing

    @property
    def may_run(self) -> bool:
        """Whether something of the pod runs, or is going to."""
        charge = self.charge
        is_over = self.state is Finished or charge.pod.is_finished
        return not is_over and charge.failure is None and not charge.is_pod_gone

    def update(self, pod: Pod) -> None:
        """The pod's object changed."""
        before, after = self.charge.pod.metadata, pod.metadata
        if (before.labels, before.annotations) != (after.labels, after.annotations):
            self.charge.are_volumes_stale = True
        self.charge.pod = pod
        self.charge.status.saw(pod)
        self.wake()

    def lose(self) -> None:
        """The pod's object is gone from the API."""
        self.charge.is_pod_gone = True
        self.wake()

    def refresh_volumes(self) -> None:
        """Something that a volume shows has changed."""
        self.charge.are_volumes_stale = True
        self.wake()

    def wake(self) -> None:
        """Look again now."""
        self._woken.set()

    async def run(self) -> None:
        """Until the pod is finished here. May be called again after it broke: what ran in the background is gone."""
        self.charge.probed.clear()
        self.charge.pulling.clear()
        # Nobody will hear the end of a hook that was under way. Kubernetes' kubelet forgets it when it restarts, too.
        self.charge.hooks = {id: hook for id, hook in self.charge.hooks.items() if hook.is_done or hook.failure}
        async with asyncio.TaskGroup() as self._tasks:
            self._spawn(self.charge.status.run())
            while self.state is not Finished:
                until = await self._turn()
                await self._wait(until)
            for task in self._background:
                task.cancel()
        log.debug("pod finished", pod=self.charge.pod.key, uid=self.charge.uid)

    async def _turn(self) -> datetime | None:
        """One look and what follows from it; until when there is nothing to do, None for as long as nobody wakes us."""
        self._woken.clear()
        charge = self.charge
        try:
            until = await self._observe_plan_act()
        except (RuntimeFailure, ApiError, MountFailed, OSError) as error:
            seconds = self._retry.next()
            log.warning("pod needs another try", pod=charge.pod.key, error=str(error), retry_seconds=round(seconds, 1))
            asyncio.get_running_loop().call_later(seconds, self.wake)
            return None
        self._retry.reset()
        return until

    async def _observe_plan_act(self) -> datetime | None:
        charge, state = self.charge, self.state
        seen = await observe(charge)
        self._report(seen)
        until: datetime | None = None
        has_changed = False
        for step in state.plan(charge.pod, seen):
            if isinstance(step, Wait):
                until = step.until if until is None else min(until, step.until)
            else:
                has_changed |= await act(step, charge)
        if state is Syncing:
            until = await self._refresh(until)
            for record in seen.running:
                begin_probes(charge, record, charge.volumes.pod_ip or (seen.sandbox.ip if seen.sandbox else ""))
        self.state = advance(state, charge.pod, seen, is_confirmed=charge.is_confirmed)
        if self.state is not state:
            log.debug("pod state", pod=charge.pod.key, before=state.__name__, after=self.state.__name__)
        if has_changed or self.state is not state:
            self.wake()
        return until

    def _report(self, seen: Seen) -> None:
        charge = self.charge
        address = charge.host.settings.address
        has_ended = self.state is Terminated
        charge.status.offer(status_of(charge.pod, seen, charge.status.before, host_ip=address, has_ended=has_ended))

    async def _refresh(self, until: datetime | None) -> datetime | None:
        """Live volumes follow their sources; tokens are renewed in time."""
        charge = self.charge
        if not charge.are_volumes_ready:
            return until
        due_at = charge.volumes.refresh_at
        if charge.are_volumes_stale or (due_at is not None and due_at <= clock.now()):
            charge.are_volumes_stale = False
            try:
                await charge.volumes.refresh()
            except (MountFailed, ApiError) as error:
                charge.tell("FailedMount", str(error), "Warning")
                charge.are_volumes_stale = True
                return clock.now() + timedelta(seconds=_REFRESH_AGAIN_SECONDS)
            due_at = charge.volumes.refresh_at
        times = [at for at in (until, due_at) if at is not None]
        return min(times, default=None)

    async def _wait(self, until: datetime | None) -> None:
        seconds = RESYNC_SECONDS if until is None else (until - clock.now()).total_seconds()
        try:
            async with asyncio.timeout(min(RESYNC_SECONDS, max(0.0, seconds))):
                await self._woken.wait()
        except TimeoutError:
            return

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        if self._tasks is None:
            work.close()
            return
        task = self._tasks.create_task(self._guarded(work))
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        """A probe or hook that breaks must not take the pod with it."""
        try:
            await work
        except (RuntimeFailure, ApiError, OSError) as error:
            log.warning("background work failed", pod=self.charge.pod.key, error=str(error))
