"""PodDisruptionBudget: how many pods must stay when others are evicted. Asked by pods/eviction."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from wherry.api.meta import NOTHING, Conditions, Selector
from wherry.machinery.field_errors import FieldError, invalid, not_supported
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import at_most_all, check_amount_or_percent, check_selector, non_negative, under
from wherry.machinery.view import View

EVICTION_POLICIES = ("AlwaysAllow", "IfHealthyBudget")


class PodDisruptionBudgetSpec(View):
    """How many of which pods; numbers or percentages, of which one is set. An empty selector means all pods."""

    selector: Selector = NOTHING
    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    unhealthy_pod_eviction_policy: str | None = None


class PodDisruptionBudgetStatus(View):
    """How many more may go now. `disrupted_pods`: evicted, but not yet seen to be gone."""

    observed_generation: int = 0
    disrupted_pods: dict[str, datetime] = {}
    disruptions_allowed: int = 0
    current_healthy: int = 0
    desired_healthy: int = 0
    expected_pods: int = 0
    conditions: Conditions = ()


def _limit(value: int | str | None) -> str:
    return "N/A" if value is None else str(value)


class PodDisruptionBudget(Resource, group="policy", version="v1", short=("pdb",), subresources=("status",)):
    """How many pods must stay when others are evicted."""

    spec: PodDisruptionBudgetSpec = PodDisruptionBudgetSpec()
    status: PodDisruptionBudgetStatus = PodDisruptionBudgetStatus()

    counts_generations = True
    unconditional_update = False
    columns = (
        Column("Min Available", lambda budget: _limit(budget.spec.min_available)),
        Column("Max Unavailable", lambda budget: _limit(budget.spec.max_unavailable)),
        Column("Allowed Disruptions", lambda budget: budget.status.disruptions_allowed, type="integer"),
        AGE,
    )

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """The counts that the schema requires are there from the beginning; clients insist on them."""
        counts = ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods")
        draft["status"] = dict.fromkeys(counts, 0)

    def validate(self, old: PodDisruptionBudget | None) -> Iterator[FieldError]:
        """Every broken rule of a budget."""
        return under("spec", _check_spec(self.spec))

    def validate_status(self, old: PodDisruptionBudget) -> Iterator[FieldError]:
        """Every broken rule of a status report."""
        status = self.status
        yield from non_negative("status.disruptionsAllowed", status.disruptions_allowed)
        yield from non_negative("status.currentHealthy", status.current_healthy)
        yield from non_negative("status.desiredHealthy", status.desired_healthy)
        yield from non_negative("status.expectedPods", status.expected_pods)


def _check_spec(spec: PodDisruptionBudgetSpec) -> Iterator[FieldError]:
    if spec.min_available is not None and spec.max_unavailable is not None:
        yield invalid("", spec.to_wire(), "minAvailable and maxUnavailable cannot be both set")
    for field, value in (("minAvailable", spec.min_available), ("maxUnavailable", spec.max_unavailable)):
        if value is not None:
            yield from check_amount_or_percent(field, value)
            yield from at_most_all(field, value)
    if spec.unhealthy_pod_eviction_policy not in (None, *EVICTION_POLICIES):
        yield not_supported("unhealthyPodEvictionPolicy", spec.unhealthy_pod_eviction_policy, EVICTION_POLICIES)
    yield from check_selector("selector", spec.selector.raw)
