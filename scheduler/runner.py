"""Runner: the scheduler's shell. It observes pods and nodes, plans one pod after the other, and has bindings made.

    scheduler = Scheduler(client, profiles, may_act=leader.holds)
    await leader.lead(scheduler.run)

A pod counts on its node from the plan on, so the next pod is planned while the binding is still on its way. What the
copies know when the lead is won is newer than everything the last leader wrote, because they begin then.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import Any

import structlog

from scheduler.binder import Binder, Bound
from scheduler.chooser import Chooser, Outcome
from scheduler.consolidation.mover import Mover
from scheduler.cycle.decision import Decision
from scheduler.cycle.plan import Choice
from scheduler.devices.room import Devices
from scheduler.explaining.attention import Attention
from scheduler.explaining.text import Record, brief, record_of
from scheduler.framework import Plugin, culprit
from scheduler.gangs.plan import Place
from scheduler.gangs.shell import Gangs
from scheduler.gangs.tables import Tables
from scheduler.hints import Hints
from scheduler.kin import KINDS, Kin
from scheduler.metrics import ERROR, SCHEDULED, UNSCHEDULABLE, Counts
from scheduler.pods import PodView
from scheduler.preemption.preemptor import Preemptor
from scheduler.queue import DEFAULT_PAUSES, Pauses, Queue
from scheduler.reporter import Reporter
from scheduler.sharing.room import Sharing
from scheduler.snapshot import Snapshot
from scheduler.triggers import Trigger
from scheduler.volumes.binder import VolumeBinder, bind_seconds
from wherry.api.core.namespace import Namespace
from wherry.api.core.node import Node
from wherry.api.core.pod import Pod
from wherry.client import clock
from wherry.client.http import Client
from wherry.client.informer import Change, Informer, OptionalInformer
from wherry.machinery.errors import NotFound
from wherry.machinery.resource import Resource

log = structlog.get_logger()

# Turns of the loop that a binding needs from the plan to the network.
TURNS_TO_LEAVE = 3
# Planning is pure computation: after so many pods everybody else on the loop gets a turn.
PODS_PER_TURN = 32


class Scheduler:
    """See the module. `profiles` are plugins by scheduler name; pods that name another are not ours. Runs once."""

    def __init__(
        self,
        client: Client,
        profiles: Mapping[str, Sequence[Plugin]],
        *,
        may_act: Callable[[], bool] = lambda: True,
        pauses: Pauses = DEFAULT_PAUSES,
    ) -> None:
        self.snapshot = Snapshot()
        self.queue = Queue(_triggers(profiles), pauses, Hints(profiles, self.snapshot, self._others_matter))
        self.pods, self.nodes = Informer(client, Pod), Informer(client, Node)
        self.namespaces = Informer(client, Namespace)
        self.counts = Counts()
        self._begun = 0.0
        self._may_act = may_act
        self._woken = asyncio.Event()
        # Plans that are told when their bindings are on their way.
        self._unlogged: list[tuple[str, Choice]] = []
        seed = clock.randomness().getrandbits(32)
        self._devices = Devices(client, self.snapshot, self.nodes, self._bound, may_act)
        self._binder = Binder(client, self._bound, may_act, self._devices.record)
        self._sharing = Sharing(client, self.pods, self.namespaces, self._devices, self.queue)
        bind, seconds = self._binder.bind, bind_seconds(profiles)
        self._volumes = VolumeBinder(client, self.snapshot, bind, self._bound, seconds, may_act)
        self._reporter = Reporter(client, profiles, may_act, self._binder.rested)
        freed, lent = lambda pod: self._wake(pod.pod, None), self._sharing.limits.lent
        self._preemptor = Preemptor(client, self.snapshot, self._reporter, freed, lent)
        self._chooser = Chooser(self.snapshot, profiles, self._preemptor, self._viewed, seed)
        self._preemptor.nominations.grants = self._devices.grants
        people = (self._reporter, self._preemptor)
        self._mover = Mover(client, profiles, self.snapshot, self._chooser, people, self._try_again)
        self._gangs = Gangs(client, profiles, self.snapshot, self.queue, (*people, self._mover), self._woken.set)
        self._attention = Attention()
        known = (self.snapshot, self._chooser, self._devices)
        self._tables = Tables(*known, self._sharing.limits, self._is_attentive)
        self._relatives = {kind: OptionalInformer(client, kind) for kind in KINDS}
        self._kin = Kin({kind: informer.shelf for kind, informer in self._relatives.items()})
        self.pods.subscribe(self._pod_changed)
        self.nodes.subscribe(self._node_changed)
        self.namespaces.subscribe(self._namespace_changed)
        for informer in (self._gangs.informer, *self._volumes.informers, *self._devices.informers):
            informer.subscribe(lambda change: self._wake(*change))
        self._sharing.queues.subscribe(lambda _: self._wake_all())
        for relatives in self._relatives.values():
            relatives.subscribe(self._kin.changed)

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            informers: tuple[Informer[Any], ...] = (self.nodes, self.namespaces, self.pods, self._preemptor.budgets)
            informers = (*informers, *self._volumes.informers, *self._devices.informers, self._gangs.informer)
            informers = (*informers, *self._sharing.informers, *self._relatives.values())
            for informer in informers:
                group.create_task(informer.run(), name=f"informer {informer.kind.kind.plural}")
            group.create_task(self._binder.run(), name="binder")
            group.create_task(self._volumes.run(), name="volumes")
            group.create_task(self._devices.run(), name="devices")
            group.create_task(self._sharing.fairness.run(self._may_act), name="fairness")
            group.create_task(self._reporter.run(), name="reporter")
            group.create_task(self._preemptor.run(), name="preemptor")
            group.create_task(self._gangs.run(), name="gangs")
            group.create_task(self._mover.run(), name="mover")
            # A plan on half of the pods would give away the room of the other half.
            for informer in informers:
                await informer.synced()
            group.create_task(self._schedule(), name="schedule")

    async def _schedule(self) -> None:
        planned = 0
        for begun in list(self._gangs.begun()) if self._may_act() else ():
            await self._place_or_retry(begun)
        while True:
            pod = (self._gangs.first() or self.queue.pop(self._now())) if self._may_act() else None
            if pod is not None:
                await self._place_or_retry(pod)
                planned += 1
                if planned % PODS_PER_TURN == 0:
                    await asyncio.sleep(0)
                    self._log_plans()
            elif self._unlogged:
                self._binder.begin()
                for _ in range(TURNS_TO_LEAVE):
                    await asyncio.sleep(0)
                self._log_plans()
            else:
                self._prepare()
                await self._pause()

    def _prepare(self) -> None:
        if self._binder.is_at_rest:
            try:
                self._chooser.prepare(explains=self._attention.is_near(self._now()))
            except Exception:
                log.exception("next plan broken")  # if it concerns a pod, that pod is told

    def _log_plans(self) -> None:
        for pod, choice in self._unlogged:
            log.info("plan", pod=pod, node=choice.node, score=round(choice.score, 1), runner_up=choice.runner_up)
        self._unlogged.clear()

    async def _place_or_retry(self, pod: PodView) -> None:
        self._begun = time.perf_counter()  # the loop's own clock stands still while a plan is made
        try:
            places = self._gangs.turn(pod, self._tables, self._now())
            if places is None:
                await self._place(pod)
            await self._send_together(places or ())
        except Exception as error:
            # A plugin, perhaps a user's, that breaks over one pod must not keep all others from their nodes.
            log.exception("plan broken", pod=pod.key)
            self._attempted(ERROR, pod)
            self.queue.retry_later(pod, self._now())
            self._reporter.found_no_node(pod.pod, f"running {culprit(error)}: {error!r}")

    async def _place(self, pod: PodView) -> None:
        outcome = self._chooser.choose(pod, explains=self._is_attentive())
        pod, choice = outcome.pod or pod, outcome.choice
        if choice is None:
            self._refuse(pod, outcome)
            return
        with self._chooser.making_way(pod):
            why = self._devices.grants.take(pod, choice.node)
        if why:
            self._attempted(ERROR, pod)
            self.queue.retry_later(pod, self._now())
            self._reporter.found_no_node(pod.pod, f"node {choice.node}: {why}")
            return
        reason = self._reason(pod, choice.node) or outcome.decision or outcome.record
        self._preemptor.withdraw(pod, goes_to=choice.node)
        self.snapshot.place(pod, choice.node)
        self._sent(pod, choice, reason)
        await self._have_bound([(pod, choice.node)])

    async def _send_together(self, places: Sequence[Place]) -> None:
        """Have a gang bound whose pods count on their nodes already; its claims are all written before any pod is."""
        pods = [(self._viewed(place.pod), place.node) for place in places]
        for place, (pod, node) in zip(places, pods, strict=True):
            known = self._reason(pod, node) or place.record
            self._preemptor.withdraw(pod)
            self._sent(pod, place.choice, known or brief(pod.key, place.choice, len(self.snapshot.columns)))
        await self._have_bound(pods)

    def _reason(self, pod: PodView, node: str) -> Record | None:
        """Why there is room for the pod on the node, if it was made for it."""
        return self._preemptor.reason(pod, node) or self._mover.reason(pod, node)

    def _is_attentive(self) -> bool:
        return self._attention.is_free(self._now())

    def _viewed(self, pod: PodView) -> PodView:
        return self._kin.view(self._sharing.limits.view(self._devices.grants.view(self._volumes.lookup.view(pod))))

    def _sent(self, pod: PodView, choice: Choice, why: Record | Decision | None) -> None:
        """Take note of a pod that is to be bound, and counts on its node already."""
        self._attempted(SCHEDULED, pod)
        self.counts.sent(pod.uid, *self.queue.tries_of(pod.uid))
        self._sharing.hold(pod)
        if why is not None:
            self._reporter.chosen(pod, why)
        self._unlogged.append((pod.key, choice))

    async def _have_bound(self, places: Sequence[tuple[PodView, str]]) -> None:
        if any(self._devices.has_claims(pod) for pod, _ in places):
            self._devices.bind(places, self._bind)
            return
        for place in places:
            await self._bind(*place)

    def _attempted(self, result: str, pod: PodView) -> None:
        self.counts.attempted(result, pod.spec.scheduler_name, time.perf_counter() - self._begun)

    async def _bind(self, pod: PodView, name: str) -> None:
        node = self.nodes.get(name)
        if node is not None and pod.volumes.unbound:
            await self._volumes.bind(pod, node)
        else:
            await self._binder.bind(pod, name)

    def _refuse(self, pod: PodView, outcome: Outcome) -> None:
        decision, preemption = outcome.decision, outcome.preemption
        if decision is None:
            return
        self._attempted(UNSCHEDULABLE, pod)
        message, nominated = outcome.message, None
        log.info("plan", pod=pod.key, message=message)
        if pod.devices.is_early:
            # In a moment its claims are there. Kubernetes does not even try it before (PreEnqueue).
            self.queue.refused(pod, decision.rejected_by, self._now())
            return
        record = record_of(decision).about(pod.key, message) if self._is_attentive() else None
        self.queue.refused(pod, decision.rejected_by, self._now())
        if pod.devices.reachable:
            self._devices.give_up_elsewhere([pod])
        if self._mover.is_under_way(pod) or self._mover.begin([pod], 1, self._tables.without_devices):
            self._reporter.found_no_node(pod.pod, message, record=record)
            return
        if preemption is not None and (preemption.victims or not preemption.node):
            nominated = preemption.node
        self._reporter.found_no_node(pod.pod, message, nominated, record)
        if preemption is not None and preemption.victims:
            self._preemptor.begin(pod, preemption, decision)
        elif nominated == "":
            self._preemptor.withdraw(pod)

    def _bound(self, bound: Bound) -> None:
        pod, node, error = bound
        self.counts.bound(pod.uid, self._now(), is_well=error is None)
        if error is None:
            self.queue.remove(pod.uid)
            self._devices.grants.settled(pod)
            self._reporter.assigned(pod.pod, node)
            self._woken.set()
            return
        self._reporter.forget(pod.uid)
        log.warning("binding failed", pod=pod.key, node=node, error=error.message)
        latest = self.pods.get(pod.key)
        is_there = latest is not None and latest.metadata.uid == pod.uid
        if is_there and latest and latest.spec.node_name:
            self._devices.grants.settled(pod)
            return  # another scheduler was faster, and the copy shows where the pod is
        self.snapshot.remove(pod.uid)
        self._sharing.forget(pod.uid)
        self._devices.take_back(pod)
        if latest is None or not is_there or isinstance(error, NotFound):
            self.queue.remove(pod.uid)
        else:
            self.queue.retry_later(PodView(latest), self._now())
            self._reporter.found_no_node(latest, f"binding rejected: {error.message}")
        self._wake(pod.pod, None)

    def _pod_changed(self, change: Change[Pod]) -> None:
        before, after = change
        seen = after or before
        if seen is None:
            return
        uid = PodView(seen).uid
        self._preemptor.pod_changed(change)
        self._gangs.pod_changed(change)
        self._mover.pod_changed(change)
        if after is None or after.is_finished:
            self.queue.remove(uid)
            self.snapshot.remove(uid)
            self._devices.pod_changed(seen, is_there=False)
            if after is not None and after.spec.node_name:
                self._sharing.finished(after)
            else:
                self._sharing.gone(uid)
        elif after.spec.node_name:
            self.queue.remove(uid)
            self.snapshot.place(PodView(after), after.spec.node_name)
            self._devices.pod_changed(after, is_there=True)
            self._sharing.hold(PodView(after))
        elif after.metadata.deleted_at is not None:
            self.queue.remove(uid)
        elif after.spec.scheduler_name in self._chooser and self._is_unplaced(uid):
            self._preemptor.follow(before, PodView(after))
            self.queue.add(PodView(after), self._now())
        if seen.spec.node_name or (before is not None and before.spec.node_name):
            self._wake(before, after)
        self._woken.set()

    def _is_unplaced(self, uid: str) -> bool:
        return self.snapshot.node_of(uid) is None or uid in self._preemptor.nominations

    def _node_changed(self, change: Change[Node]) -> None:
        before, after = change
        if after is not None:
            if before is None or _matters(before, after):
                self.snapshot.set_node(after)
        elif before is not None:
            self.snapshot.remove_node(before.metadata.name)
        self._wake(before, after)

    def _namespace_changed(self, change: Change[Namespace]) -> None:
        before, after = change
        seen = after or before
        if seen is not None:
            self.snapshot.set_namespace(seen.metadata.name, after.metadata.labels if after else None)
            self._wake(before, after)

    def _others_matter(self) -> bool:
        """Whether room may come to be where nothing changes: promised room, queues that take back, others who move."""
        return bool(self._preemptor.nominations or self._sharing.queues.shelf.all() or self._mover.is_wanted)

    def _wake(self, before: Resource | None, after: Resource | None) -> None:
        self.queue.wake(before, after, self._now())
        self._woken.set()

    def _try_again(self, uid: str) -> None:
        self.queue.nudge(uid, self._now())
        self._woken.set()

    def _wake_all(self) -> None:
        self.queue.wake_all(self._now())
        self._woken.set()

    async def _pause(self) -> None:
        """Wait for a change, or for the end of a back-off."""
        self._woken.clear()
        until = self.queue.next_at() if self._may_act() else self._now() + 1.0
        try:
            async with asyncio.timeout_at(until):
                await self._woken.wait()
        except TimeoutError:
            return

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _matters(before: Node, after: Node) -> bool:
    """Heartbeats change nodes all the time; rows follow only what is in them."""
    old, new = before.status, after.status
    is_same = (old.allocatable, old.images) == (new.allocatable, new.images)
    return not is_same or (before.spec, before.metadata.labels) != (after.spec, after.metadata.labels)


def _triggers(profiles: Mapping[str, Sequence[Plugin]]) -> dict[str, Sequence[Trigger]]:
    return {plugin.name: plugin.retry_when for plugin in chain.from_iterable(profiles.values())}
