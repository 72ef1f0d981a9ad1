"""`autoscaling/v1` and `autoscaling/v2`: the same autoscaler, as JSON, in either form. Pure.

The first version knows one metric, the percentage of requested cpu. What else there is travels in annotations, as JSON
with the first version's names of fields, so that nothing is lost on the way there and back.

Kubernetes: pkg/apis/autoscaling/v1/conversion.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from wherry.api.autoscaling.horizontal_pod_autoscaler import DEFAULT_CPU_PERCENT, cpu_metric
from wherry.machinery.errors import BadRequest

Json = dict[str, Any]
Path = tuple[str, ...]

_PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, READINGS = _PREFIX + "metrics", _PREFIX + "current-metrics"
CONDITIONS, BEHAVIOR = _PREFIX + "conditions", _PREFIX + "behavior"
_CARRIERS = (METRICS, READINGS, CONDITIONS, BEHAVIOR)

# Fields of the first version, and where the second one has them.
_USAGE: dict[str, Path] = {
    "name": ("name",),
    "targetAverageUtilization": ("target", "averageUtilization"),
    "targetAverageValue": ("target", "averageValue"),
}
_SOURCES: dict[str, dict[str, Path]] = {
    "resource": _USAGE,
    "containerResource": {**_USAGE, "container": ("container",)},
    "pods": {
        "metricName": ("metric", "name"),
        "selector": ("metric", "selector"),
        "targetAverageValue": ("target", "averageValue"),
    },
    "object": {
        "target": ("describedObject",),
        "metricName": ("metric", "name"),
        "selector": ("metric", "selector"),
        "targetValue": ("target", "value"),
        "averageValue": ("target", "averageValue"),
    },
    "external": {
        "metricName": ("metric", "name"),
        "metricSelector": ("metric", "selector"),
        "targetValue": ("target", "value"),
        "targetAverageValue": ("target", "averageValue"),
    },
}
_KINDS = {"averageUtilization": "Utilization", "averageValue": "AverageValue", "value": "Value"}


def _of_readings(fields: Mapping[str, Path]) -> dict[str, Path]:
    """The same for what a source says now: `currentAverageValue` instead of `targetAverageValue`."""
    return {
        name.replace("target", "current") if len(path) > 1 else name: tuple(
            "current" if part == "target" else part for part in path
        )
        for name, path in fields.items()
    }


_READINGS = {source: _of_readings(fields) for source, fields in _SOURCES.items()}


def to_v1(draft: Json) -> Json:
    """An autoscaler of the second version as the first one shows it."""
    spec, status = dict(draft.get("spec") or {}), dict(draft.get("status") or {})
    metrics, behavior = spec.pop("metrics", None) or [], spec.pop("behavior", None)
    readings, conditions = status.pop("currentMetrics", None) or [], status.pop("conditions", None) or []
    cpu = next((percent for metric in metrics if (percent := _cpu_percent(metric)) is not None), None)
    if cpu is not None:
        spec["targetCPUUtilizationPercentage"] = cpu
    now = next((percent for reading in readings if (percent := _cpu_now(reading)) is not None), None)
    if now is not None:
        status["currentCPUUtilizationPercentage"] = now
    carried = {
        METRICS: [_renamed(metric, _SOURCES) for metric in metrics if _cpu_percent(metric) is None],
        READINGS: [_renamed(reading, _READINGS) for reading in readings],
        CONDITIONS: conditions,
        BEHAVIOR: behavior,
    }
    added = {name: orjson.dumps(value).decode() for name, value in carried.items() if value}
    return _whole(draft, "autoscaling/v1", spec, status, added)


def from_v1(draft: Json) -> Json:
    """An autoscaler of the first version as it is stored; BadRequest for an annotation that cannot be read."""
    spec, status = dict(draft.get("spec") or {}), dict(draft.get("status") or {})
    metrics = [_original(metric, _SOURCES) for metric in _carried(draft, METRICS, list)]
    cpu = spec.pop("targetCPUUtilizationPercentage", None)
    if cpu is not None or not metrics:
        metrics.insert(0, cpu_metric(DEFAULT_CPU_PERCENT if cpu is None else cpu))
    spec["metrics"] = metrics
    if behavior := _carried(draft, BEHAVIOR, dict):
        spec["behavior"] = behavior
    status.pop("currentCPUUtilizationPercentage", None)  # the readings have it
    if readings := [_original(reading, _READINGS) for reading in _carried(draft, READINGS, list)]:
        status["currentMetrics"] = readings
    if conditions := _carried(draft, CONDITIONS, list):
        status["conditions"] = conditions
    return _whole(draft, "autoscaling/v2", spec, status, {})


def _whole(draft: Json, api_version: str, spec: Json, status: Json, annotations: Mapping[str, str]) -> Json:
    metadata = dict(draft.get("metadata") or {})
    before = metadata.pop("annotations", None) or {}
    kept = {name: text for name, text in before.items() if name not in _CARRIERS} | dict(annotations)
    metadata |= {"annotations": kept} if kept else {}
    whole = {"kind": "HorizontalPodAutoscaler", "apiVersion": api_version, "metadata": metadata, "spec": spec}
    return whole | ({"status": status} if status else {})


def _cpu_percent(metric: Json) -> int | None:
    resource = metric.get("resource") or {}
    is_cpu = metric.get("type") == "Resource" and resource.get("name") == "cpu"
    return (resource.get("target") or {}).get("averageUtilization") if is_cpu else None


def _cpu_now(reading: Json) -> int | None:
    resource = reading.get("resource") or {}
    is_cpu = reading.get("type") == "Resource" and resource.get("name") == "cpu"
    return (resource.get("current") or {}).get("averageUtilization") if is_cpu else None


def _carried(draft: Json, name: str, shape: Any) -> Any:
    text = ((draft.get("metadata") or {}).get("annotations") or {}).get(name)
    if not text:
        return shape()
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"metadata.annotations[{name}]: {error}, seen {text[:64]!r}") from None
    if not isinstance(value, shape) or (shape is list and not all(isinstance(item, dict) for item in value)):
        expected = "a list of objects" if shape is list else "an object"
        raise BadRequest(f"metadata.annotations[{name}]: {expected} is expected, seen {text[:64]!r}")
    return value


def _renamed(metric: Json, tables: Mapping[str, Mapping[str, Path]]) -> Json:
    """A metric with the names of the first version."""
    result = {"type": metric.get("type", "")}
    for source, fields in tables.items():
        if (given := metric.get(source)) is not None:
            found = {name: _at(given, path) for name, path in fields.items()}
            result[source] = {name: value for name, value in found.items() if value is not None}
    return result


def _original(metric: Json, tables: Mapping[str, Mapping[str, Path]]) -> Json:
    """The way back of `_renamed`."""
    result = {"type": metric.get("type", "")}
    for source, fields in tables.items():
        given = metric.get(source)
        if not isinstance(given, dict):
            continue
        built: Json = {}
        for name, path in fields.items():
            if name in given:
                _put(built, path, given[name])
        if "target" in built and isinstance(built["target"], dict):
            built["target"]["type"] = next((kind for field, kind in _KINDS.items() if field in built["target"]), "")
        result[source] = built
    return result


def _at(value: Any, path: Path) -> Any:
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return value


def _put(into: Json, path: Path, value: Any) -> None:
    for part in path[:-1]:
        into = into.setdefault(part, {})
    into[path[-1]] = value
