"""Make and delete pods until each node has the one it should have. Kubernetes: podsShouldBeOnNode.

A pod that failed is deleted and replaced, at once the first time, then ever more slowly: a kubelet that refuses a pod
would otherwise be asked without end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from controllers.daemonset.pods import failures_before
from controllers.daemonset.roster import Roster
from wherry.api.core.pod import Pod

# Kubernetes: the back-off of failed daemon pods, which ends after twice its longest.
FIRST_SECONDS, LONGEST_SECONDS = 1.0, 900.0


@dataclass
class Change:
    """What is to happen: pods to make by node, with the number of failures before them, and pods to delete."""

    made: dict[str, int] = field(default_factory=dict)
    deleted: list[Pod] = field(default_factory=list)
    # Pods that ended by themselves are deleted too; people are told of them.
    ended: list[Pod] = field(default_factory=list)
    check_after: float | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing is to be made or deleted."""
        return not (self.made or self.deleted or self.ended)


def kept(roster: Roster) -> Change:
    """What it takes for every node to have its pod, whatever its version."""
    change = Change(deleted=[pod for pod in roster.strays if pod.metadata.deleted_at is None])
    for node, fit in roster.fits.items():
        pods = roster.pods.get(node, [])
        if fit.runs and not pods:
            change.made[node] = 0
        elif fit.stays:
            _keep(roster, node, pods, change)
        else:
            change.deleted += [pod for pod in pods if pod.metadata.deleted_at is None]
    return change


def _keep(roster: Roster, node: str, pods: list[Pod], change: Change) -> None:
    running = [pod for pod in pods if pod.is_active]
    for pod in pods:
        if not pod.is_finished or pod.metadata.deleted_at is not None:
            continue
        wait = seconds_to_wait(roster, pod) if pod.status.phase == "Failed" else 0.0
        if wait > 0:
            change.check_after = min(wait, change.check_after or wait)
            continue
        change.ended.append(pod)
        if pods == [pod] and roster.fits[node].runs and pod.status.phase == "Failed":
            change.made[node] = 0 if _is_forgiven(roster, pod) else failures_before(pod) + 1
    change.deleted += _surplus(roster, running)


def seconds_to_wait(roster: Roster, pod: Pod) -> float:
    """How much longer a failed pod stays: the more failed before it, the longer, counted from its beginning."""
    failures = failures_before(pod)
    if not failures:
        return 0.0
    pause = min(FIRST_SECONDS * float(2 ** min(failures - 1, 20)), LONGEST_SECONDS)
    return pause - _lived_seconds(roster, pod)


def _is_forgiven(roster: Roster, pod: Pod) -> bool:
    return _lived_seconds(roster, pod) > 2 * LONGEST_SECONDS


def _lived_seconds(roster: Roster, pod: Pod) -> float:
    return (roster.now - (pod.metadata.created_at or roster.now)).total_seconds()


def _surplus(roster: Roster, running: list[Pod]) -> list[Pod]:
    """Of several pods on one node the oldest stays; while surging, the oldest of each version."""
    if not roster.is_surging:
        return running[1:]
    new = [pod for pod in running if roster.is_new(pod)]
    old = [pod for pod in running if not roster.is_new(pod)]
    surplus = new[1:] + old[1:]
    if new and old and (not old[0].status.ready or roster.is_up(new[0])):
        surplus.append(old[0])
    return surplus
