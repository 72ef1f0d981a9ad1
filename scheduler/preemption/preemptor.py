"""Preemptor: what the scheduler knows and does about pods that others make way for; the shell around the plan.

The room is kept from the moment the victims are chosen, and written into the pod's status; so whoever schedules after a
crash goes on from there. While victims are on their way out no more are chosen for the same pod.

Kubernetes: DefaultPreemption and its executor.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import structlog

from scheduler.cycle.decision import Decision
from scheduler.cycle.panel import Panel
from scheduler.explaining.text import Record, record_of_room
from scheduler.plugins.default_preemption import DefaultPreemption
from scheduler.pods import PodView
from scheduler.preemption.budgets import Budgets
from scheduler.preemption.evictor import REASON, Evictor
from scheduler.preemption.nominations import Nominations
from scheduler.preemption.plan import NEVER, UNDER_WAY, Ground, Limits, Memory, Preemption, preempt
from scheduler.reporter import Reporter
from scheduler.snapshot import Snapshot
from wherry.api.core.pod import Pod
from wherry.api.meta import find_condition
from wherry.api.policy.disruption_budget import PodDisruptionBudget
from wherry.client.http import Client
from wherry.client.informer import Change, Informer

log = structlog.get_logger()


class Preemptor:
    """See the module.

    `freed` hears of pods whose room is not kept any more; `lent` says who holds what is the own of a pod's queue.
    """

    def __init__(
        self,
        client: Client,
        snapshot: Snapshot,
        reporter: Reporter,
        freed: Callable[[PodView], None],
        lent: Callable[[PodView], Collection[str]] = lambda _: (),
    ) -> None:
        self._snapshot, self._reporter, self.freed, self._lent = snapshot, reporter, freed, lent
        self.nominations = Nominations(snapshot)
        self.budgets = Informer(client, PodDisruptionBudget)
        self.budgets.subscribe(lambda _: self._forget_budgets())
        self._budgets: Budgets | None = None
        self._evictor = Evictor(client, reporter.preempted, self._failed, reporter.may_act)
        self._memory: Memory = {}
        # Who goes with a victim, because its group may be disrupted only as one.
        self.goes_with: Callable[[PodView], Sequence[PodView]] = lambda _: ()
        # Victims of which the copies do not show yet that they are going.
        self._sent_away: set[str] = set()
        # Why pods that others make way for get the room that they were promised, to be told once they have it.
        self._reasons: dict[str, tuple[str, Record]] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        await self._evictor.run()

    def plan(self, pod: PodView, decision: Decision, panel: Panel) -> Preemption | None:
        """Who makes way for a pod that found no node; None if this profile lets nobody."""
        plugin = next((each for each in panel.plugins if isinstance(each, DefaultPreemption)), None)
        if plugin is None:
            return None
        nominated = self.nominations.node_of(pod.uid)
        if pod.spec.preemption_policy == "Never":
            return Preemption(nominated, message=NEVER)
        lent = self._lent(pod)
        if self.is_under_way(pod, nominated, lent):
            return Preemption(nominated, message=UNDER_WAY)
        limits = Limits(plugin.args.min_candidate_nodes_percentage, plugin.args.min_candidate_nodes_absolute)
        return preempt(pod, decision, Ground(self._snapshot, panel, self.known_budgets, limits, self._memory, lent))

    @property
    def known_budgets(self) -> Budgets:
        """The disruption budgets as they are now."""
        if self._budgets is None:
            self._budgets = Budgets(self.budgets.shelf.all())
        return self._budgets

    def begin(self, pod: PodView, preemption: Preemption, decision: Decision) -> None:
        """Keep the room and send the victims away; whoever less important had been promised room there has none."""
        if preemption.victims:
            log.info("preempt", pod=pod.key, node=preemption.node, victims=[each.key for each in preemption.victims])
            record = record_of_room(decision, preemption.node, [each.key for each in preemption.victims])
            self._reasons[pod.uid] = preemption.node, record
        for nomination in self.nominations.beneath(pod.spec.priority):
            if nomination.node == preemption.node:
                self.nominations.withdraw(nomination.pod.uid)
                self._reporter.nominated(nomination.pod.pod, "")
        self.nominations.nominate(pod, preemption.node)
        victims = {each.uid: each for victim in preemption.victims for each in (victim, *self.goes_with(victim))}
        going = [victim for victim in victims.values() if victim.metadata.deleted_at is None]
        self._sent_away.update(victim.uid for victim in going)
        self._evictor.evict(going, pod, preemption.node)

    async def promise(self, pod: PodView, node: str) -> bool:
        """Have it written that a pod will get room on a node; whether it is."""
        return await self._evictor.promise(pod, node)

    def reason(self, pod: PodView, node: str) -> Record | None:
        """Why the pod gets this node, if others made way for it there."""
        promised, record = self._reasons.get(pod.uid, ("", None))
        return record if promised == node else None

    def pod_changed(self, change: Change[Pod]) -> None:
        """Take note of pods that are going, or have a node."""
        before, after = change
        seen = after or before
        if seen is None:
            return
        if after is None or after.is_finished or after.metadata.deleted_at is not None:
            self._sent_away.discard(PodView(seen).uid)
            self.withdraw(PodView(seen))
        elif after.spec.node_name:
            self.nominations.withdraw(PodView(after).uid)

    def follow(self, before: Pod | None, pod: PodView) -> None:
        """Do as is written about the nomination of a pod that waits, by whomever."""
        now = pod.pod.status.nominated_node_name
        if now == (before.status.nominated_node_name if before else ""):
            return
        if now:
            self.nominations.nominate(pod, now)
        else:
            self.withdraw(pod)

    def withdraw(self, pod: PodView, *, goes_to: str = "") -> None:
        """The pod needs its room no more, or it gets another."""
        self._reasons.pop(pod.uid, None)
        nomination = self.nominations.withdraw(pod.uid)
        if nomination is not None and nomination.node != goes_to:
            self.freed(pod)

    def _forget_budgets(self) -> None:
        self._budgets = None

    def is_under_way(self, pod: PodView, node: str, lent: Collection[str] = ()) -> bool:
        """Whether somebody on the node is on the way out because others preempted him."""
        there = self._snapshot.pods_on(node).values()
        yielding = (each for each in there if each.spec.priority < pod.spec.priority or each.uid in lent)
        return any(each.uid in self._sent_away or _is_preempted(each.pod) for each in yielding)

    def _failed(self, pod: PodView, victims: Sequence[PodView]) -> None:
        self._sent_away.difference_update(victim.uid for victim in victims)
        if pod.uid in self.nominations:
            self._reporter.nominated(pod.pod, "")
            self.withdraw(pod)


def _is_preempted(pod: Pod) -> bool:
    target = find_condition(pod.status.conditions, "DisruptionTarget")
    is_so = target is not None and target.status == "True" and target.reason == REASON
    return is_so and pod.metadata.deleted_at is not None
