"""ReplicaSet: a fixed number of interchangeable pods. Behaviour: controllers/replicaset.py."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.api.apps.replica_rules import TEMPLATE_COLUMNS, check_counts, check_selector_and_template
from wherry.api.core.pod import PodTemplate
from wherry.api.meta import NOTHING, Conditions, Selector
from wherry.machinery.field_errors import FieldError
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import non_negative, unchanged, under
from wherry.machinery.view import View

defaults.literal("io.k8s.api.apps.v1.ReplicaSetSpec", replicas=1)


class ReplicaSetSpec(View):
    """How many pods, which ones, made how."""

    selector: Selector = NOTHING
    template: PodTemplate = PodTemplate()
    replicas: int = 1
    min_ready_seconds: int = 0


class ReplicaSetStatus(View):
    """How many pods there are, and how far along."""

    replicas: int = 0
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    terminating_replicas: int | None = None
    observed_generation: int = 0
    conditions: Conditions = ()


class ReplicaSet(
    Resource, group="apps", version="v1", short=("rs",), categories=("all",), subresources=("scale", "status")
):
    """A fixed number of interchangeable pods."""

    spec: ReplicaSetSpec = ReplicaSetSpec()
    status: ReplicaSetStatus = ReplicaSetStatus()

    counts_generations = True
    columns = (
        Column("Desired", lambda rs: rs.spec.replicas, type="integer"),
        Column("Current", lambda rs: rs.status.replicas, type="integer"),
        Column("Ready", lambda rs: rs.status.ready_replicas, type="integer"),
        AGE,
        *TEMPLATE_COLUMNS,
    )

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """The count that the schema requires is there from the beginning; clients insist on it."""
        draft["status"] = {"replicas": 0}

    def validate(self, old: ReplicaSet | None) -> Iterator[FieldError]:
        """Every broken rule of a ReplicaSet."""
        spec = self.spec
        yield from non_negative("spec.replicas", spec.replicas)
        yield from non_negative("spec.minReadySeconds", spec.min_ready_seconds)
        yield from under("spec", check_selector_and_template(spec.selector, spec.template))
        if old is not None:
            yield from unchanged("spec.selector", spec.selector.raw, old.spec.selector.raw)

    def validate_status(self, old: ReplicaSet) -> Iterator[FieldError]:
        """Every broken rule of a status report."""
        status = self.status
        return check_counts(
            status,
            ("fullyLabeledReplicas", status.fully_labeled_replicas),
            ("readyReplicas", status.ready_replicas),
            ("availableReplicas", status.available_replicas),
        )
