"""CronJob: a Job at given times. Behaviour: controllers/cronjob/.

Limit: which time zones there are is decided by the machine's tz database.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from wherry.api.apps.replica_rules import TEMPLATE_COLUMNS
from wherry.api.batch.cron_schedule import Schedule, parse_schedule
from wherry.api.batch.job_rules import check_job_spec
from wherry.api.batch.job_views import JobSpec
from wherry.api.filling import fill_empty
from wherry.api.meta import NOTHING, ObjectReference
from wherry.machinery.field_errors import FieldError, invalid, not_supported
from wherry.machinery.meta import ObjectMeta
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE, Since
from wherry.machinery.validation import check_annotations, check_labels, non_negative, one_of, required_name, under
from wherry.machinery.view import Verbatim, View

SPEC = "io.k8s.api.batch.v1.CronJobSpec"
POLICIES = ("Allow", "Forbid", "Replace")
# A Job's name is this one's with eleven characters more, and pods' names with more still.
LONGEST_NAME = 52
_ZONE_NAME = re.compile("[A-Za-z0-9._+-]+(/[A-Za-z0-9._+-]+)*")

defaults.literal(SPEC, suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
fill_empty(SPEC, concurrencyPolicy="Allow")


class JobTemplate(Verbatim):
    """The Jobs to come, kept whole."""

    @property
    def metadata(self) -> ObjectMeta:
        """Their labels and annotations."""
        return ObjectMeta.read(self.raw.get("metadata") or {})

    @property
    def spec(self) -> JobSpec:
        """A reading of them."""
        return JobSpec.read(self.raw.get("spec") or {})


class CronJobSpec(View):
    """When, what, and what if it is late or the last one still runs."""

    schedule: str = ""
    time_zone: str | None = None
    job_template: JobTemplate = JobTemplate()
    concurrency_policy: str = "Allow"
    starting_deadline_seconds: int | None = None
    suspend: bool = False
    successful_jobs_history_limit: int = 3
    failed_jobs_history_limit: int = 1

    def due(self) -> Schedule:
        """When it is due; ValueError says what is wrong with schedule or zone."""
        return _schedule(self.schedule, self.time_zone)


class CronJobStatus(View):
    """What runs, and when it last was due and went well."""

    active: tuple[ObjectReference, ...] = ()
    last_schedule_time: datetime | None = None
    last_successful_time: datetime | None = None


@lru_cache(maxsize=4096)
def _schedule(text: str, zone: str | None) -> Schedule:
    return parse_schedule(text, UTC if zone is None else time_zone(zone))


def time_zone(name: str) -> tzinfo:
    """A zone by its name in the tz database; ValueError if there is none."""
    if not _ZONE_NAME.fullmatch(name) or ".." in name:
        raise ValueError(f"unknown time zone {name}")
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"unknown time zone {name}") from None


def _template_column(column: Column) -> Column:
    return column._replace(cell=lambda cronjob: column.cell(cronjob.spec.job_template))


class CronJob(Resource, group="batch", version="v1", short=("cj",), categories=("all",), subresources=("status",)):
    """A Job at given times."""

    spec: CronJobSpec = CronJobSpec()
    status: CronJobStatus = CronJobStatus()

    counts_generations = True
    columns = (
        Column("Schedule", lambda cronjob: cronjob.spec.schedule),
        Column("Timezone", lambda cronjob: "<none>" if cronjob.spec.time_zone is None else cronjob.spec.time_zone),
        Column("Suspend", lambda cronjob: str(cronjob.spec.suspend), type="boolean"),
        Column("Active", lambda cronjob: len(cronjob.status.active), type="integer"),
        Column("Last Schedule", lambda cronjob: Since(cronjob.status.last_schedule_time, missing="<none>")),
        AGE,
        *(_template_column(column) for column in TEMPLATE_COLUMNS),
    )

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """Nothing runs yet."""
        draft["status"] = {}

    def validate(self, old: CronJob | None) -> Iterator[FieldError]:
        """Every broken rule of a CronJob."""
        name = self.metadata.name
        if old is None and len(name) > LONGEST_NAME:
            yield invalid("metadata.name", name, f"must be no more than {LONGEST_NAME} characters")
        yield from under("spec", _check_spec(self.spec))


def _check_spec(spec: CronJobSpec) -> Iterator[FieldError]:
    yield from required_name("schedule", spec.schedule, _schedule_problems)
    if spec.time_zone is not None:
        yield from _check_zone(spec.time_zone)
    if spec.starting_deadline_seconds is not None:
        yield from non_negative("startingDeadlineSeconds", spec.starting_deadline_seconds)
    yield from one_of("concurrencyPolicy", spec.concurrency_policy, POLICIES)
    yield from under("jobTemplate", _check_template(spec.job_template))
    yield from non_negative("successfulJobsHistoryLimit", spec.successful_jobs_history_limit)
    yield from non_negative("failedJobsHistoryLimit", spec.failed_jobs_history_limit)


def _schedule_problems(text: str) -> list[str]:
    if "TZ" in text:
        return ["cannot use TZ or CRON_TZ in schedule, use timeZone field instead"]
    try:
        parse_schedule(text)
    except ValueError as error:
        return [str(error)]
    return []


def _check_zone(name: str) -> Iterator[FieldError]:
    if not name:
        yield invalid("timeZone", name, "timeZone must be nil or non-empty string")
    elif name.lower() == "local":
        why = "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
        yield invalid("timeZone", name, why)
    else:
        try:
            time_zone(name)
        except ValueError as error:
            yield invalid("timeZone", name, str(error))


def _check_template(template: JobTemplate) -> Iterator[FieldError]:
    yield from check_labels("metadata.labels", template.metadata.labels)
    yield from check_annotations("metadata.annotations", template.metadata.annotations)
    yield from under("spec", check_job_spec(template.spec))
    if template.spec.selector is not NOTHING:
        yield invalid("spec.selector", template.spec.selector.raw, "`selector` will be auto-generated")
    if template.spec.manual_selector:
        yield not_supported("spec.manualSelector", True, ("nil", "false"))
