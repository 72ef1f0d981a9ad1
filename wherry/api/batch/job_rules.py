"""The rules of a Job's desired state. Kubernetes: pkg/apis/batch/validation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from wherry.api.batch.job_views import JobScheduling, JobSpec
from wherry.api.batch.policy_rules import check_failure_policy, check_success_policy
from wherry.api.core.pod.validation import check_template
from wherry.api.meta import NOTHING, Selector
from wherry.api.scheduling.group_policy import one_member
from wherry.machinery import names
from wherry.machinery.field_errors import (
    FieldError,
    forbidden,
    immutable,
    invalid,
    not_supported,
    required,
    too_long,
)
from wherry.machinery.validation import check_selector, non_negative, unchanged, under

if TYPE_CHECKING:
    from wherry.api.batch.job import Job

COMPLETION_MODES, REPLACEMENT = ("Indexed", "NonIndexed"), ("Failed", "TerminatingOrFailed")
MOST_PARALLEL_INDEXES, MANY_COMPLETIONS, MOST_OF_MANY = 100_000, 100_000, 10_000
MOST_MANAGED_BY = 63
_NEEDS_INDEXES = "requires indexed completion mode"
# What of a suspended Job's template may change before its first pod.
_STEERING = ("nodeSelector", "affinity", "tolerations", "schedulingGates")


def check_generated_selector(job: Job) -> Iterator[FieldError]:
    """Labels and selector that the server made fit this Job and no other."""
    if job.spec.manual_selector or job.spec.selector is NOTHING:
        return
    uid, name = job.metadata.uid, job.metadata.name
    labels = job.spec.template.metadata.labels
    wanted = {"controller-uid": uid, "job-name": name}
    wanted |= {f"batch.kubernetes.io/{key}": value for key, value in wanted.items()}
    for key, value in wanted.items():
        if labels.get(key) != value:
            yield invalid(f"spec.template.metadata.labels[{key}]", labels, f"must be '{value}'")
    if _readable(job.spec.selector) and not job.spec.selector.matches(wanted):
        yield invalid("spec.selector", job.spec.selector.raw, "`selector` not auto-generated")


def check_job_selector(spec: JobSpec) -> Iterator[FieldError]:
    """The selector is there and selects the pods to come."""
    if spec.selector is NOTHING:
        yield required("selector")
        return
    yield from check_selector("selector", spec.selector.raw)
    labels = spec.template.metadata.labels
    if _readable(spec.selector) and not spec.selector.matches(labels):
        yield invalid("template.metadata.labels", labels, "`selector` does not match template `labels`")


def _readable(selector: Selector) -> bool:
    try:
        selector.matches({})
    except ValueError:
        return False
    return True


def check_hostnames(job: Job) -> Iterator[FieldError]:
    """Every pod of an indexed Job is a host of its own, named after the Job and the index."""
    completions = job.spec.completions
    if job.spec.completion_mode != "Indexed" or not completions or completions < 0:
        return
    for problem in names.dns1123_label(f"{job.metadata.name}-{completions - 1}"):
        why = f"will not able to create pod with invalid DNS label: {job.metadata.name}-{completions - 1}"
        yield invalid("metadata.name", job.metadata.name, f"{why}: {problem}")


def check_job_spec(spec: JobSpec) -> Iterator[FieldError]:
    """Every rule but those of the selector; also for a CronJob's template."""
    yield from _check_numbers(spec)
    if spec.managed_by is not None:
        yield from _check_managed_by(spec.managed_by)
    if spec.completion_mode not in COMPLETION_MODES:
        yield not_supported("completionMode", spec.completion_mode, COMPLETION_MODES)
    elif spec.completion_mode == "Indexed":
        yield from _check_indexed(spec)
    else:
        for field, value in (
            ("backoffLimitPerIndex", spec.backoff_limit_per_index),
            ("maxFailedIndexes", spec.max_failed_indexes),
            ("successPolicy", spec.success_policy and spec.success_policy.to_wire()),
        ):
            if value is not None:
                yield invalid(field, value, _NEEDS_INDEXES)
    if spec.pod_failure_policy is not None:
        yield from under("podFailurePolicy", check_failure_policy(spec.pod_failure_policy, spec))
    yield from _check_replacement(spec)
    if spec.scheduling is not None:
        yield from under("scheduling", _check_scheduling(spec, spec.scheduling))
    yield from under("template", check_template(spec.template))
    yield from _check_restarts(spec)


def _check_scheduling(spec: JobSpec, scheduling: JobScheduling) -> Iterator[FieldError]:
    policy, mode = scheduling.scheduling_policy, scheduling.disruption_mode
    yield from one_member("schedulingPolicy", {"basic": policy.basic, "gang": policy.gang})
    if mode is not None:
        yield from one_member("disruptionMode", {"all": mode.all, "single": mode.single})
    if policy.gang is not None and not 0 <= policy.gang.min_count <= spec.pods_at_once:
        most = f"must be between 1 and {spec.pods_at_once}, the pods that run at once"
        yield invalid("schedulingPolicy.gang.minCount", policy.gang.min_count, most)
    if scheduling.scheduling_constraints is not None:
        yield forbidden("schedulingConstraints", "pods of a Job are not kept in one topology domain here")
    if scheduling.resource_claims:
        yield forbidden("resourceClaims", "claims of a group are not served here")


def _check_numbers(spec: JobSpec) -> Iterator[FieldError]:
    for field, value in (
        ("parallelism", spec.parallelism),
        ("completions", spec.completions),
        ("activeDeadlineSeconds", spec.active_deadline_seconds),
        ("backoffLimit", spec.backoff_limit),
        ("ttlSecondsAfterFinished", spec.ttl_seconds_after_finished),
        ("backoffLimitPerIndex", spec.backoff_limit_per_index),
        ("maxFailedIndexes", spec.max_failed_indexes),
    ):
        if value is not None:
            yield from non_negative(field, value)
    if spec.max_failed_indexes is not None and spec.backoff_limit_per_index is None:
        yield required("backoffLimitPerIndex", "when maxFailedIndexes is specified")


def _check_managed_by(value: str) -> Iterator[FieldError]:
    domain, slash, path = value.partition("/")
    if not slash or not path:
        yield invalid("managedBy", value, 'must be a domain-prefixed path (such as "acme.io/foo")')
    else:
        for problem in names.dns1123_subdomain(domain):
            yield invalid("managedBy", domain, problem)
    if len(value) > MOST_MANAGED_BY:
        yield too_long("managedBy", MOST_MANAGED_BY)


def _check_indexed(spec: JobSpec) -> Iterator[FieldError]:
    if spec.completions is None:
        yield required("completions", "when completion mode is Indexed")
        return
    if spec.success_policy is not None:
        yield from under("successPolicy", check_success_policy(spec.success_policy, spec.completions))
    if spec.parallelism > MOST_PARALLEL_INDEXES:
        why = f"must be less than or equal to {MOST_PARALLEL_INDEXES} when completion mode is Indexed"
        yield invalid("parallelism", spec.parallelism, why)
    most_failed = spec.max_failed_indexes
    if most_failed is not None and most_failed > spec.completions:
        yield invalid("maxFailedIndexes", most_failed, "must be less than or equal to completions")
    if spec.completions > MANY_COMPLETIONS and spec.backoff_limit_per_index is not None:
        yield from _check_many(spec, most_failed)


def _check_many(spec: JobSpec, most_failed: int | None) -> Iterator[FieldError]:
    over = f"when completions are above {MANY_COMPLETIONS} and used with backoff limit per index"
    if most_failed is None:
        yield required("maxFailedIndexes", f"must be specified when completions is above {MANY_COMPLETIONS}")
    for field, value in (("parallelism", spec.parallelism), ("maxFailedIndexes", most_failed or 0)):
        if value > MOST_OF_MANY:
            yield invalid(field, value, f"must be less than or equal to {MOST_OF_MANY} {over}")


def _check_replacement(spec: JobSpec) -> Iterator[FieldError]:
    choices = REPLACEMENT if spec.pod_failure_policy is None else REPLACEMENT[:1]
    if spec.pod_replacement_policy is not None and spec.pod_replacement_policy not in choices:
        yield not_supported("podReplacementPolicy", spec.pod_replacement_policy, choices)


def _check_restarts(spec: JobSpec) -> Iterator[FieldError]:
    field, policy = "template.spec.restartPolicy", spec.template.spec.restart_policy
    if policy in ("", "Always"):
        yield required(field, 'valid values: "OnFailure", "Never"')
    elif policy not in ("OnFailure", "Never"):
        yield not_supported(field, policy, ("OnFailure", "Never"))
    elif spec.pod_failure_policy is not None and policy != "Never":
        yield invalid(field, policy, 'only "Never" is supported when podFailurePolicy is specified')


def check_job_update(spec: JobSpec, old: JobSpec, has_started: bool) -> Iterator[FieldError]:
    """What may not change any more."""
    if old.completion_mode != "Indexed":
        yield from unchanged("completions", spec.completions, old.completions)
    elif spec.completions != old.completions and spec.completions != spec.parallelism:
        yield invalid("completions", spec.completions, "can only be modified in tandem with spec.parallelism")
    yield from unchanged("selector", spec.selector.raw, old.selector.raw)
    before = old.template.raw
    if old.suspend and not has_started:
        before = _steered(before, spec.template.raw)
    yield from unchanged("template", spec.template.raw, before)
    yield from unchanged("completionMode", spec.completion_mode, old.completion_mode)
    yield from unchanged("backoffLimitPerIndex", spec.backoff_limit_per_index, old.backoff_limit_per_index)
    yield from unchanged("managedBy", spec.managed_by, old.managed_by)
    if _without_size(spec) != _without_size(old):
        yield immutable("scheduling", spec.scheduling and spec.scheduling.to_wire())
    for field, value, earlier in (
        ("podFailurePolicy", spec.pod_failure_policy, old.pod_failure_policy),
        ("successPolicy", spec.success_policy, old.success_policy),
    ):
        if value != earlier:
            yield immutable(field, value and value.to_wire())


def _without_size(spec: JobSpec) -> tuple[Any, ...]:
    """What of its scheduling cannot change: all but the size of the gang."""
    scheduling = spec.scheduling
    if scheduling is None:
        return ()
    policy = scheduling.scheduling_policy
    return policy.basic is None, policy.gang is None, scheduling.disruption_mode


def _steered(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The old template with what a queue may decide about a Job taken from the new one."""
    spec = {key: value for key, value in (before.get("spec") or {}).items() if key not in _STEERING}
    spec |= {key: value for key, value in (after.get("spec") or {}).items() if key in _STEERING}
    spec = {**spec, "containers": _resourced(spec.get("containers"), (after.get("spec") or {}).get("containers"))}
    metadata = {key: value for key, value in (before.get("metadata") or {}).items() if key not in _LABELLING}
    metadata |= {key: value for key, value in (after.get("metadata") or {}).items() if key in _LABELLING}
    return {**before, "metadata": metadata, "spec": spec}


_LABELLING = ("labels", "annotations")


def _resourced(before: Any, after: Any) -> Any:
    if len(before or ()) != len(after or ()):
        return before
    return [
        {key: value for key, value in old.items() if key != "resources"}
        | {key: value for key, value in new.items() if key == "resources"}
        for old, new in zip(before or (), after or (), strict=True)
    ]
