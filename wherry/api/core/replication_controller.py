"""ReplicationController: what ReplicaSets were before there were Deployments; its selector knows equality only.

Behaviour: controllers/replicationcontroller.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.api.apps.replica_rules import TEMPLATE_COLUMNS, check_counts, check_never_ends
from wherry.api.core.pod import PodTemplate
from wherry.api.core.pod.validation import check_template
from wherry.api.meta import Conditions
from wherry.machinery.field_errors import FieldError, invalid, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE, label_text
from wherry.machinery.validation import non_negative, under
from wherry.machinery.view import View

CORE = "io.k8s.api.core.v1."
NO_TEMPLATE = PodTemplate()

defaults.literal(CORE + "ReplicationControllerSpec", replicas=1)


@defaults(CORE + "ReplicationController")
def _labels_of_the_template(draft: dict[str, Any]) -> None:
    spec = draft.get("spec") or {}
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if labels:
        if not spec.get("selector"):
            spec["selector"] = dict(labels)
        metadata = draft.setdefault("metadata", {})
        if not metadata.get("labels"):
            metadata["labels"] = dict(labels)


class ReplicationControllerSpec(View):
    """How many pods, which ones, made how."""

    selector: dict[str, str] = {}
    template: PodTemplate = NO_TEMPLATE
    replicas: int = 1
    min_ready_seconds: int = 0


class ReplicationControllerStatus(View):
    """How many pods there are, and how far along."""

    replicas: int = 0
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    observed_generation: int = 0
    conditions: Conditions = ()


class ReplicationController(
    Resource, version="v1", short=("rc",), categories=("all",), subresources=("scale", "status")
):
    """A fixed number of interchangeable pods."""

    spec: ReplicationControllerSpec = ReplicationControllerSpec()
    status: ReplicationControllerStatus = ReplicationControllerStatus()

    counts_generations = True
    default_propagation = "Orphan"
    selectable = {"status.replicas": lambda rc: str(rc.status.replicas)}
    columns = (
        Column("Desired", lambda rc: rc.spec.replicas, type="integer"),
        Column("Current", lambda rc: rc.status.replicas, type="integer"),
        Column("Ready", lambda rc: rc.status.ready_replicas, type="integer"),
        AGE,
        *TEMPLATE_COLUMNS[:2],
        Column("Selector", lambda rc: label_text(rc.spec.selector), priority=1),
    )

    @classmethod
    def prepare_create(cls, draft: dict[str, Any]) -> None:
        """The count that the schema requires is there from the beginning; clients insist on it."""
        draft["status"] = {"replicas": 0}

    def validate(self, old: ReplicationController | None) -> Iterator[FieldError]:
        """Every broken rule of a ReplicationController."""
        return under("spec", _check_spec(self.spec))

    def validate_status(self, old: ReplicationController) -> Iterator[FieldError]:
        """Every broken rule of a status report."""
        status = self.status
        return check_counts(
            status,
            ("fullyLabeledReplicas", status.fully_labeled_replicas),
            ("readyReplicas", status.ready_replicas),
            ("availableReplicas", status.available_replicas),
        )


def _check_spec(spec: ReplicationControllerSpec) -> Iterator[FieldError]:
    yield from non_negative("minReadySeconds", spec.min_ready_seconds)
    if not spec.selector:
        yield required("selector")
    yield from non_negative("replicas", spec.replicas)
    if spec.template is NO_TEMPLATE:
        yield required("template")
        return
    labels = spec.template.metadata.labels
    if spec.selector and not spec.selector.items() <= labels.items():
        yield invalid("template.metadata.labels", labels, "`selector` does not match template `labels`")
    yield from under("template", check_template(spec.template))
    yield from check_never_ends(spec.template, "ReplicationController")
