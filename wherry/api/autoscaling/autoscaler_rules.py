"""The rules of a HorizontalPodAutoscaler. Kubernetes: pkg/apis/autoscaling/validation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from wherry.api.autoscaling.metric_views import (
    ContainerResourceSource,
    CrossVersionObjectReference,
    ExternalSource,
    MetricIdentifier,
    MetricSpec,
    MetricTarget,
    ObjectSource,
    PodsSource,
    ResourceSource,
)
from wherry.machinery.field_errors import FieldError, forbidden, invalid, not_supported, required
from wherry.machinery.names import path_segment
from wherry.machinery.validation import check_name, each, under

if TYPE_CHECKING:
    from wherry.api.autoscaling.horizontal_pod_autoscaler import (
        HorizontalPodAutoscalerSpec,
        ScalingPolicy,
        ScalingRules,
    )

METRIC_TYPES = ("ContainerResource", "External", "Object", "Pods", "Resource")
TARGET_TYPES = ("Utilization", "Value", "AverageValue")
SELECT_POLICIES = ("Disabled", "Max", "Min")
POLICY_TYPES = ("Percent", "Pods")
LONGEST_WINDOW_SECONDS, LONGEST_PERIOD_SECONDS = 3600, 1800

_FIELDS = {
    "Object": "object",
    "External": "external",
    "Pods": "pods",
    "Resource": "resource",
    "ContainerResource": "containerResource",
}


def check_autoscaler(spec: HorizontalPodAutoscalerSpec) -> Iterator[FieldError]:
    """Every broken rule of a spec, by fields of v2 whichever version the client speaks."""
    least, most = spec.min_replicas, spec.max_replicas
    if least is not None and least < 0:
        yield invalid("minReplicas", least, "must be greater than or equal to 0")
    if most < 1:
        yield invalid("maxReplicas", most, "must be greater than 0")
    if least is not None and most < least:
        yield invalid("maxReplicas", most, "must be greater than or equal to `minReplicas`")
    yield from under("scaleTargetRef", _check_reference(spec.scale_target_ref))
    yield from each("metrics", spec.metrics, _check_metric)
    if least == 0 and not any(metric.type in ("Object", "External") for metric in spec.metrics):
        detail = "must specify at least one Object or External metric to support scaling to zero replicas"
        yield forbidden("metrics", detail)
    if spec.behavior is not None:
        for field, rules in (("scaleUp", spec.behavior.scale_up), ("scaleDown", spec.behavior.scale_down)):
            if rules is not None:
                yield from under(f"behavior.{field}", _check_rules(rules))


def _check_reference(reference: CrossVersionObjectReference) -> Iterator[FieldError]:
    for field, value in (("kind", reference.kind), ("name", reference.name)):
        if not value:
            yield required(field)
        else:
            yield from check_name(field, value, path_segment)
    if reference.api_version.count("/") > 1:
        detail = f"unexpected GroupVersion string: {reference.api_version}"
        yield invalid("apiVersion", reference.api_version, detail)


def _check_metric(metric: MetricSpec) -> Iterator[FieldError]:
    if not metric.type:
        yield required("type", "must specify a metric source type")
    elif metric.type not in METRIC_TYPES:
        yield not_supported("type", metric.type, METRIC_TYPES)
    present = {
        "object": metric.object,
        "external": metric.external,
        "pods": metric.pods,
        "resource": metric.resource,
        "containerResource": metric.container_resource,
    }
    sources = [(field, source) for field, source in present.items() if source is not None]
    if sources:
        field, source = sources[0]
        yield from under(field, _check_source(source))
    expected = _FIELDS.get(metric.type, "")
    if expected and present[expected] is None:
        yield required(expected, "must populate information for the given metric source")
    if len(sources) != 1:
        for field, _ in sources:
            if field != expected:
                yield forbidden(field, "must populate the given metric source only")


Source = ResourceSource | ContainerResourceSource | PodsSource | ObjectSource | ExternalSource


def _check_source(source: Source) -> Iterator[FieldError]:
    match source:
        case ObjectSource():
            yield from under("describedObject", _check_reference(source.described_object))
            yield from under("metric", _check_identifier(source.metric))
        case PodsSource() | ExternalSource():
            yield from under("metric", _check_identifier(source.metric))
        case ContainerResourceSource():
            if not source.name:
                yield required("name", "must specify a resource name")
            if not source.container:
                yield required("container", "must specify a container")
        case ResourceSource():
            if not source.name:
                yield required("name", "must specify a resource name")
    yield from under("target", _check_target(source.target))
    yield from under("target", _check_choice(source))


def _check_identifier(metric: MetricIdentifier) -> Iterator[FieldError]:
    if not metric.name:
        yield required("name", "must specify a metric name")
    else:
        yield from check_name("name", metric.name, path_segment)


def _check_target(target: MetricTarget) -> Iterator[FieldError]:
    if not target.type:
        yield required("type", "must specify a metric target type")
    elif target.type not in TARGET_TYPES:
        yield invalid("type", target.type, "must be either Utilization, Value, or AverageValue")
    for field, amount in (("value", target.value), ("averageValue", target.average_value)):
        if amount is not None and amount.nanos <= 0:
            yield invalid(field, str(amount), "must be positive")
    if target.average_utilization is not None and target.average_utilization < 1:
        yield invalid("averageUtilization", target.average_utilization, "must be greater than 0")


def _check_choice(source: Source) -> Iterator[FieldError]:
    """Which of the values a kind of source needs, and which go together."""
    target = source.target
    has_value, has_average = target.value is not None, target.average_value is not None
    has_utilization = target.average_utilization is not None
    match source:
        case PodsSource():
            if target.average_value is None or target.average_value.nanos <= 0:
                yield required("averageValue", "must specify a positive target averageValue")
        case ObjectSource() | ExternalSource():
            if not has_value and not has_average:
                yield required("averageValue", "must set either a target value for metric or a per-pod target")
            if has_value and has_average:
                yield forbidden("value", "may not set both a target value for metric and a per-pod target")
        case _:
            if not has_utilization and not has_average:
                yield required("averageUtilization", "must set either a target raw value or a target utilization")
            if has_utilization and has_average:
                yield forbidden("averageValue", "may not set both a target raw value and a target utilization")


def _check_rules(rules: ScalingRules) -> Iterator[FieldError]:
    window = rules.stabilization_window_seconds
    if window is not None and window < 0:
        yield invalid("stabilizationWindowSeconds", window, "must be greater than or equal to zero")
    if window is not None and window > LONGEST_WINDOW_SECONDS:
        yield invalid("stabilizationWindowSeconds", window, f"must be less than or equal to {LONGEST_WINDOW_SECONDS}")
    if rules.select_policy is not None and rules.select_policy not in SELECT_POLICIES:
        yield not_supported("selectPolicy", rules.select_policy, SELECT_POLICIES)
    if not rules.policies:
        yield required("policies", "must specify at least one Policy")
    yield from each("policies", rules.policies, _check_policy)
    if rules.tolerance is not None and rules.tolerance.nanos < 0:
        yield invalid("tolerance", str(rules.tolerance), "must be greater than or equal to 0")


def _check_policy(policy: ScalingPolicy) -> Iterator[FieldError]:
    if policy.type not in POLICY_TYPES:
        yield not_supported("type", policy.type, POLICY_TYPES)
    if policy.value <= 0:
        yield invalid("value", policy.value, "must be greater than zero")
    if policy.period_seconds <= 0:
        yield invalid("periodSeconds", policy.period_seconds, "must be greater than zero")
    if policy.period_seconds > LONGEST_PERIOD_SECONDS:
        detail = f"must be less than or equal to {LONGEST_PERIOD_SECONDS}"
        yield invalid("periodSeconds", policy.period_seconds, detail)
