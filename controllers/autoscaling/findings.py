"""Findings: what a decision tells people, gathered while it is made: conditions, readings and events."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from controllers.autoscaling.asked import Proposal, Refusal
from controllers.autoscaling.seen import Target
from wherry.api.autoscaling.horizontal_pod_autoscaler import HorizontalPodAutoscaler
from wherry.api.autoscaling.metric_views import MetricStatus
from wherry.api.meta import Condition, with_condition
from wherry.client.plan import Event
from wherry.machinery.selectors import parse_label_selector


class Findings:
    """See the module. Begins with what the status says already."""

    def __init__(self, hpa: HorizontalPodAutoscaler, now: datetime) -> None:
        self._hpa, self._now = hpa, now
        self._conditions = hpa.status.conditions
        self._readings: tuple[MetricStatus, ...] | None = None
        self.current, self.desired = hpa.status.current_replicas, hpa.status.desired_replicas
        self.scaled_at = hpa.status.last_scale_time
        self.events: list[Event] = []

    def able(self, status: bool, reason: str, message: str) -> None:
        """AbleToScale: whether the number can be read and written."""
        self._condition("AbleToScale", status, reason, message)

    def active(self, status: bool, reason: str, message: str) -> None:
        """ScalingActive: whether the metrics say anything."""
        self._condition("ScalingActive", status, reason, message)

    def limited(self, status: bool, reason: str, message: str) -> None:
        """ScalingLimited: whether bounds or speed stand in the way."""
        self._condition("ScalingLimited", status, reason, message)

    def _condition(self, type: str, status: bool, reason: str, message: str) -> None:
        new = Condition(type=type, status=str(status), reason=reason, message=message)
        self._conditions = with_condition(self._conditions, new, self._now)

    def tell(self, reason: str, message: str) -> None:
        """An event of the usual kind."""
        self.events.append(Event(self._hpa, reason, message))

    def warn(self, reason: str, message: str) -> None:
        """An event that something is wrong."""
        self.events.append(Event(self._hpa, reason, message, "Warning"))

    def read(self, answers: Sequence[Proposal | Refusal]) -> None:
        """What each metric says now, in the order of the spec."""
        self._readings = tuple(answer.reading if isinstance(answer, Proposal) else MetricStatus() for answer in answers)

    def can_select(self, target: Target, rivals: Sequence[str]) -> bool:
        """Whether the target's selector says which pods are meant, and they are nobody else's."""
        if not target.selector:
            self.warn("SelectorRequired", "selector is required")
            self.active(False, "InvalidSelector", "the HPA target's scale is missing a selector")
            return False
        try:
            parse_label_selector(target.selector)
        except ValueError as error:
            why = f"couldn't convert selector into a corresponding internal selector object: {error}"
            self.warn("InvalidSelector", why)
            self.active(False, "InvalidSelector", why)
            return False
        if rivals:
            named = " ".join(rivals)
            why = f"pods by selector {target.selector} are controlled by multiple HPAs: [{named}]"
            self.warn("AmbiguousSelector", why)
            self.active(False, "AmbiguousSelector", why)
            return False
        return True

    def refuse(self, refusals: Sequence[Refusal], count: int) -> None:
        """Too many metrics said nothing; the first of them speaks for all."""
        first = refusals[0]
        self.active(False, first.reason, f"the HPA was unable to compute the replica count: {first.why}")
        invalid = f"invalid metrics ({len(refusals)} invalid out of {count}), first error is: {first.summary}"
        self.warn("FailedComputeMetricsReplicas", invalid)

    def keep_desired(self) -> None:
        """The status goes on to say what was wished for last."""
        self.desired = self._hpa.status.desired_replicas

    def reported(self) -> HorizontalPodAutoscaler:
        """The autoscaler with the status that says all this."""
        return self._hpa.with_status(
            current_replicas=self.current,
            desired_replicas=self.desired,
            last_scale_time=self.scaled_at,
            current_metrics=self._hpa.status.current_metrics if self._readings is None else self._readings,
            conditions=self._conditions,
        )
