"""HorizontalPodAutoscaler as `autoscaling/v1` shows it; stored as v2, see `first_version.py`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

import msgspec

from wherry.api.autoscaling.first_version import from_v1
from wherry.api.autoscaling.horizontal_pod_autoscaler import HorizontalPodAutoscaler
from wherry.api.autoscaling.metric_views import CrossVersionObjectReference
from wherry.machinery.field_errors import FieldError
from wherry.machinery.resource import Resource
from wherry.machinery.schema import defaults
from wherry.machinery.view import View

defaults.literal("io.k8s.api.autoscaling.v1.HorizontalPodAutoscalerSpec", minReplicas=1)


class HorizontalPodAutoscalerV1Spec(View):
    """What to scale, between which bounds, by how much cpu."""

    scale_target_ref: CrossVersionObjectReference = CrossVersionObjectReference()
    min_replicas: int | None = None
    max_replicas: int = 0
    cpu_percent: int | None = msgspec.field(name="targetCPUUtilizationPercentage", default=None)


class HorizontalPodAutoscalerV1Status(View):
    """How many there are and should be."""

    observed_generation: int | None = None
    last_scale_time: datetime | None = None
    current_replicas: int = 0
    desired_replicas: int = 0
    cpu_percent: int | None = msgspec.field(name="currentCPUUtilizationPercentage", default=None)


def _as_stored(cell: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A cell that reads the second version."""
    return lambda hpa: cell(HorizontalPodAutoscaler.read(from_v1(hpa.to_wire())))


class HorizontalPodAutoscalerV1(
    Resource,
    group="autoscaling",
    version="v1",
    name="HorizontalPodAutoscaler",
    plural="horizontalpodautoscalers",
    short=("hpa",),
    categories=("all",),
    subresources=("status",),
):
    """As many replicas of something as the load asks for, in the terms of the first version."""

    spec: HorizontalPodAutoscalerV1Spec = HorizontalPodAutoscalerV1Spec()
    status: HorizontalPodAutoscalerV1Status = HorizontalPodAutoscalerV1Status()

    columns = tuple(column._replace(cell=_as_stored(column.cell)) for column in HorizontalPodAutoscaler.columns)

    def validate(self, old: HorizontalPodAutoscalerV1 | None) -> Iterator[FieldError]:
        """Every broken rule, as of the form in which it is stored."""
        return HorizontalPodAutoscaler.read(from_v1(self.to_wire())).validate(None)
