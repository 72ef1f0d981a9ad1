"""The rules of a Job's status. A report is refused for what it breaks itself, not for what was broken before.

Kubernetes: validateJobStatus and the options that its strategy chooses by comparing with the old status.
Limit: rules about how a status may change, such as that counts never fall, are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wherry.api.batch.indexes import parse_indexes
from wherry.api.meta import has_condition
from wherry.machinery.field_errors import FieldError, duplicate, invalid, required
from wherry.machinery.validation import non_negative, under

if TYPE_CHECKING:
    from wherry.api.batch.job import Job


def check_new_status(job: Job, old: Job) -> Iterator[FieldError]:
    """Every rule that this status breaks and the old one did not."""
    broken = {error.message for error in _check_status(old)}
    yield from under("status", (error for error in _check_status(job) if error.message not in broken))


def _check_status(job: Job) -> Iterator[FieldError]:
    status = job.status
    for field, value in (
        ("active", status.active),
        ("succeeded", status.succeeded),
        ("failed", status.failed),
        ("ready", status.ready or 0),
        ("terminating", status.terminating or 0),
    ):
        yield from non_negative(field, value)
    yield from _check_uncounted(job)
    yield from _check_times(job)
    yield from _check_conditions(job)
    if job.spec.completion_mode == "Indexed":
        yield from _check_indexes(job)
    elif status.completed_indexes:
        yield _plain("completedIndexes", "cannot set non-empty completedIndexes when non-indexed completion mode")


def _plain(field: str, detail: str) -> FieldError:
    return FieldError(field, "FieldValueInvalid", f"Invalid value: {detail}")


def _check_uncounted(job: Job) -> Iterator[FieldError]:
    seen: set[str] = set()
    uncounted = job.status.uncounted_terminated_pods
    for field, uids in (("succeeded", uncounted.succeeded), ("failed", uncounted.failed)):
        for index, uid in enumerate(uids):
            path = f"uncountedTerminatedPods.{field}[{index}]"
            if not uid:
                yield invalid(path, uid, "must not be empty")
            elif uid in seen:
                yield duplicate(path, uid)
            seen.add(uid)
    if job.is_finished and seen:
        yield _plain("uncountedTerminatedPods", "uncountedTerminatedPods needs to be empty for finished job")


def _check_times(job: Job) -> Iterator[FieldError]:
    status, is_complete = job.status, has_condition(job.status.conditions, "Complete")
    if job.is_finished and status.active:
        yield invalid("active", status.active, "active>0 is invalid for finished job")
    if job.is_finished and status.start_time is None:
        yield required("startTime", "startTime is required for finished job")
    if is_complete and status.completion_time is None:
        yield required("completionTime", "completionTime is required for Complete jobs")
    if status.completion_time is not None:
        if not is_complete:
            yield _plain("completionTime", "cannot set completionTime when there is no Complete=True condition")
        if status.start_time is not None and status.completion_time < status.start_time:
            yield _plain("completionTime", "completionTime cannot be set before startTime")


def _check_conditions(job: Job) -> Iterator[FieldError]:
    def holds(type: str) -> bool:
        return has_condition(job.status.conditions, type)

    for one, other in (
        ("Complete", "Failed"),
        ("Complete", "FailureTarget"),
        ("SuccessCriteriaMet", "Failed"),
        ("SuccessCriteriaMet", "FailureTarget"),
    ):
        if holds(one) and holds(other):
            yield _plain("conditions", f"cannot set {one}=True and {other}=true conditions")
    for end, before in (("Failed", "FailureTarget"), ("Complete", "SuccessCriteriaMet")):
        if holds(end) and not holds(before):
            yield _plain("conditions", f"cannot set {end}=True condition without the {before}=true condition")


def _check_indexes(job: Job) -> Iterator[FieldError]:
    for field, text in (
        ("completedIndexes", job.status.completed_indexes),
        ("failedIndexes", job.status.failed_indexes or ""),
    ):
        try:
            parse_indexes(text, 2**31)
        except ValueError as error:
            yield invalid(field, text, f"error parsing {field}: {error}")
