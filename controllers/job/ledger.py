"""Counting pods exactly once, whatever dies in between. Kubernetes: trackJobStatusAndRemoveFinalizers.

A pod that ended keeps a finalizer until its uid stands in `status.uncountedTerminatedPods`; there it stands until the
finalizer is seen to be gone, and the same write moves it into the count. So at every instant each pod is in exactly
one place: still with its finalizer and not noted, noted, or counted. An index that is done needs no note: it can be
done only once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from controllers.job.failures import is_failed, is_tracked, meaning
from controllers.job.indexed import Board, index_of, is_index
from wherry.api.batch.job import Job, UncountedPods
from wherry.api.core.pod import Pod

# So many uids stand in a status at most. Kubernetes: MaxUncountedPods.
MOST_NOTED = 500


@dataclass(frozen=True)
class Ledger:
    """The counts, the uids noted, and the pods whose finalizers may go once that is written.

    `total_…` also have the pods that are kept back or that did not fit into this status.
    """

    succeeded: int
    failed: int
    noted_succeeded: tuple[str, ...] = ()
    noted_failed: tuple[str, ...] = ()
    total_succeeded: int = 0
    total_failed: int = 0
    settled: tuple[Pod, ...] = ()

    @property
    def is_closed(self) -> bool:
        """Whether nothing is noted that is not counted."""
        return not self.noted_succeeded and not self.noted_failed

    @property
    def uncounted(self) -> UncountedPods:
        """As the status has it."""
        return UncountedPods(succeeded=self.noted_succeeded, failed=self.noted_failed)


def opened(job: Job, pods: Iterable[Pod]) -> Ledger:
    """Count what was noted and has lost its finalizer."""
    tracked = {pod.metadata.uid for pod in pods if is_tracked(pod)}
    noted = job.status.uncounted_terminated_pods
    succeeded = tuple(uid for uid in noted.succeeded if uid in tracked)
    failed = tuple(uid for uid in noted.failed if uid in tracked)
    return Ledger(
        succeeded=job.status.succeeded + len(noted.succeeded) - len(succeeded),
        failed=job.status.failed + len(noted.failed) - len(failed),
        noted_succeeded=succeeded,
        noted_failed=failed,
    )


def counted(job: Job, pods: list[Pod], board: Board, gives_up: str = "") -> Ledger:
    """Note what has ended.

    `gives_up` is the condition under which the Job ends early: whatever still runs ends with it, as a failure if the
    Job fails.
    """
    ledger = opened(job, pods)
    noted = {"succeeded": list(ledger.noted_succeeded), "failed": list(ledger.noted_failed)}
    known = {*ledger.noted_succeeded, *ledger.noted_failed}
    kept = set() if gives_up else board.kept
    held_back = {"succeeded": 0, "failed": 0}
    settled = []
    for pod in pods:
        end = _end_of(job, pod, gives_up) if is_tracked(pod) else ""
        if not end:
            continue
        uid = pod.metadata.uid
        note = "" if uid in known else _note(job, pod, end)
        is_full = len(noted["succeeded"]) + len(noted["failed"]) >= MOST_NOTED
        if note and (uid in kept or is_full):
            held_back[note] += 1
        elif uid not in kept:
            settled.append(pod)
            if note:
                noted[note].append(uid)
    ledger = replace(
        ledger,
        noted_succeeded=tuple(noted["succeeded"]),
        noted_failed=tuple(noted["failed"]),
        settled=tuple(settled),
    )
    return _totalled(job, ledger, board, held_back["succeeded"], held_back["failed"])


def _end_of(job: Job, pod: Pod, gives_up: str) -> str:
    """How the pod ended: succeeded, failed, or dropped, which is no matter of counting."""
    if pod.status.phase == "Succeeded":
        return "succeeded"
    if gives_up == "SuccessCriteriaMet" and not pod.is_finished:
        return "dropped"
    if is_failed(job, pod) or gives_up:
        return "failed"
    return "dropped" if job.metadata.deleted_at is not None and pod.metadata.deleted_at is not None else ""


def _note(job: Job, pod: Pod, end: str) -> str:
    if job.is_indexed and (end == "succeeded" or not is_index(job, index_of(pod))):
        return ""
    return "" if end == "dropped" or (end == "failed" and not meaning(job, pod).counts) else end


def _totalled(job: Job, ledger: Ledger, board: Board, more_succeeded: int, more_failed: int) -> Ledger:
    succeeded = len(board.succeeded) if job.is_indexed else ledger.succeeded
    return replace(
        ledger,
        succeeded=succeeded,
        total_succeeded=succeeded if job.is_indexed else succeeded + len(ledger.noted_succeeded) + more_succeeded,
        total_failed=ledger.failed + len(ledger.noted_failed) + more_failed,
    )
