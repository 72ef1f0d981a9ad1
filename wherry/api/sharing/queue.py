"""Queue: how much some pods may hold together, and may borrow of what others leave idle.

Behaviour: `scheduler/sharing/`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from wherry.api.core.resource_rules import check_amount, container_resource_problems
from wherry.api.sharing.fair_share import GROUP
from wherry.machinery.field_errors import FieldError, forbidden, invalid, required
from wherry.machinery.quantity import Quantity
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.view import View

QUEUE = "wherry.dev/queue"
"""The label of a pod, or of its namespace, that names its queue."""


class QueueSpec(View):
    """What is its own of each resource, and how much beyond that it may borrow."""

    nominal: dict[str, Quantity] = {}
    borrowing_limit: dict[str, Quantity] = {}


class Queue(Resource, group=GROUP, version="v1alpha1", scope="Cluster"):
    """A limit that some pods have in common."""

    spec: QueueSpec = QueueSpec()

    counts_generations = True
    columns = (
        Column("Nominal", lambda queue: _text(queue.spec.nominal)),
        Column("Borrows", lambda queue: _text(queue.spec.borrowing_limit) or "whatever is idle"),
        AGE,
    )

    def validate(self, old: Queue | None) -> Iterator[FieldError]:
        """Every broken rule."""
        if not self.spec.nominal:
            yield required("spec.nominal", "a queue limits what it names here")
        for field, amounts in (("nominal", self.spec.nominal), ("borrowingLimit", self.spec.borrowing_limit)):
            for resource, size in amounts.items():
                yield from _check(f"spec.{field}[{resource}]", resource, size)
        for resource in self.spec.borrowing_limit.keys() - self.spec.nominal.keys():
            yield forbidden(f"spec.borrowingLimit[{resource}]", "there is no nominal amount of it to go beyond")


def _check(path: str, resource: str, size: Quantity) -> Iterator[FieldError]:
    # Beside what containers ask for, each pod counts as one.
    for problem in () if resource == "pods" else container_resource_problems(resource):
        yield invalid(path, resource, problem)
    yield from check_amount(path, resource, size)


def _text(amounts: Mapping[str, Quantity]) -> str:
    return ",".join(f"{name}={size.canonical()}" for name, size in sorted(amounts.items()))
