"""Metrics of type Resource and ContainerResource: what pods use of cpu or memory."""

from __future__ import annotations

from controllers.autoscaling import arithmetic
from controllers.autoscaling.asked import Asked, Proposal, groups_of
from controllers.autoscaling.pods import Unmeasured, requests_of
from controllers.autoscaling.samples import samples_of
from wherry.api.autoscaling.metric_views import (
    ContainerResourceReading,
    MetricStatus,
    MetricTarget,
    MetricValue,
    ResourceReading,
)
from wherry.machinery.quantity import Quantity


def of_resource(asked: Asked) -> Proposal:
    """What pods use."""
    source = asked.spec.resource
    if source is None:
        raise Unmeasured("invalid metric source: it names no resource")
    replicas, current = _usage(asked, source.name, "", source.target)
    reading = MetricStatus(type="Resource", resource=ResourceReading(name=source.name, current=current))
    kind = "resource" if current.average_utilization is None else "resource utilization (percentage of request)"
    return Proposal(replicas, f"{source.name} {kind}", reading)


def of_container(asked: Asked) -> Proposal:
    """What one container of each pod uses."""
    source = asked.spec.container_resource
    if source is None:
        raise Unmeasured("invalid metric source: it names no resource of a container")
    replicas, current = _usage(asked, source.name, source.container, source.target)
    read = ContainerResourceReading(name=source.name, container=source.container, current=current)
    kind = "resource" if current.average_utilization is None else "resource utilization (percentage of request)"
    name = f"{source.name} container {kind}"
    return Proposal(replicas, name, MetricStatus(type="ContainerResource", container_resource=read))


def _usage(asked: Asked, resource: str, container: str, target: MetricTarget) -> tuple[int, MetricValue]:
    """Replicas for a use of cpu or memory, as a whole or in percent of what is requested."""
    kind = "usage" if target.average_value is not None else "utilization"
    try:
        samples = samples_of(asked.seen, resource, container)
        values = {name: sample.millis for name, sample in samples.items()}
        pods = arithmetic.Pods(asked.target.replicas, groups_of(asked, samples, resource), asked.tolerance)
        if target.average_value is not None:
            replicas, average = arithmetic.by_average(pods, values, target.average_value.millis)
            return replicas, MetricValue(average_value=Quantity.from_millis(average))
        if target.average_utilization is None:
            raise Unmeasured("neither a utilization target nor a value (usage) target was set")
        requests = requests_of(asked.seen.pods, resource, container)
        replicas, percent, average = arithmetic.by_utilization(pods, values, requests, target.average_utilization)
    except Unmeasured as error:
        raise Unmeasured(f"failed to get {resource} {kind}: {error}") from None
    return replicas, MetricValue(average_utilization=percent, average_value=Quantity.from_millis(average))
