"""PriorityClass: a name for how much a pod matters. Resolved at admission, used by the scheduler."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.filling import fill_empty
from wherry.machinery.field_errors import FieldError, forbidden
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import one_of, unchanged

HIGHEST_OF_USERS = 1_000_000_000
SYSTEM_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
_RESERVED = "priority class names with 'system-' prefix are reserved for system use only. error: "

fill_empty("io.k8s.api.scheduling.v1.PriorityClass", preemptionPolicy="PreemptLowerPriority")


class PriorityClass(Resource, group="scheduling.k8s.io", version="v1", scope="Cluster", short=("pc",)):
    """A name for how much a pod matters."""

    value: int = 0
    global_default: bool = False
    description: str = ""
    preemption_policy: str = "PreemptLowerPriority"

    counts_generations = True
    columns = (
        Column("Value", lambda priority: priority.value, type="integer"),
        Column("Global-Default", lambda priority: priority.global_default, type="boolean"),
        AGE,
        Column("PreemptionPolicy", lambda priority: priority.preemption_policy),
    )

    def validate(self, old: PriorityClass | None) -> Iterator[FieldError]:
        """Every broken rule; the value is for life, because pods have copied it."""
        if self.metadata.name.startswith("system-"):
            yield from self._check_system_class()
        elif self.value > HIGHEST_OF_USERS:
            yield forbidden("value", f"maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}")
        yield from one_of("preemptionPolicy", self.preemption_policy, ("Never", "PreemptLowerPriority"))
        if old is not None:
            if self.value != old.value:
                yield forbidden("value", "may not be changed in an update.")
            yield from unchanged("preemptionPolicy", self.preemption_policy, old.preemption_policy)

    def _check_system_class(self) -> Iterator[FieldError]:
        name = self.metadata.name
        if name not in SYSTEM_CLASSES:
            yield forbidden("metadata.name", f"{_RESERVED}{name} is not a known system priority class")
        elif self.value != SYSTEM_CLASSES[name]:
            why = f"value of {name} PriorityClass must be {SYSTEM_CLASSES[name]}"
            yield forbidden("metadata.name", _RESERVED + why)
        elif self.global_default:
            yield forbidden("metadata.name", f"{_RESERVED}globalDefault of {name} PriorityClass must be false")
