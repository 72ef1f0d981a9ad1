"""Metrics of type Pods, Object and External: numbers that other APIs than that of resources know."""

from __future__ import annotations

from collections.abc import Mapping

from controllers.autoscaling import arithmetic
from controllers.autoscaling.asked import Asked, Proposal, groups_of
from controllers.autoscaling.pods import Unmeasured, count_ready
from controllers.autoscaling.seen import Missing
from wherry.api.autoscaling.metric_views import (
    ExternalReading,
    ExternalSource,
    MetricStatus,
    MetricValue,
    ObjectReading,
    ObjectSource,
    PodsReading,
)
from wherry.api.meta import Selector
from wherry.machinery.quantity import Quantity


def of_pods(asked: Asked) -> Proposal:
    """A number that each pod has."""
    source = asked.spec.pods
    if source is None or source.target.average_value is None:
        raise Unmeasured("invalid metric source: it names no metric of pods")
    samples = asked.seen.values.get(asked.place, Missing("nobody was asked"))
    if not isinstance(samples, Mapping):
        raise Unmeasured(f"unable to get metric {source.metric.name}: {_why(samples)}")
    pods = arithmetic.Pods(asked.target.replicas, groups_of(asked, samples, ""), asked.tolerance)
    values = {name: sample.millis for name, sample in samples.items()}
    replicas, average = arithmetic.by_average(pods, values, source.target.average_value.millis)
    read = PodsReading(metric=source.metric, current=MetricValue(average_value=Quantity.from_millis(average)))
    return Proposal(replicas, f"pods metric {source.metric.name}", MetricStatus(type="Pods", pods=read))


def of_object(asked: Asked) -> Proposal:
    """A number that one object has."""
    source = asked.spec.object
    if source is None:
        raise Unmeasured("invalid metric source: it names no object")
    described = source.described_object
    namespace = asked.target.obj.metadata.namespace
    where = f"on {described.kind} {namespace}/{described.name}"
    replicas, current = _number(asked, source, f"unable to get metric {source.metric.name}: {{}} {where}")
    read = ObjectReading(described_object=described, metric=source.metric, current=current)
    name = f"{described.kind} metric {source.metric.name}"
    if source.target.average_value is not None:
        name = f"external metric {source.metric.name}({_selector_text(source.metric.selector)})"
    return Proposal(replicas, name, MetricStatus(type="Object", object=read))


def of_external(asked: Asked) -> Proposal:
    """A number from outside the cluster."""
    source = asked.spec.external
    if source is None:
        raise Unmeasured("invalid metric source: it names no external metric")
    selector = _selector_text(source.metric.selector)
    place = f"{asked.target.obj.metadata.namespace}/{source.metric.name}/{selector}"
    prefix = f"failed to get {source.metric.name} external metric: unable to get external metric {place}: "
    replicas, current = _number(asked, source, prefix + "{}")
    read = ExternalReading(metric=source.metric, current=current)
    name = f"external metric {source.metric.name}({selector})"
    return Proposal(replicas, name, MetricStatus(type="External", external=read))


def _number(asked: Asked, source: ObjectSource | ExternalSource, error: str) -> tuple[int, MetricValue]:
    """Replicas for one number, of which each replica should have a share, or that should be so much as a whole."""
    usage = asked.seen.values.get(asked.place, Missing("nobody was asked"))
    if not isinstance(usage, int):
        raise Unmeasured(error.format(_why(usage)))
    wanted, target = source.target, asked.target
    if wanted.average_value is not None:
        replicas, share = arithmetic.by_share(target.current, usage, wanted.average_value.millis, asked.tolerance)
        return replicas, MetricValue(average_value=Quantity.from_millis(share))
    if wanted.value is None:
        raise Unmeasured("neither a value target nor an average value target was set")
    pods, tolerance = asked.seen.pods, asked.tolerance
    replicas = arithmetic.by_total(target.replicas, usage, wanted.value.millis, lambda: count_ready(pods), tolerance)
    return replicas, MetricValue(value=Quantity.from_millis(usage))


def _why(answer: object) -> str:
    return answer.why if isinstance(answer, Missing) else "the answer is of another kind of metric"


def _selector_text(selector: Selector | None) -> str:
    """A selector as Go prints it, which events and conditions show."""
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted(selector.match_labels.items()))
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{}},}}"
    )
