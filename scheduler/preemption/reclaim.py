"""Reclaim: a pod gets what is its queue's own back from pods that are there on borrowed quota. Pure.

Pods of lower priority may go as well, as in any preemption; on a node no more go than must, and of all nodes the one is
taken where that costs least. Kubernetes: none; Kueue's `reclaimWithinCohort: Any`.

Differs: if no single node has enough of those who borrow, nobody goes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from scheduler.pods import PodView
from scheduler.preemption.budgets import Budgets
from scheduler.preemption.victims import Candidate, Trial
from scheduler.snapshot import Snapshot


def reclaimed(
    pod: PodView, nodes: Iterable[str], lent: Collection[str], snapshot: Snapshot, trial: Trial, budgets: Budgets
) -> Candidate | None:
    """The node, and who gives it back there; `lent` are the pods that may have to, by uid. None if nothing helps."""
    candidates = []
    for node in nodes:
        there = snapshot.pods_on(node).values()
        yielding = [each for each in there if each.uid in lent or each.spec.priority < pod.spec.priority]
        if any(each.uid in lent for each in yielding):
            found = trial.victims(node, yielding, budgets)
            if isinstance(found, Candidate):
                candidates.append(found)
    return next((each for each in sorted(candidates, key=lambda each: each.price) if trial.fits_without(each)), None)
