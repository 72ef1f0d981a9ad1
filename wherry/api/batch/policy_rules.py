"""The rules of failure and success policies of a Job. Kubernetes: pkg/apis/batch/validation."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.batch.indexes import parse_indexes
from wherry.api.batch.job_views import (
    FailureRule,
    JobSpec,
    OnExitCodes,
    OnPodCondition,
    PodFailurePolicy,
    SuccessPolicy,
    SuccessRule,
)
from wherry.machinery import names
from wherry.machinery.field_errors import (
    FieldError,
    duplicate,
    invalid,
    not_supported,
    required,
    too_long,
    too_many,
)
from wherry.machinery.validation import check_name, each, non_negative, under

MOST_RULES, MOST_CODES, MOST_INDEXES_BYTES = 20, 255, 64 * 1024
ACTIONS, OPERATORS, STATUSES = (
    ("Count", "FailIndex", "FailJob", "Ignore"),
    ("In", "NotIn"),
    ("False", "True", "Unknown"),
)


def check_failure_policy(policy: PodFailurePolicy, spec: JobSpec) -> Iterator[FieldError]:
    """Paths begin at the policy."""
    if len(policy.rules) > MOST_RULES:
        yield too_many("rules", len(policy.rules), MOST_RULES)
    yield from each("rules", policy.rules, lambda rule: _check_rule(rule, spec))


def _check_rule(rule: FailureRule, spec: JobSpec) -> Iterator[FieldError]:
    yield from _one_of("action", rule.action, ACTIONS)
    if rule.action == "FailIndex" and spec.backoff_limit_per_index is None:
        yield invalid("action", rule.action, "requires the backoffLimitPerIndex to be set")
    if rule.on_exit_codes is not None:
        pod = spec.template.spec
        containers = {container.name for container in (*pod.containers, *pod.init_containers)}
        yield from under("onExitCodes", _check_exit_codes(rule.on_exit_codes, containers))
    if len(rule.on_pod_conditions) > MOST_RULES:
        yield too_many("onPodConditions", len(rule.on_pod_conditions), MOST_RULES)
    yield from each("onPodConditions", rule.on_pod_conditions, _check_pattern)
    has_codes, has_conditions = rule.on_exit_codes is not None, bool(rule.on_pod_conditions)
    if has_codes == has_conditions:
        which = "both OnExitCodes and OnPodConditions is not supported"
        why = which if has_codes else "one of OnExitCodes and OnPodConditions is required"
        yield FieldError("", "FieldValueInvalid", f"Invalid value: specifying {why}")


def _one_of(field: str, value: str, choices: tuple[str, ...]) -> Iterator[FieldError]:
    if not value:
        shown = " ".join(f'"{choice}"' for choice in choices)
        yield required(field, f"valid values: [{shown}]")
    elif value not in choices:
        yield not_supported(field, value, choices)


def _check_exit_codes(codes: OnExitCodes, containers: set[str]) -> Iterator[FieldError]:
    yield from _one_of("operator", codes.operator, OPERATORS)
    if codes.container_name is not None and codes.container_name not in containers:
        why = "must be one of the container or initContainer names in the pod template"
        yield invalid("containerName", codes.container_name, why)
    if not codes.values:
        yield invalid("values", codes.values, "at least one value is required")
    elif len(codes.values) > MOST_CODES:
        yield too_many("values", len(codes.values), MOST_CODES)
    seen: set[int] = set()
    for index, code in enumerate(codes.values):
        if code in seen:
            yield duplicate(f"values[{index}]", code)
        seen.add(code)
        if codes.operator == "In" and code == 0:
            yield invalid(f"values[{index}]", code, "must not be 0 for the In operator")
    if list(codes.values) != sorted(codes.values):
        yield invalid("values", codes.values, "must be ordered")


def _check_pattern(pattern: OnPodCondition) -> Iterator[FieldError]:
    yield from check_name("type", pattern.type, names.qualified_name)
    yield from _one_of("status", pattern.status, STATUSES)


def check_success_policy(policy: SuccessPolicy, completions: int) -> Iterator[FieldError]:
    """Paths begin at the policy."""
    if not policy.rules:
        yield required("rules", "at least one rules must be specified when the successPolicy is specified")
    if len(policy.rules) > MOST_RULES:
        yield too_many("rules", len(policy.rules), MOST_RULES)
    yield from each("rules", policy.rules, lambda rule: _check_success_rule(rule, completions))


def _check_success_rule(rule: SuccessRule, completions: int) -> Iterator[FieldError]:
    count, indexes = rule.succeeded_count, rule.succeeded_indexes
    if count is None and indexes is None:
        yield required("", "at least one of succeededCount or succeededIndexes must be specified")
    named = 0
    if indexes is not None:
        if len(indexes) > MOST_INDEXES_BYTES:
            yield too_long("succeededIndexes", MOST_INDEXES_BYTES)
        try:
            named = len(parse_indexes(indexes, completions))
        except ValueError as error:
            yield invalid("succeededIndexes", indexes, f"error parsing succeededIndexes: {error}")
    if count is None:
        return
    yield from non_negative("succeededCount", count)
    over = "must be less than or equal to"
    if count > completions:
        yield invalid("succeededCount", count, f"{over} {completions} (the number of specified completions)")
    if indexes is not None and count > named:
        where = "the number of indexes in the specified succeededIndexes field"
        yield invalid("succeededCount", count, f"{over} {named} ({where})")
