"""FairShare: whose turn it is among pods of equal priority, and what everybody has used so far.

Behaviour: `scheduler/sharing/`.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from wherry.machinery.field_errors import FieldError, invalid
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.time import SECOND, parse_go_duration
from wherry.machinery.validation import non_negative
from wherry.machinery.view import View

GROUP = "scheduling.wherry.dev"
NAME = "default"
HALF_LIFE = "168h"
CPU_WEIGHT = Quantity.parse("10m")


class FairShareSpec(View):
    """After which time use counts half, what a core counts compared to a card, and who is to get more than others."""

    half_life: str = HALF_LIFE
    cpu_weight: Quantity = CPU_WEIGHT
    weights: dict[str, int] = {}

    @property
    def half_life_seconds(self) -> float:
        """The half-life as a number."""
        return parse_go_duration(self.half_life) / SECOND


class UserUsage(View):
    """What one user has used, in thousandths of a card, and of a core, for a second."""

    name: str = ""
    gpu_milliseconds: int = 0
    cpu_milliseconds: int = 0


class FairShareStatus(View):
    """What everybody has used, decayed to the instant `as_of`."""

    as_of: datetime | None = None
    users: tuple[UserUsage, ...] = ()


class FairShare(Resource, group=GROUP, version="v1alpha1", scope="Cluster", subresources=("status",)):
    """Whose turn it is; there is one, or none."""

    spec: FairShareSpec = FairShareSpec()
    status: FairShareStatus = FairShareStatus()

    counts_generations = True
    columns = (
        Column("Half-Life", lambda share: share.spec.half_life),
        Column("Users", lambda share: len(share.status.users), type="integer"),
        AGE,
    )

    def validate(self, old: FairShare | None) -> Iterator[FieldError]:
        """Every broken rule."""
        if self.metadata.name != NAME:
            yield invalid("metadata.name", self.metadata.name, f"must be {NAME!r}: there is one fair share for all")
        yield from self._check_half_life()
        yield from non_negative("spec.cpuWeight", self.spec.cpu_weight.nanos)
        for user, weight in self.spec.weights.items():
            if weight < 1:
                yield invalid(f"spec.weights[{user}]", weight, "must be greater than or equal to 1")

    def _check_half_life(self) -> Iterator[FieldError]:
        try:
            if self.spec.half_life_seconds >= 1:
                return
        except ValueError:
            pass
        yield invalid("spec.halfLife", self.spec.half_life, "must be a duration of at least a second, such as 168h")
