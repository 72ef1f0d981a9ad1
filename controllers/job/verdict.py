"""Whether a Job is over, and why. Kubernetes: the middle of syncJob, success_policy.go."""

from __future__ import annotations

from typing import NamedTuple

from controllers.job.failures import is_failed, meaning
from controllers.job.indexed import Board
from controllers.job.ledger import Ledger
from wherry.api.batch.indexes import parse_indexes
from wherry.api.batch.job import Job
from wherry.api.core.pod import Pod
from wherry.api.meta import find_condition
from wherry.client.world import World

FAILING, SUCCEEDING = "FailureTarget", "SuccessCriteriaMet"


class Verdict(NamedTuple):
    """The condition that ends the Job."""

    type: str
    reason: str
    message: str


def verdict_on(job: Job, pods: list[Pod], board: Board, ledger: Ledger, world: World) -> Verdict | None:
    """Why the Job ends before its pods are through, if it does; once told, it stays."""
    for type in (FAILING, SUCCEEDING):
        told = find_condition(job.status.conditions, type)
        if told is not None and told.is_true:
            return Verdict(type, told.reason, told.message)
    return (
        _failed_at_once(job, pods)
        or _failed_too_often(job, pods, ledger)
        or _late(job, world)
        or _failed_by_index(job, board)
        or _satisfied(job, board)
    )


def _failed_at_once(job: Job, pods: list[Pod]) -> Verdict | None:
    if job.spec.pod_failure_policy is None:
        return None
    messages = (meaning(job, pod).message for pod in pods if is_failed(job, pod))
    message = next(filter(None, messages), "")
    return Verdict(FAILING, "PodFailurePolicy", message) if message else None


def _failed_too_often(job: Job, pods: list[Pod], ledger: Ledger) -> Verdict | None:
    limit = job.spec.backoff_limit
    if ledger.total_failed <= limit:
        if job.spec.template.spec.restart_policy != "OnFailure":
            return None
        restarts = sum(
            status.restart_count
            for pod in pods
            if pod.status.phase in ("Pending", "Running")
            for status in (*pod.status.init_container_statuses, *pod.status.container_statuses)
        )
        if restarts < max(limit, 1):
            return None
    return Verdict(FAILING, "BackoffLimitExceeded", "Job has reached the specified backoff limit")


def seconds_left(job: Job, world: World) -> float | None:
    """How long the Job may still be active; None: as long as it likes."""
    begun, most = job.status.start_time, job.spec.active_deadline_seconds
    if begun is None or most is None or job.spec.suspend:
        return None
    return most - (world.now - begun).total_seconds()


def _late(job: Job, world: World) -> Verdict | None:
    left = seconds_left(job, world)
    # A Job that just resumed has its time anew; the condition tells that it was suspended until now.
    suspended = find_condition(job.status.conditions, "Suspended")
    if left is None or left > 0 or (suspended is not None and suspended.is_true):
        return None
    return Verdict(FAILING, "DeadlineExceeded", "Job was active longer than specified deadline")


def _failed_by_index(job: Job, board: Board) -> Verdict | None:
    failed, most = len(board.failed), job.spec.max_failed_indexes
    if most is not None and failed > most:
        why = "Job has exceeded the specified maximal number of failed indexes"
        return Verdict(FAILING, "MaxFailedIndexesExceeded", why)
    if failed and failed + len(board.succeeded) >= (job.spec.completions or 0):
        return Verdict(FAILING, "FailedIndexes", "Job has failed indexes")
    return None


def _satisfied(job: Job, board: Board) -> Verdict | None:
    policy = job.spec.success_policy
    for number, rule in enumerate(policy.rules if policy is not None else ()):
        done = board.succeeded
        if rule.succeeded_indexes is not None:
            asked = parse_indexes(rule.succeeded_indexes, 2**31)
            done = board.succeeded & asked
            if rule.succeeded_count is None and done != asked:
                continue
        if len(done) >= (rule.succeeded_count or 0):
            return Verdict(SUCCEEDING, "SuccessPolicy", f"Matched rules at index {number}")
    return None


def completed(job: Job, ledger: Ledger, active: int) -> Verdict | None:
    """Whether the work is done: so many successes, or one where nobody said how many, and nothing runs."""
    wanted = 1 if job.spec.completions is None else job.spec.completions
    if ledger.total_succeeded < wanted or active:
        return None
    return Verdict(SUCCEEDING, "CompletionsReached", "Reached expected number of succeeded pods")
