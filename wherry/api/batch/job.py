"""Job: pods that run until so many of them have succeeded. Behaviour: controllers/job/."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from wherry.api.apps.replica_rules import TEMPLATE_COLUMNS
from wherry.api.batch import job_defaults as job_defaults  # registers the rules
from wherry.api.batch.job_rules import (
    check_generated_selector,
    check_hostnames,
    check_job_selector,
    check_job_spec,
    check_job_update,
)
from wherry.api.batch.job_views import JobSpec
from wherry.api.batch.status_rules import check_new_status
from wherry.api.meta import Conditions, find_condition, has_condition
from wherry.machinery.field_errors import FieldError
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE, Since
from wherry.machinery.time import duration_text
from wherry.machinery.validation import under
from wherry.machinery.view import View

CONTROLLER_UID, JOB_NAME = "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"
# Their names before they had a prefix; clients still select by them.
OLD_CONTROLLER_UID, OLD_JOB_NAME = "controller-uid", "job-name"
TRACKING = "batch.kubernetes.io/job-tracking"
"""The finalizer of pods that are not counted yet."""


class UncountedPods(View):
    """The uids of pods that ended and whose finalizer may be still there."""

    succeeded: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


class JobStatus(View):
    """How far along it is."""

    conditions: Conditions = ()
    start_time: datetime | None = None
    completion_time: datetime | None = None
    active: int = 0
    ready: int | None = None
    terminating: int | None = None
    succeeded: int = 0
    failed: int = 0
    completed_indexes: str = ""
    failed_indexes: str | None = None
    uncounted_terminated_pods: UncountedPods = UncountedPods()


def _state(job: Job) -> str:
    conditions = job.status.conditions
    if has_condition(conditions, "Complete") or has_condition(conditions, "Failed"):
        return "Complete" if has_condition(conditions, "Complete") else "Failed"
    if job.metadata.deleted_at is not None:
        return "Terminating"
    others = ("Suspended", "FailureTarget", "SuccessCriteriaMet")
    return next((type for type in others if has_condition(conditions, type)), "Running")


def _completions(job: Job) -> str:
    if job.spec.completions is not None:
        return f"{job.status.succeeded}/{job.spec.completions}"
    parallelism = job.spec.parallelism
    return f"{job.status.succeeded}/1 of {parallelism}" if parallelism > 1 else f"{job.status.succeeded}/1"


def _duration(job: Job) -> str | Since:
    begun, done = job.status.start_time, job.status.completion_time
    if begun is None:
        return ""
    return Since(begun) if done is None else duration_text((done - begun).total_seconds())


class Job(Resource, group="batch", version="v1", categories=("all",), subresources=("status",)):
    """Pods that run until so many of them have succeeded."""

    spec: JobSpec = JobSpec()
    status: JobStatus = JobStatus()

    counts_generations = True
    default_propagation = "Orphan"
    selectable = {"status.successful": lambda job: str(job.status.succeeded)}
    columns = (
        Column("Status", _state),
        Column("Completions", _completions),
        Column("Duration", _duration),
        AGE,
        *TEMPLATE_COLUMNS,
    )

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """Unless its author does so, the server chooses labels and selector that no other Job has."""
        draft["status"] = {}
        metadata, spec = draft["metadata"], draft.setdefault("spec", {})
        if not spec.get("manualSelector"):
            _generate_selector(metadata, spec)
        labels = (spec.setdefault("template", {}).get("metadata") or {}).get("labels")
        if labels and not metadata.get("labels"):
            metadata["labels"] = dict(labels)

    def validate(self, old: Job | None) -> Iterator[FieldError]:
        """Every broken rule of a Job; what a finished part of the work depends on stays."""
        if old is None:
            yield from check_generated_selector(self)
        yield from under("spec", check_job_spec(self.spec))
        yield from under("spec", check_job_selector(self.spec))
        yield from check_hostnames(self)
        if old is not None:
            has_started = old.status.start_time is not None
            yield from under("spec", check_job_update(self.spec, old.spec, has_started))

    def validate_status(self, old: Job) -> Iterator[FieldError]:
        """Every broken rule of a status report."""
        return check_new_status(self, old)

    @property
    def is_finished(self) -> bool:
        """Whether it is Complete or Failed for good."""
        return has_condition(self.status.conditions, "Complete") or has_condition(self.status.conditions, "Failed")

    @property
    def finished_at(self) -> datetime | None:
        """Since when it is finished."""
        for type in ("Complete", "Failed"):
            condition = find_condition(self.status.conditions, type)
            if condition is not None and condition.is_true:
                return condition.last_transition_time
        return None

    @property
    def is_indexed(self) -> bool:
        """Whether each pod stands for an index of its own."""
        return self.spec.completion_mode == "Indexed"


def _generate_selector(metadata: dict[str, Any], spec: dict[str, Any]) -> None:
    template = spec.setdefault("template", {})
    if not template.get("metadata"):
        template["metadata"] = {}
    if not template["metadata"].get("labels"):
        template["metadata"]["labels"] = {}
    labels = template["metadata"]["labels"]
    for key in (JOB_NAME, OLD_JOB_NAME):
        labels.setdefault(key, metadata.get("name", ""))
    for key in (CONTROLLER_UID, OLD_CONTROLLER_UID):
        labels.setdefault(key, metadata.get("uid", ""))
    if not spec.get("selector"):
        spec["selector"] = {}
    if not spec["selector"].get("matchLabels"):
        spec["selector"]["matchLabels"] = {}
    spec["selector"]["matchLabels"].setdefault(CONTROLLER_UID, metadata.get("uid", ""))
