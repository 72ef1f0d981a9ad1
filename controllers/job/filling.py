"""Which pods a Job that goes on should make or take away now, and when it may try again. Kubernetes: manageJob.

Either some are taken away or some are made, never both in one plan. Back-off is read from the pods that failed since
the last success, so that a controller that starts anew waits as long as the old one would have. Differs: failed pods
that somebody deleted are forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import islice
from typing import NamedTuple

from controllers.job.failures import ended_at, is_failed, is_terminating, is_tracked
from controllers.job.indexed import FAILURES, IGNORED, Board, count_in, index_of, is_index
from controllers.job.ledger import Ledger
from controllers.parts.scale_down import cheapest_to_lose
from wherry.api.batch.job import Job
from wherry.api.core.pod import Pod

FIRST_PAUSE_SECONDS, MOST_PAUSE_SECONDS = 10.0, 600.0
# So many pods at most are made or taken away in one plan. Kubernetes: MaxPodCreateDeletePerSync.
BURST = 500


class Filling(NamedTuple):
    """Pods to take away, how many to make or for which indexes, and after how many seconds to look again."""

    surplus: tuple[Pod, ...] = ()
    missing: int = 0
    indexes: tuple[int, ...] = ()
    wait_seconds: float | None = None


def filling(job: Job, pods: list[Pod], board: Board, ledger: Ledger, now: datetime) -> Filling:
    """What to do about the number of pods."""
    active = [pod for pod in pods if pod.is_active]
    wanted = _wanted(job, ledger, len(active))
    surplus = _surplus(job, active, wanted, now)
    if surplus:
        return Filling(surplus=tuple(surplus[:BURST]))
    going = [pod for pod in pods if is_terminating(pod)] if job.spec.replaces_failed_only else []
    missing = min(wanted - len(active) - len(going), BURST)
    if missing <= 0:
        return Filling()
    if job.spec.backoff_limit_per_index is None:
        wait = _pause(job, pods, now)
        if wait > 0:
            return Filling(wait_seconds=wait)
    if not job.is_indexed:
        return Filling(missing=missing)
    return _next_indexes(job, board, {index_of(pod) for pod in (*active, *going)}, missing, now)


def _wanted(job: Job, ledger: Ledger, active: int) -> int:
    """How many pods should run; without a number of completions no new ones come after the first success."""
    if job.spec.suspend:
        return 0
    if job.spec.completions is None:
        return active if ledger.total_succeeded else job.spec.parallelism
    return max(0, min(job.spec.completions - ledger.total_succeeded, job.spec.parallelism))


def _surplus(job: Job, active: list[Pod], wanted: int, now: datetime) -> list[Pod]:
    """First those whose end could not be counted or that stand for no index of their own, then the cheapest."""
    by_cost = cheapest_to_lose(active, active, now)
    seen: set[int | None] = set()
    odd: set[str] = set()
    for pod in reversed(by_cost):
        index = index_of(pod)
        is_odd = job.is_indexed and (index in seen or not is_index(job, index))
        if is_odd or not is_tracked(pod):
            odd.add(pod.metadata.uid)
        else:
            seen.add(index)
    rest = [pod for pod in by_cost if pod.metadata.uid not in odd]
    return [pod for pod in by_cost if pod.metadata.uid in odd] + rest[: max(0, len(rest) - wanted)]


def _pause(job: Job, pods: Iterable[Pod], now: datetime) -> float:
    """How long until a pod may follow those that failed since the last success."""
    ends = [(_end_of(pod, now), pod) for pod in pods if pod.status.phase == "Succeeded" or is_failed(job, pod)]
    last_success = max((at for at, pod in ends if pod.status.phase == "Succeeded"), default=None)
    failures = [at for at, pod in ends if pod.status.phase != "Succeeded" and not (last_success and at <= last_success)]
    return _left(len(failures), max(failures), now) if failures else 0.0


def _left(failures: int, last_at: datetime, now: datetime) -> float:
    pause: float = min(FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 10), MOST_PAUSE_SECONDS)
    # Our own clock may have gone back.
    return min(pause, pause - (now - last_at).total_seconds())


def _end_of(pod: Pod, now: datetime) -> datetime:
    """When it ended. Of a node whose clock is ahead that would be some time from now, until when nobody should wait."""
    at = ended_at(pod)
    return at if at is not None and at <= now else pod.metadata.created_at or now


def _next_indexes(job: Job, board: Board, busy: set[int | None], missing: int, now: datetime) -> Filling:
    settled = board.succeeded | board.failed
    free = list(islice((i for i in settled.gaps(job.spec.completions or 0) if i not in busy), missing))
    waits = {index: _index_pause(board.waiting[index], now) for index in free if index in board.waiting}
    due = tuple(index for index in free if waits.get(index, 0.0) <= 0)
    later = [wait for wait in waits.values() if wait > 0]
    return Filling(indexes=due, wait_seconds=min(later) if later else None)


def _index_pause(last: Pod, now: datetime) -> float:
    failures = count_in(last, FAILURES) + count_in(last, IGNORED) + 1
    return _left(failures, _end_of(last, now), now)
