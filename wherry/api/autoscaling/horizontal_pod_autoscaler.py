"""HorizontalPodAutoscaler: as many replicas of something as the load asks for; see controllers/autoscaling/.

Stored and read in the form of `autoscaling/v2`; `autoscaler_v1.py` is the same object for clients of `autoscaling/v1`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from wherry.api.autoscaling.autoscaler_rules import check_autoscaler
from wherry.api.autoscaling.metric_texts import targets_text
from wherry.api.autoscaling.metric_views import CrossVersionObjectReference, MetricSpec, MetricStatus
from wherry.api.meta import Conditions
from wherry.machinery.field_errors import FieldError
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import non_negative, under
from wherry.machinery.view import View

V2 = "io.k8s.api.autoscaling.v2."
DEFAULT_CPU_PERCENT = 80

defaults.literal(V2 + "HorizontalPodAutoscalerSpec", minReplicas=1)


def cpu_metric(percent: int) -> dict[str, Any]:
    """The metric, as JSON, that keeps pods at so many percent of the cpu they request."""
    target = {"type": "Utilization", "averageUtilization": percent}
    return {"type": "Resource", "resource": {"name": "cpu", "target": target}}


@defaults(V2 + "HorizontalPodAutoscalerSpec")
def _something_to_look_at(spec: dict[str, Any]) -> None:
    if not spec.get("metrics"):
        spec["metrics"] = [cpu_metric(DEFAULT_CPU_PERCENT)]


@defaults(V2 + "HorizontalPodAutoscalerBehavior")
def _rules_of_speed(behavior: dict[str, Any]) -> None:
    """Kubernetes: SetDefaults_HorizontalPodAutoscalerBehavior. The window for scaling down is the controller's."""
    doubling = {"type": "Percent", "value": 100, "periodSeconds": 15}
    up, down = behavior.setdefault("scaleUp", {}), behavior.setdefault("scaleDown", {})
    up.setdefault("stabilizationWindowSeconds", 0)
    for rules, policies in ((up, [{"type": "Pods", "value": 4, "periodSeconds": 15}, doubling]), (down, [doubling])):
        rules.setdefault("selectPolicy", "Max")
        if rules.get("policies") is None:
            rules["policies"] = policies


class ScalingPolicy(View):
    """At most so many pods, or percent of them, in so many seconds."""

    type: str = ""
    value: int = 0
    period_seconds: int = 0


class ScalingRules(View):
    """How fast in one direction. `tolerance` is a share such as 0.1."""

    stabilization_window_seconds: int | None = None
    select_policy: str | None = None
    policies: tuple[ScalingPolicy, ...] = ()
    tolerance: Quantity | None = None


class ScalingBehavior(View):
    """How fast up, and how fast down."""

    scale_up: ScalingRules | None = None
    scale_down: ScalingRules | None = None


class HorizontalPodAutoscalerSpec(View):
    """What to scale, between which bounds, by which numbers."""

    scale_target_ref: CrossVersionObjectReference = CrossVersionObjectReference()
    min_replicas: int | None = None
    max_replicas: int = 0
    metrics: tuple[MetricSpec, ...] = ()
    behavior: ScalingBehavior | None = None


class HorizontalPodAutoscalerStatus(View):
    """How many there are and should be, and why."""

    observed_generation: int | None = None
    last_scale_time: datetime | None = None
    current_replicas: int = 0
    desired_replicas: int = 0
    current_metrics: tuple[MetricStatus, ...] = ()
    conditions: Conditions = ()


class HorizontalPodAutoscaler(
    Resource, group="autoscaling", version="v2", short=("hpa",), categories=("all",), subresources=("status",)
):
    """As many replicas of something as the load asks for."""

    spec: HorizontalPodAutoscalerSpec = HorizontalPodAutoscalerSpec()
    status: HorizontalPodAutoscalerStatus = HorizontalPodAutoscalerStatus()

    columns = (
        Column("Reference", lambda hpa: f"{hpa.spec.scale_target_ref.kind}/{hpa.spec.scale_target_ref.name}"),
        Column("Targets", lambda hpa: targets_text(hpa.spec.metrics, hpa.status.current_metrics)),
        Column("MinPods", lambda hpa: "<unset>" if hpa.spec.min_replicas is None else str(hpa.spec.min_replicas)),
        Column("MaxPods", lambda hpa: hpa.spec.max_replicas, type="integer"),
        Column("Replicas", lambda hpa: hpa.status.current_replicas, type="integer"),
        AGE,
    )

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """The count that the schema requires is there from the beginning."""
        draft["status"] = {"desiredReplicas": 0}

    def validate(self, old: HorizontalPodAutoscaler | None) -> Iterator[FieldError]:
        """Every broken rule of an autoscaler."""
        return under("spec", check_autoscaler(self.spec))

    def validate_status(self, old: HorizontalPodAutoscaler) -> Iterator[FieldError]:
        """Every broken rule of a status report."""
        yield from non_negative("status.currentReplicas", self.status.current_replicas)
        yield from non_negative("status.desiredReplicas", self.status.desired_replicas)
