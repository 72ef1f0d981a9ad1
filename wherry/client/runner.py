"""Runner: carries controllers. It observes through informers, calls plans and acts: all that plans have in common.

    runner = Runner(client, all_controllers())
    await leader.lead(runner.run)

For each object: wait until the copies show our own last writes (`Fence`), plan in one go, act (`Act`), write one
line of log if something was done. A plan that fails, in whatever way, is tried again later and later, and disturbs
no other object: a plan made anew is a new request, so even what was `Invalid` may go through. `Conflict` means that
the copy was old and is nothing to log.

Kubernetes: what its controllers share and each does for itself: informers, queue, expectations, slow start, back-off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import structlog

from wherry.api.core.pod import Pod
from wherry.api.meta import Selector
from wherry.client import clock
from wherry.client.act import Act, Desk
from wherry.client.batches import Batches, Deletions
from wherry.client.controller import Controller, WakeFunction
from wherry.client.events import EventRecorder
from wherry.client.fence import Fence
from wherry.client.http import Client
from wherry.client.informer import Change, Informer
from wherry.client.workqueue import WorkQueue
from wherry.client.world import World
from wherry.machinery.errors import ApiError, Conflict
from wherry.machinery.meta import OwnerReference
from wherry.machinery.resource import Resource

R = TypeVar("R", bound=Resource)

log = structlog.get_logger()

Informers = dict[type[Resource], Informer[Any]]


class Runner:
    """See the module. `may_act` is asked before each write: `leader.holds` where there is a leader. Runs once."""

    def __init__(
        self, client: Client, controllers: Iterable[Controller], *, may_act: Callable[[], bool] = lambda: True
    ) -> None:
        controllers = tuple(controllers)
        kinds = dict.fromkeys(kind for controller in controllers for kind in controller.kinds)
        self.informers: Informers = {kind: Informer(client, kind) for kind in kinds}
        self._shifts = [_Shift(controller, client, self.informers, may_act) for controller in controllers]

    @property
    def is_idle(self) -> bool:
        """Whether every copy is there and no object needs a plan right now."""
        return all(shift.is_idle for shift in self._shifts)

    @property
    def queues(self) -> dict[str, WorkQueue]:
        """What each controller has to do, by its name."""
        return {shift.name: shift.queue for shift in self._shifts}

    def wake(self, controller: str, key: str) -> None:
        """Ask a controller to plan an object again, for a reason that no informer of its own shows."""
        for shift in self._shifts:
            if shift.name == controller:
                shift.wake(key)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            for shift in self._shifts:
                group.create_task(shift.run(), name=f"controller {shift.name}")
            for kind, informer in self.informers.items():
                group.create_task(informer.run(), name=f"informer {kind.kind.plural}")


class _Shift:
    """One controller at work."""

    def __init__(
        self, controller: Controller, client: Client, informers: Informers, may_act: Callable[[], bool]
    ) -> None:
        self.name = controller.name
        self._controller, self._kind = controller, controller.kind
        self._informers = {kind: informers[kind] for kind in controller.kinds}
        self._shelves = {kind: informer.shelf for kind, informer in self._informers.items()}
        self.queue = WorkQueue()
        self._failures: dict[str, ApiError] = {}
        self._keys: dict[str, str] = {}  # of our objects, by uid
        self._outdated: set[str] = set()  # keys whose last plan was made on an old copy
        self._fence = Fence(client, self._informers)
        self._recorder = EventRecorder(client, controller.reporter, may_act=may_act)
        pods, deletions = Batches(client, Pod, may_act=may_act), Deletions(client, may_act)
        self._desk = Desk(client, self._recorder, self._fence, may_act, pods, deletions)
        self._listen()

    @property
    def is_idle(self) -> bool:
        """See `Runner.is_idle`."""
        return self.queue.is_idle and all(informer.is_synced for informer in self._informers.values())

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._recorder.run(), name=f"events of {self.name}")
                for informer in self._informers.values():
                    await informer.synced()
                for _ in range(self._controller.workers):
                    group.create_task(self._work(), name=f"worker of {self.name}")
        finally:
            self.queue.close()

    def wake(self, key: str) -> None:
        """See `Runner.wake`."""
        self.queue.add(key)

    def _listen(self) -> None:
        self._informers[self._kind].subscribe(self._changed)
        for kind in self._controller.owns:
            self._informers[kind].subscribe(self._owned_changed)
        for kind, wake in self._controller.wakes.items():
            self._informers[kind].subscribe(lambda change, wake=wake: self._wake(change, wake))  # type: ignore[misc]
        for kind, informer in self._informers.items():
            informer.on_list(lambda kind=kind: self._listed(kind))  # type: ignore[misc]

    def _listed(self, kind: type[Resource]) -> None:
        """What a plan made may be gone before the copy ever showed it: no change tells of that."""
        for key in self._fence.waiting_for(kind):
            self.queue.add(key)

    def _changed(self, change: Change[Resource]) -> None:
        before, after = change
        if self._controller.concerns is not None and not self._controller.concerns(_either(change)):
            return
        if after is not None:
            self._keys[after.metadata.uid] = after.key
        elif before is not None:
            self._keys.pop(before.metadata.uid, None)
        if before is not None and after is not None and before.metadata.generation == after.metadata.generation > 0:
            # Only its status or metadata: a plan that tells of its failure there would otherwise wake itself for ever.
            # One that failed because the copy was old has waited for just this.
            (self.queue.add_paced if after.key in self._outdated else self.queue.add_unless_failing)(after.key)
        else:
            self.queue.add(_either(change).key)

    def _owned_changed(self, change: Change[Resource]) -> None:
        add = self._adding(change)
        for obj in change:
            if obj is None:
                continue
            owner = obj.metadata.controller
            if owner is not None and owner.uid in self._keys:
                # By uid, as plans count: the reference may name its owner wrongly, and be deleted for that.
                add(self._keys[owner.uid])
            elif owner is not None and self._is_ours(owner):
                namespace = obj.metadata.namespace if self._kind.kind.namespaced else ""
                add(f"{namespace}/{owner.name}" if namespace else owner.name)
        if change.after is not None and change.after.metadata.controller is None:
            for key in self._who_might_adopt(change.after):
                self.queue.add(key)

    def _adding(self, change: Change[Resource]) -> Callable[[str], None]:
        """What came or goes is answered at once; what merely changed may come in crowds."""
        before, after = change
        if (
            before is None
            or after is None
            or (before.metadata.deleted_at is None) != (after.metadata.deleted_at is None)
        ):
            return self.queue.add
        return self.queue.add_paced

    def _is_ours(self, owner: OwnerReference) -> bool:
        group = owner.api_version.rpartition("/")[0]
        return owner.kind == self._kind.kind.name and group == self._kind.kind.group

    def _who_might_adopt(self, orphan: Resource) -> Iterator[str]:
        for candidate in self._shelves[self._kind].in_namespace(orphan.metadata.namespace):
            selector = getattr(getattr(candidate, "spec", None), "selector", None)
            if isinstance(selector, Selector) and selector.matches(orphan.metadata.labels):
                yield candidate.key

    def _wake(self, change: Change[Resource], wake: WakeFunction) -> None:
        before, after = change
        notice = self._controller.notices.get(type(_either(change)))
        if notice is not None and before is not None and after is not None and notice(before) == notice(after):
            return
        world, add = self._world(), self._adding(change)
        for obj in change:
            if obj is not None:
                for key in wake(obj, world):
                    add(key)

    def _world(self, key: str = "") -> World:
        return World.over(self._shelves, clock.now_in_seconds, self._failures.get(key))

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            try:
                await self._attempt(key)
            finally:
                self.queue.done(key)

    async def _attempt(self, key: str) -> None:
        subject = {self._kind.kind.name.lower(): key}
        try:
            await self._fence.passed(key)
            await self._plan_and_act(key, subject)
        except Conflict as error:
            log.debug("plan conflict", controller=self.name, error=error.message, **subject)
            self._outdated.add(key)
            self.queue.add_rate_limited(key)
        except ApiError as error:
            if error.says_namespace_is_going:
                log.debug("plan too late", controller=self.name, error=error.message, **subject)
                self.queue.forget(key)
                return
            self._failures[key] = error
            log.warning("plan failed", controller=self.name, error=error.message, **subject)
            self.queue.add_rate_limited(key, error.retry_after_seconds or 0)
        except Exception:
            log.exception("plan broken", controller=self.name, **subject)
            self.queue.add_rate_limited(key)
        else:
            self._failures.pop(key, None)
            self._outdated.discard(key)
            self.queue.forget(key)

    async def _plan_and_act(self, key: str, subject: dict[str, str]) -> None:
        obj, world = self._informers[self._kind].get(key), self._world(key)
        if obj is not None:
            plan = self._controller.plan(obj, world)
        elif self._controller.absent is not None:
            plan = self._controller.absent(key, world)
        else:
            return
        # All of it before the first write: the world under the plan must not move.
        actions = list(plan)
        act = Act(self._desk, key, obj, world)
        try:
            await act.carry_out(actions)
        finally:
            if act.done:
                status = {"status": "changed"} if act.done.pop("status", 0) else {}
                log.info("plan", **subject, **act.done, **status)
            if act.check_after is not None:
                self.queue.add_after(key, act.check_after)


def _either(change: Change[R]) -> R:
    obj = change.after or change.before
    if obj is None:
        raise ValueError("a change from nothing to nothing")
    return obj
