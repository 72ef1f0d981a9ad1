"""Gangs: the shell around the plan for pods that are scheduled together.

It is one pod's turn, and with it that of all others of its group: they are taken out of the queue, planned as one, and
either all of them count on their nodes before anybody else is looked at, or none does. So of two gangs that come at the
same time never each holds half. Which of their bindings were written when a scheduler dies, the pods show: the rest of
such a gang comes first after a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta

import structlog

from scheduler.consolidation.mover import Mover
from scheduler.explaining.text import Record
from scheduler.framework import Plugin
from scheduler.gangs.groups import TOO_FEW, Groups, group_of
from scheduler.gangs.holding import Holding, Wanted
from scheduler.gangs.making_way import Move, make_way
from scheduler.gangs.plan import Assembly, Place, assemble, by_size
from scheduler.gangs.status import Report, StatusWriter
from scheduler.gangs.tables import Tables
from scheduler.plugins.gang_scheduling import GangScheduling
from scheduler.pods import PodView
from scheduler.preemption.nominations import Nomination
from scheduler.preemption.plan import Preemption
from scheduler.preemption.preemptor import Preemptor
from scheduler.queue import Queue
from scheduler.reporter import Reporter
from scheduler.snapshot import Snapshot
from wherry.api.core.pod import Pod
from wherry.api.resource.pod_claims import claim_names
from wherry.api.scheduling.pod_group import PodGroup
from wherry.client import clock
from wherry.client.http import Client
from wherry.client.informer import Change, OptionalInformer

log = structlog.get_logger()

WAITS_FOR_OTHERS = frozenset((GangScheduling.name,))


class Gangs:
    """See the module."""

    def __init__(
        self,
        client: Client,
        profiles: Mapping[str, Sequence[Plugin]],
        snapshot: Snapshot,
        queue: Queue,
        people: tuple[Reporter, Preemptor, Mover],
        woken: Callable[[], None],
    ) -> None:
        self._snapshot, self._queue = snapshot, queue
        self._reporter, self._preemptor, self._mover = people
        found = {name: [plugin for plugin in plugins if plugin.gathers] for name, plugins in profiles.items()}
        self._patience = {
            name: timedelta(seconds=plugins[0].args.reserve_after_seconds) for name, plugins in found.items() if plugins
        }
        self._woken = woken
        self._holding = Holding(snapshot, self._preemptor, self._reporter, self._try_again)
        self._preemptor.goes_with = self._goes_with
        self._groups = Groups()
        self._status = StatusWriter(client, self._groups.get, self._reporter.may_act)
        self.informer = OptionalInformer(client, PodGroup)
        self.informer.subscribe(self._group_changed)

    async def run(self) -> None:
        """Work until cancelled."""
        await self._status.run()

    def turn(self, pod: PodView, board: Tables, now: float) -> Sequence[Place] | None:
        """It is this pod's turn: the places that its gang has got, to be bound; None: it is looked at by itself."""
        key = group_of(pod.pod)
        if not key or pod.spec.scheduler_name not in self._patience:
            return None
        if message := self._groups.lacking(key):
            self._holding.drop(key)
            self._wait(pod, message, WAITS_FOR_OTHERS, now)
            return ()
        needed = self._needed(key)
        if needed <= 0:
            return None
        others = (self._queue.take(uid) for uid in self._waiting(key) if uid != pod.uid)
        pods = [pod, *(other for other in others if other is not None)]
        try:
            return self._planned(key, list(self._without_early(pods, now)), needed, board, now)
        except Exception:
            for other in pods[1:]:
                self._queue.retry_later(other, now)
            raise

    def begun(self) -> Iterator[PodView]:
        """A pod of each gang of which some have nodes, but too few: it was being bound when somebody died."""
        for key in self._groups.keys:
            is_begun = self._placed(key) and not self._groups.lacking(key) and self._needed(key) > 0
            if is_begun and (pod := self._taken(key)) is not None:
                yield pod

    def first(self) -> PodView | None:
        """A pod of the gang for which room is kept, if it should be looked at before anybody else."""
        key = self._holding.comes_first()
        return self._taken(key) if key else None

    def _taken(self, key: str) -> PodView | None:
        """The first pod of a gang that can be tried."""
        return next((pod for uid in self._waiting(key) if (pod := self._queue.take(uid)) is not None), None)

    def pod_changed(self, change: Change[Pod]) -> None:
        """Take note of pods that belong to groups, and of those that leave."""
        before, after = change
        self._groups.pod_changed(before, after)
        if before is not None and before.spec.node_name and (after is None or after.is_finished):
            self._holding.somebody_left()
        if after is not None and after.spec.node_name and not (before and before.spec.node_name):
            key = group_of(after)
            if key and self._is_complete(key):
                self._status.tell(key, Report(is_scheduled=True))

    def _without_early(self, pods: Sequence[PodView], now: float) -> Iterator[PodView]:
        """The others have claims that are still to be made, and wait for those in silence, as single pods do."""
        for pod in pods:
            if None in claim_names(pod.pod).values():
                self._queue.refused(pod, WAITS_FOR_OTHERS, now)
            else:
                yield pod

    def _planned(self, key: str, pods: list[PodView], needed: int, board: Tables, now: float) -> Sequence[Place]:
        if len(pods) < needed:
            self._holding.drop(key)
            for pod in pods:
                self._wait(pod, TOO_FEW, WAITS_FOR_OTHERS, now)
            return ()
        withdrawn = [self._preemptor.nominations.withdraw(pod.uid) for pod in pods]
        lifted = [nomination for nomination in withdrawn if nomination is not None]
        found = assemble(pods, needed, board)
        if not found.places or not board.settle(found.places):
            self._wait_for_room(key, pods, needed, board, lifted)
            self._refuse(key, pods, needed, found, now)
            board.give_up_elsewhere(pods)
            return ()
        self._holding.drop(key)
        for pod, node, _ in lifted:
            if self._snapshot.node_of(pod.uid) != node:
                self._preemptor.freed(pod)
        for pod in found.missing:
            # Enough of them go without it: it is no different from any pod that fits nowhere.
            self._queue.retry_later(pod, now)
        log.info("plan", pod_group=key, places=len(found.places), missing=len(found.missing))
        return found.places

    def _refuse(self, key: str, pods: Sequence[PodView], needed: int, found: Assembly, now: float) -> None:
        group = self._groups.get(key)
        at_least = group.spec.min_count if group else needed
        have = at_least - needed + found.fitting
        message = (
            f"pod group is unschedulable, minCount ({at_least}) cannot be satisfied: {have} scheduled, 0 remaining"
        )
        rejected_by = WAITS_FOR_OTHERS
        if found.decision is not None:
            message += f". {found.decision.message}"
            rejected_by |= found.decision.rejected_by
        log.info("plan", pod_group=key, message=message)
        for pod in pods:
            self._wait(pod, message, rejected_by, now, found.record and found.record.about(pod.key, message))
        self._status.tell(key, Report(is_scheduled=False, message=message))

    def _wait_for_room(
        self, key: str, pods: Sequence[PodView], needed: int, board: Tables, lifted: Sequence[Nomination]
    ) -> None:
        is_cleared = any(
            self._preemptor.is_under_way(each.pod, each.node) or self._mover.is_under_way(each.pod) for each in lifted
        )
        if is_cleared:
            for nomination in lifted:
                self._preemptor.nominations.nominate(*nomination)
        elif self._mover.begin(pods, needed, board.without_devices):
            self._holding.forget(key)
        elif moves := make_way(pods, needed, board.without_devices()):
            self._holding.forget(key)
            for move in moves:
                self._have_way_made(move)
        else:
            self._keep_room(key, pods, needed, board)

    def _have_way_made(self, move: Move) -> None:
        if move.victims and move.decision is not None:
            self._preemptor.begin(move.pod, Preemption(move.node, move.victims), move.decision)
        else:
            self._preemptor.nominations.nominate(move.pod, move.node)
            self._reporter.nominated(move.pod.pod, move.node)

    def _goes_with(self, victim: PodView) -> list[PodView]:
        key = group_of(victim.pod)
        group = self._groups.get(key) if key else None
        if group is None or not group.spec.goes_as_one:
            return []
        return [pod for uid, pod in self._groups.members(key).pods.items() if self._has_place(uid)]

    def _keep_room(self, key: str, pods: Sequence[PodView], needed: int, board: Tables) -> None:
        made = sorted(pod.metadata.created_at or clock.now() for pod in pods)
        largest = by_size(pods)[:needed]
        gang = Wanted(key, largest, needed, made[needed - 1], self._patience[pods[0].spec.scheduler_name])
        self._holding.consider(gang, board.without_devices(), board.fits_but_for_others)

    def _try_again(self, key: str) -> None:
        for uid in self._waiting(key):
            self._queue.nudge(uid, asyncio.get_running_loop().time())
        self._woken()

    def _wait(
        self, pod: PodView, message: str, rejected_by: frozenset[str], now: float, record: Record | None = None
    ) -> None:
        self._queue.refused(pod, rejected_by, now)
        self._reporter.found_no_node(pod.pod, message, record=record)

    def _needed(self, key: str) -> int:
        """How many more pods of the group must get a node at the same time."""
        group = self._groups.get(key)
        if group is None:
            return 0
        return group.spec.min_count - len(self._placed(key)) - len(self._groups.members(key).done)

    def _placed(self, key: str) -> list[str]:
        return [uid for uid in self._groups.members(key).pods if self._has_place(uid)]

    def _waiting(self, key: str) -> list[str]:
        return [uid for uid in self._groups.members(key).pods if not self._has_place(uid)]

    def _has_place(self, uid: str) -> bool:
        return self._snapshot.node_of(uid) is not None and uid not in self._preemptor.nominations

    def _is_complete(self, key: str) -> bool:
        """Whether enough pods are bound."""
        group, members = self._groups.get(key), self._groups.members(key)
        bound = sum(1 for pod in members.pods.values() if pod.spec.node_name) + len(members.done)
        return group is not None and bound >= max(group.spec.min_count, 1)

    def _group_changed(self, change: Change[PodGroup]) -> None:
        before, after = change
        if after is not None:
            self._groups.put(after)
        elif before is not None:
            self._groups.remove(before.key)
