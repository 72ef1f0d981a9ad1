"""The TARGETS of `kubectl get hpa`: what each metric says now, and what it should say."""

from __future__ import annotations

from collections.abc import Sequence

from wherry.api.autoscaling.metric_views import MetricSpec, MetricStatus, MetricTarget, MetricValue

UNKNOWN = "<unknown>"
_SHOWN = 2
_FIELDS = {
    "Resource": "resource",
    "ContainerResource": "container_resource",
    "Pods": "pods",
    "Object": "object",
    "External": "external",
}


def targets_text(specs: Sequence[MetricSpec], statuses: Sequence[MetricStatus]) -> str:
    """All metrics in a row, of which two are shown. Kubernetes: formatHPAMetrics."""
    texts = [_text(spec, statuses[index] if index < len(statuses) else None) for index, spec in enumerate(specs)]
    if not texts:
        return "<none>"
    shown = ", ".join(texts[:_SHOWN])
    return f"{shown} + {len(texts) - _SHOWN} more..." if len(texts) > _SHOWN else shown


def _text(spec: MetricSpec, status: MetricStatus | None) -> str:
    field = _FIELDS.get(spec.type)
    source = getattr(spec, field) if field else None
    if field is None or source is None:
        return "<unknown type>"
    reading = getattr(status, field) if status is not None else None
    current = reading.current if reading is not None else MetricValue()
    if spec.type in ("Resource", "ContainerResource"):
        return f"{source.name}: {_usage(source.target, current)}"
    if spec.type == "Pods":
        return f"{_shown(current.average_value)}/{_shown(source.target.average_value)}"
    return _value(source.target, current)


def _usage(target: MetricTarget, current: MetricValue) -> str:
    if target.average_value is not None:
        return f"{_shown(current.average_value)}/{target.average_value}"
    now = UNKNOWN if current.average_utilization is None else f"{current.average_utilization}%"
    wanted = "<auto>" if target.average_utilization is None else f"{target.average_utilization}%"
    return f"{now}/{wanted}"


def _value(target: MetricTarget, current: MetricValue) -> str:
    if target.average_value is not None:
        return f"{_shown(current.average_value)}/{target.average_value} (avg)"
    return f"{_shown(current.value)}/{_shown(target.value)}"


def _shown(value: object) -> str:
    return UNKNOWN if value is None else str(value)
