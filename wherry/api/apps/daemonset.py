"""DaemonSet: one pod on every node that matches. Behaviour: controllers/daemonset/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.api.apps.replica_rules import TEMPLATE_COLUMNS, check_label_match, check_never_ends, check_set_selector
from wherry.api.core.pod import PodTemplate
from wherry.api.core.pod.validation import check_template
from wherry.api.filling import fill_empty
from wherry.api.meta import NOTHING, Conditions, Selector
from wherry.machinery.field_errors import FieldError, invalid, not_supported, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE, label_text
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
STRATEGIES = ("OnDelete", "RollingUpdate")
GENERATION = "deprecated.daemonset.template.generation"
"""The annotation that counts versions of the template; old clients and the pods' labels know them by it."""
_COUNTS = ("currentNumberScheduled", "desiredNumberScheduled", "numberMisscheduled", "numberReady")

defaults.literal(APPS + "DaemonSetSpec", updateStrategy={}, revisionHistoryLimit=10)
defaults.literal(APPS + "RollingUpdateDaemonSet", maxUnavailable=1, maxSurge=0)
fill_empty(APPS + "DaemonSetUpdateStrategy", type="RollingUpdate")


@defaults(APPS + "DaemonSetUpdateStrategy")
def _bounds_of_a_rolling_update(strategy: dict[str, Any]) -> None:
    if strategy["type"] == "RollingUpdate":
        strategy.setdefault("rollingUpdate", {})


class RollingUpdate(View):
    """On how many nodes the pod may be missing, or on how many there may be two; one of them is 0."""

    max_unavailable: int | str = 1
    max_surge: int | str = 0


class UpdateStrategy(View):
    """RollingUpdate or OnDelete."""

    type: str = "RollingUpdate"
    rolling_update: RollingUpdate | None = None


class DaemonSetSpec(View):
    """Which pod, and how it is replaced."""

    selector: Selector = NOTHING
    template: PodTemplate = PodTemplate()
    update_strategy: UpdateStrategy = UpdateStrategy()
    min_ready_seconds: int = 0
    revision_history_limit: int | None = None


class DaemonSetStatus(View):
    """On how many nodes it is as it should be."""

    current_number_scheduled: int = 0
    number_misscheduled: int = 0
    desired_number_scheduled: int = 0
    number_ready: int = 0
    observed_generation: int = 0
    updated_number_scheduled: int = 0
    number_available: int = 0
    number_unavailable: int = 0
    collision_count: int | None = None
    conditions: Conditions = ()


class DaemonSet(Resource, group="apps", version="v1", short=("ds",), categories=("all",), subresources=("status",)):
    """One pod on every node that matches."""

    spec: DaemonSetSpec = DaemonSetSpec()
    status: DaemonSetStatus = DaemonSetStatus()

    counts_generations = True
    columns = (
        Column("Desired", lambda ds: ds.status.desired_number_scheduled, type="integer"),
        Column("Current", lambda ds: ds.status.current_number_scheduled, type="integer"),
        Column("Ready", lambda ds: ds.status.number_ready, type="integer"),
        Column("Up-to-date", lambda ds: ds.status.updated_number_scheduled, type="integer"),
        Column("Available", lambda ds: ds.status.number_available, type="integer"),
        Column("Node Selector", lambda ds: label_text(ds.spec.template.spec.node_selector)),
        AGE,
        *TEMPLATE_COLUMNS,
    )

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """The counts that clients insist on are there from the beginning; so is the number of the template."""
        draft["status"] = dict.fromkeys(_COUNTS, 0)
        _number_template(draft, 1)

    @classmethod
    def prepare_update(cls, draft: dict[str, Any], old: dict[str, Any]) -> None:
        """Count the versions of the template."""
        before = ((old["metadata"].get("annotations") or {}).get(GENERATION)) or "1"
        number = int(before) if before.isascii() and before.isdigit() and len(before) < 10 else 1
        is_same = draft.get("spec", {}).get("template") == old.get("spec", {}).get("template")
        _number_template(draft, number if is_same else number + 1)

    def validate(self, old: DaemonSet | None) -> Iterator[FieldError]:
        """Every broken rule of a DaemonSet."""
        yield from under("spec", _check_spec(self.spec))
        if old is not None:
            yield from unchanged("spec.selector", self.spec.selector.raw, old.spec.selector.raw)

    def validate_status(self, old: DaemonSet) -> Iterator[FieldError]:
        """Every broken rule of a status report."""
        for field, value in self.status.to_wire().items():
            if isinstance(value, int):
                yield from non_negative(f"status.{field}", value)
        if (self.status.collision_count or 0) < (old.status.collision_count or 0):
            yield invalid("status.collisionCount", self.status.collision_count, "cannot be decremented")


def _number_template(draft: dict[str, Any], number: int) -> None:
    metadata = draft["metadata"]
    metadata["annotations"] = {**(metadata.get("annotations") or {}), GENERATION: str(number)}


def _check_spec(spec: DaemonSetSpec) -> Iterator[FieldError]:
    yield from check_label_match(spec.selector, spec.template)
    yield from check_set_selector(spec.selector, "daemonset")
    yield from under("template", check_template(spec.template))
    yield from check_never_ends(spec.template, "DaemonSet")
    yield from non_negative("minReadySeconds", spec.min_ready_seconds)
    yield from under("updateStrategy", _check_strategy(spec.update_strategy))
    if spec.revision_history_limit is not None:
        yield from non_negative("revisionHistoryLimit", spec.revision_history_limit)


def _check_strategy(strategy: UpdateStrategy) -> Iterator[FieldError]:
    if strategy.type not in STRATEGIES:
        yield not_supported("", strategy.to_wire(), STRATEGIES)
    elif strategy.type == "RollingUpdate":
        if strategy.rolling_update is None:
            yield required("rollingUpdate")
        else:
            yield from under("rollingUpdate", _check_bounds(strategy.rolling_update))


def _check_bounds(bounds: RollingUpdate) -> Iterator[FieldError]:
    for field, value in (("maxUnavailable", bounds.max_unavailable), ("maxSurge", bounds.max_surge)):
        yield from check_amount_or_percent(field, value)
        yield from at_most_all(field, value)
    has_unavailable, has_surge = leading_number(bounds.max_unavailable) != 0, leading_number(bounds.max_surge) != 0
    if has_unavailable and has_surge:
        yield invalid("maxSurge", bounds.max_surge, "may not be set when maxUnavailable is non-zero")
    elif not has_unavailable and not has_surge:
        yield required("maxUnavailable", "cannot be 0 when maxSurge is 0")
