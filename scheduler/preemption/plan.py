"""The plan of a preemption: on which node others make way for a pod that fits nowhere, and who they are.

    found = preempt(pod, decision, Ground(snapshot, panel, Budgets(...)))
    found.node, found.victims, found.message

Where nodes only lack amounts, the columns say which could have enough, and sums choose the victims; elsewhere every
plugin is asked again without the pods in question. What was chosen by sums is tried before it is believed.

Kubernetes: DefaultPreemption's PostFilter. Differs: nodes are looked at from the first one on, not from a random one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import NamedTuple

import numpy as np

from scheduler.columns import IntArray, Mask
from scheduler.cycle.decision import Decision
from scheduler.cycle.panel import Panel
from scheduler.pods import PodView
from scheduler.preemption.budgets import Budgets
from scheduler.preemption.reclaim import reclaimed
from scheduler.preemption.victims import Candidate, Spare, Trial, choose
from scheduler.snapshot import Snapshot

NOT_HELPFUL = "Preemption is not helpful for scheduling"
NO_VICTIMS = "No preemption victims found for incoming pod"
NEVER = "not eligible due to preemptionPolicy=Never."
# Nodes come and go; what is remembered of those that went must not grow for ever.
MOST_REMEMBERED = 20_000
UNDER_WAY = "not eligible due to a terminating pod on the nominated node."


class Limits(NamedTuple):
    """How many candidates are enough: this part of all nodes, but no fewer than so many."""

    percentage: int = 10
    absolute: int = 100

    def of(self, nodes: int) -> int:
        """The number for a cluster of this size."""
        return max(nodes * self.percentage // 100, self.absolute)


# What was found on a node, and what it followed from: the node's pods, who asked, and what was lacking.
Cause = tuple[int, int, tuple[tuple[str, int, int], ...]]
Memory = dict[str, tuple[Cause, Candidate]]


class Ground(NamedTuple):
    """What a preemption is planned on; with a `memory` candidates are found again that are as they were.

    `lent` are pods, by uid, that hold what is the own of the pod's queue, and make way whatever their priority.
    """

    snapshot: Snapshot
    panel: Panel
    budgets: Budgets = Budgets()
    limits: Limits = Limits()
    memory: Memory | None = None
    lent: Collection[str] = ()


class Preemption(NamedTuple):
    """The node and the victims, or, with no node, the `message` why nobody makes way."""

    node: str = ""
    victims: tuple[PodView, ...] = ()
    message: str = ""


def preempt(pod: PodView, decision: Decision, ground: Ground) -> Preemption:
    """Who makes way for the pod that this decision leaves without a node."""
    if not decision.nodes:
        return Preemption()
    found = _by_priority(pod, decision, ground)
    if not found.node and ground.lent:
        trial = Trial(pod, ground.snapshot, ground.panel)
        given = reclaimed(pod, decision.nodes, ground.lent, ground.snapshot, trial, ground.budgets)
        return Preemption(given.node, given.victims) if given else found
    return found


def _by_priority(pod: PodView, decision: Decision, ground: Ground) -> Preemption:
    priority = pod.spec.priority
    if priority in decision.hopeless:
        return Preemption(message=decision.hopeless[priority])
    found = _Search(pod, decision, ground).result()
    if not found.node:
        decision.hopeless[priority] = found.message
    return found


class _Search:
    """One search; counts for each node why it is no candidate."""

    def __init__(self, pod: PodView, decision: Decision, ground: Ground) -> None:
        self._pod, self._decision, self._ground = pod, decision, ground
        self._nodes = ground.snapshot.columns
        self._lacking = [(each, each.free) for each in decision.refusals if each.free is not None]
        others = [each.nodes for each in decision.refusals if each.free is None]
        self._lacks_more: Mask = np.logical_or.reduce([np.zeros_like(decision.feasible), *others])
        self._trial = Trial(pod, ground.snapshot, ground.panel)
        self._reasons: Counter[str] = Counter()
        # Who looks around may be held up by a pod elsewhere, or need one that would have to go.
        self._looks_around = bool(ground.panel.looking_around(pod, self._nodes))

    def result(self) -> Preemption:
        """The best candidate that holds what it promises."""
        candidates = sorted(self._candidates(), key=lambda candidate: candidate.price)
        for candidate in candidates:
            if self._trial.fits_without(candidate):
                return Preemption(candidate.node, candidate.victims)
            self._reasons[NO_VICTIMS] += 1
        reasons = ", ".join(sorted(f"{count} {reason}" for reason, count in self._reasons.items()))
        return Preemption(message=f"0/{len(self._decision.nodes)} nodes are available: {reasons}.")

    def _candidates(self) -> Iterator[Candidate]:
        rows = self._promising(_yielding(self._decision)).tolist()
        wanted = self._ground.limits.of(len(self._decision.nodes))
        for row in rows:
            found = self._remembered(self._decision.nodes[row], row)
            if isinstance(found, Candidate):
                yield found
                wanted -= 1
                if wanted <= 0:
                    return
            else:
                self._reasons.update(found)

    def _promising(self, yielding: Mask) -> IntArray:
        """The rows where there is somebody to evict, and, as far as amounts tell, enough of them."""
        nobody = yielding & (self._nodes.evictable("pods", self._pod.spec.priority) == 0)
        left: Mask = yielding & ~nobody
        self._count(~yielding, NOT_HELPFUL)
        self._count(nobody, NO_VICTIMS)
        lacking = np.zeros_like(left)
        for refusal in self._decision.refusals:
            if refusal.free is not None and not self._looks_around:
                more = self._nodes.evictable(refusal.resource, self._pod.spec.priority)
                short = left & refusal.nodes & (refusal.free + more < refusal.wanted)
                self._count(short, refusal.reason)
                lacking |= short
        return np.flatnonzero(left & ~lacking)

    def _count(self, rows: Mask, reason: str) -> None:
        if number := int(np.count_nonzero(rows)):
            self._reasons[reason] += number

    def _on(self, node: str, row: int) -> Candidate | list[str]:
        priority = self._pod.spec.priority
        lower = [pod for pod in self._ground.snapshot.pods_on(node).values() if pod.spec.priority < priority]
        refusals = [refusal for refusal in self._decision.refusals if refusal.nodes[row]]
        if self._looks_around or any(refusal.free is None for refusal in refusals):
            return self._trial.victims(node, lower, self._ground.budgets)
        spare = Spare(refusals, row, lower)
        if not spare.suffices:
            return [refusal.reason for refusal in refusals]
        return choose(node, lower, self._ground.budgets, spare.takes_back)

    def _remembered(self, node: str, row: int) -> Candidate | list[str]:
        memory = self._ground.memory
        if memory is None or self._looks_around or self._lacks_more[row] or not self._ground.budgets.is_empty:
            return self._on(node, row)
        numbers = [(each.resource, int(free[row]), each.wanted) for each, free in self._lacking if each.nodes[row]]
        cause = (self._ground.snapshot.version_of(node), self._pod.spec.priority, tuple(numbers))
        known = memory.get(node)
        if known is not None and known[0] == cause:
            return known[1]
        found = self._on(node, row)
        if isinstance(found, Candidate) and len(memory) < MOST_REMEMBERED:
            memory[node] = (cause, found)
        return found


def _yielding(decision: Decision) -> Mask:
    """The rows where the first plugin that refuses says that evictions might help."""
    found: Mask = np.ones(len(decision.nodes), dtype=np.bool_)
    for refusal in decision.counted:
        lasts = True if refusal.may_yield is None else ~refusal.may_yield
        found &= ~(refusal.nodes & lasts)
    return found
