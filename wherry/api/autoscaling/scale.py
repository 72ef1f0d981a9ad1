"""Scale: the number of replicas of anything that has some, the body of `/scale`."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.machinery.field_errors import FieldError
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import non_negative
from wherry.machinery.view import View


class ScaleSpec(View):
    """How many there should be."""

    replicas: int = 0


class ScaleStatus(View):
    """How many there are, and the selector (as text) that finds them."""

    replicas: int = 0
    selector: str = ""


class Scale(Resource, group="autoscaling", version="v1", verbs=()):
    """The number of replicas of something; served as a subresource only."""

    spec: ScaleSpec = ScaleSpec()
    status: ScaleStatus = ScaleStatus()

    columns = (
        Column("Desired", lambda scale: scale.spec.replicas, type="integer"),
        Column("Available", lambda scale: scale.status.replicas, type="integer"),
        AGE,
    )

    def validate(self, old: Scale | None) -> Iterator[FieldError]:
        """Every broken rule of a scale."""
        return non_negative("spec.replicas", self.spec.replicas)
