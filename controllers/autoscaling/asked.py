"""What is asked of one metric, and the two ways to answer."""

from __future__ import annotations

from typing import NamedTuple

from controllers.autoscaling.arithmetic import Tolerance
from controllers.autoscaling.pods import Groups, Unmeasured, grouped
from controllers.autoscaling.seen import Samples, Seen, Target
from wherry.api.autoscaling.metric_views import MetricSpec, MetricStatus

NO_PODS = "no pods returned by selector while calculating replica count"


class Proposal(NamedTuple):
    """So many replicas, because of the metric of that name, whose reading goes into the status."""

    replicas: int
    name: str
    reading: MetricStatus


class Refusal(NamedTuple):
    """Why a metric proposes nothing: `reason` and `why` for the condition, `summary` for the error of them all."""

    reason: str
    why: str
    summary: str


class Asked(NamedTuple):
    """A metric and all there is to answer it with."""

    spec: MetricSpec
    place: int
    seen: Seen
    target: Target
    tolerance: Tolerance


def groups_of(asked: Asked, samples: Samples, resource: str) -> Groups:
    """What the pods' numbers are worth; Unmeasured if there are no pods."""
    if not asked.seen.pods:
        raise Unmeasured(NO_PODS)
    return grouped(asked.seen.pods, samples, resource, asked.seen.now)
