"""Deployment: ReplicaSets, one per version of the template, rolled from old to new; see controllers/deployment/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.api.apps.replica_rules import TEMPLATE_COLUMNS, check_counts, check_selector_and_template
from wherry.api.core.pod import PodTemplate
from wherry.api.filling import fill_empty
from wherry.api.meta import NOTHING, Conditions, Selector
from wherry.machinery.field_errors import FieldError, forbidden, invalid, not_supported, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import (
    at_most_all,
    check_amount_or_percent,
    leading_number,
    non_negative,
    unchanged,
    under,
)
from wherry.machinery.view import View

APPS = "io.k8s.api.apps.v1."
STRATEGIES = ("Recreate", "RollingUpdate")

defaults.literal(APPS + "DeploymentSpec", replicas=1, strategy={}, revisionHistoryLimit=10, progressDeadlineSeconds=600)
defaults.literal(APPS + "RollingUpdateDeployment", maxUnavailable="25%", maxSurge="25%")
fill_empty(APPS + "DeploymentStrategy", type="RollingUpdate")


@defaults(APPS + "DeploymentStrategy")
def _bounds_of_a_rolling_update(strategy: dict[str, Any]) -> None:
    if strategy["type"] == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {})


class RollingUpdate(View):
    """Bounds of a roll-out, as a number of pods or a percentage of the replicas."""

    max_unavailable: int | str = "25%"
    max_surge: int | str = "25%"


class DeploymentStrategy(View):
    """RollingUpdate or Recreate."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class DeploymentSpec(View):
    """How many pods, made how, replaced how."""

    selector: Selector = NOTHING
    template: PodTemplate = PodTemplate()
    replicas: int = 1
    strategy: DeploymentStrategy = DeploymentStrategy()
    min_ready_seconds: int = 0
    revision_history_limit: int | None = None
    progress_deadline_seconds: int | None = None
    paused: bool = False


class DeploymentStatus(View):
    """How far the roll-out is."""

    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    terminating_replicas: int | None = None
    collision_count: int | None = None
    conditions: Conditions = ()


class Deployment(
    Resource, group="apps", version="v1", short=("deploy",), categories=("all",), subresources=("scale", "status")
):
    """ReplicaSets, one per version of the template, rolled from old to new."""

    spec: DeploymentSpec = DeploymentSpec()
    status: DeploymentStatus = DeploymentStatus()

    counts_generations = True
    kept_by_status_writes = ("labels",)
    columns = (
        Column("Ready", lambda deployment: f"{deployment.status.ready_replicas}/{deployment.spec.replicas}"),
        Column("Up-to-date", lambda deployment: deployment.status.updated_replicas),
        Column("Available", lambda deployment: deployment.status.available_replicas),
        AGE,
        *TEMPLATE_COLUMNS,
    )

    def validate(self, old: Deployment | None) -> Iterator[FieldError]:
        """Every broken rule of a Deployment."""
        yield from under("spec", _check_spec(self.spec))
        if old is not None:
            yield from unchanged("spec.selector", self.spec.selector.raw, old.spec.selector.raw)

    def validate_status(self, old: Deployment) -> Iterator[FieldError]:
        """Every broken rule of a status report."""
        status = self.status
        yield from check_counts(
            status,
            ("updatedReplicas", status.updated_replicas),
            ("readyReplicas", status.ready_replicas),
            ("availableReplicas", status.available_replicas),
        )
        if (status.collision_count or 0) < (old.status.collision_count or 0):
            yield invalid("status.collisionCount", status.collision_count, "cannot be decremented")


def _check_spec(spec: DeploymentSpec) -> Iterator[FieldError]:
    yield from non_negative("replicas", spec.replicas)
    yield from check_selector_and_template(spec.selector, spec.template)
    yield from under("strategy", _check_strategy(spec.strategy))
    yield from non_negative("minReadySeconds", spec.min_ready_seconds)
    if spec.revision_history_limit is not None:
        yield from non_negative("revisionHistoryLimit", spec.revision_history_limit)
    deadline = spec.progress_deadline_seconds
    if deadline is not None:
        yield from non_negative("progressDeadlineSeconds", deadline)
        if deadline <= spec.min_ready_seconds:
            yield invalid("progressDeadlineSeconds", deadline, "must be greater than minReadySeconds")


def _check_strategy(strategy: DeploymentStrategy) -> Iterator[FieldError]:
    if strategy.type not in STRATEGIES:
        yield not_supported("type", strategy.type, STRATEGIES)
    elif strategy.type == "Recreate":
        if strategy.rolling_update is not None:
            yield forbidden("rollingUpdate", "may not be specified when strategy `type` is 'Recreate'")
    elif strategy.rolling_update is None:
        yield required("rollingUpdate", "this should be defaulted and never be nil")
    else:
        yield from under("rollingUpdate", _check_bounds(strategy.rolling_update))


def _check_bounds(bounds: RollingUpdate) -> Iterator[FieldError]:
    yield from check_amount_or_percent("maxUnavailable", bounds.max_unavailable)
    yield from check_amount_or_percent("maxSurge", bounds.max_surge)
    if leading_number(bounds.max_unavailable) == 0 and leading_number(bounds.max_surge) == 0:
        yield invalid("maxUnavailable", bounds.max_unavailable, "may not be 0 when `maxSurge` is 0")
    yield from at_most_all("maxUnavailable", bounds.max_unavailable)
