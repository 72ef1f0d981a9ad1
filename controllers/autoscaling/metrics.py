"""One metric after the other: what it says, and how many replicas it asks for. Kubernetes: computeReplicasForMetric."""

from __future__ import annotations

from collections.abc import Callable

from controllers.autoscaling.arithmetic import Tolerance
from controllers.autoscaling.asked import Asked, Proposal, Refusal
from controllers.autoscaling.numbers import of_external, of_object, of_pods
from controllers.autoscaling.pods import Unmeasured
from controllers.autoscaling.seen import Seen, Target
from controllers.autoscaling.usage import of_container, of_resource
from wherry.api.autoscaling.metric_views import MetricSpec


def proposal(place: int, spec: MetricSpec, seen: Seen, target: Target, tolerance: Tolerance) -> Proposal | Refusal:
    """What the metric at this place of the spec asks for."""
    try:
        return _ANSWERS[spec.type](Asked(spec, place, seen, target, tolerance))
    except Unmeasured as error:
        return Refusal(f"FailedGet{spec.type}Metric", str(error), f"failed to get {_named(spec)} value: {error}")


def _named(spec: MetricSpec) -> str:
    if spec.resource is not None:
        return f"{spec.resource.name} resource metric"
    if spec.container_resource is not None:
        return f"{spec.container_resource.container} container metric"
    if spec.external is not None:
        return f"{spec.external.metric.name} external metric"
    return "object metric" if spec.object is not None else "pods metric"


_ANSWERS: dict[str, Callable[[Asked], Proposal]] = {
    "Resource": of_resource,
    "ContainerResource": of_container,
    "Pods": of_pods,
    "Object": of_object,
    "External": of_external,
}
