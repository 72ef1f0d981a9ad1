"""What a Job tells of itself. Kubernetes: enactJobFinished, ensureJobConditionStatus."""

from __future__ import annotations

from collections.abc import Iterator

from controllers.job.failures import is_terminating
from controllers.job.indexed import Board
from controllers.job.ledger import Ledger
from controllers.job.verdict import FAILING, Verdict
from wherry.api.batch.job import Job, JobStatus
from wherry.api.core.pod import Pod
from wherry.api.meta import Condition, Conditions, find_condition, with_condition
from wherry.client.plan import Event
from wherry.client.world import World

SUSPENDED = ("True", "JobSuspended", "Job suspended")
RESUMED = ("False", "JobResumed", "Job resumed")


def counts(job: Job, pods: list[Pod], board: Board, ledger: Ledger, world: World) -> JobStatus:
    """The status as far as it is numbers; the first plan of a Job that is not suspended starts its clock."""
    active = [pod for pod in pods if pod.is_active]
    start = job.status.start_time
    status = job.status.replace(
        active=len(active),
        ready=sum(pod.status.ready for pod in active),
        terminating=sum(is_terminating(pod) for pod in pods),
        succeeded=ledger.succeeded,
        failed=ledger.failed,
        uncounted_terminated_pods=ledger.uncounted,
        start_time=world.now if start is None and not job.spec.suspend else start,
    )
    if not job.is_indexed:
        return status
    failed = str(board.failed) if job.spec.backoff_limit_per_index is not None else None
    return status.replace(completed_indexes=str(board.succeeded), failed_indexes=failed)


def paused(job: Job, status: JobStatus, world: World) -> JobStatus:
    """The status with what `spec.suspend` means; a Job that resumes starts its clock anew."""
    told = find_condition(status.conditions, "Suspended")
    if job.spec.suspend:
        return status.replace(conditions=_with(status.conditions, "Suspended", SUSPENDED, world))
    if told is None or not told.is_true:
        return status
    return status.replace(start_time=world.now, conditions=_with(status.conditions, "Suspended", RESUMED, world))


def ended(job: Job, status: JobStatus, verdict: Verdict, is_over: bool, world: World) -> JobStatus:
    """The status with why it ends and, once nothing of it runs or waits to be counted, that it has ended."""
    what = ("True", verdict.reason, verdict.message)
    status = status.replace(conditions=_with(status.conditions, verdict.type, what, world))
    if not is_over:
        return status
    is_failure = verdict.type == FAILING
    done = status.replace(
        conditions=_with(status.conditions, "Failed" if is_failure else "Complete", what, world),
        # A Job that fails before it began, as with a policy set at creation, has a time all the same.
        start_time=status.start_time or world.now,
    )
    return done if is_failure else done.replace(completion_time=world.now)


def _with(conditions: Conditions, type: str, what: tuple[str, str, str], world: World) -> Conditions:
    status, reason, message = what
    told = find_condition(conditions, type)
    if told is not None and told.status == status:
        return conditions
    new = Condition(type=type, status=status, reason=reason, message=message, last_probe_time=world.now)
    return with_condition(conditions, new, world.now)


def news(job: Job, status: JobStatus) -> Iterator[Event]:
    """What people should hear of the way from the old status to the new one."""
    for condition in status.conditions:
        before = find_condition(job.status.conditions, condition.type)
        if before is not None and before.status == condition.status:
            continue
        if condition.type == "Complete":
            yield Event(job, "Completed", "Job completed")
        elif condition.type == "Failed":
            yield Event(job, condition.reason, condition.message, "Warning")
        elif condition.type == "Suspended":
            yield Event(job, "Suspended" if condition.is_true else "Resumed", condition.message)
