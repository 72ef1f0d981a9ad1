"""Lease: somebody's sign of life, or the right to lead. Behaviour: wherry/client/leader.py, kubelet, node lifecycle."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from wherry.machinery.field_errors import FieldError, invalid
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import non_negative
from wherry.machinery.view import View

# The label of the Leases by which API servers say that they are there, and its value.
IDENTITY, SERVERS = "apiserver.kubernetes.io/identity", "kube-apiserver"


class LeaseSpec(View):
    """Who holds it and until when."""

    holder_identity: str = ""
    lease_duration_seconds: int = 0
    acquire_time: datetime | None = None
    renew_time: datetime | None = None
    lease_transitions: int = 0


class Lease(Resource, group="coordination.k8s.io", version="v1"):
    """Somebody's sign of life, or the right to lead."""

    spec: LeaseSpec = LeaseSpec()

    unconditional_update = False
    create_on_update = True
    columns = (Column("Holder", lambda lease: lease.spec.holder_identity), AGE)

    def validate(self, old: Lease | None) -> Iterator[FieldError]:
        """Every broken rule. Differs: a duration of 0 passes, as if it were not given."""
        if self.spec.lease_duration_seconds < 0:
            yield invalid("spec.leaseDurationSeconds", self.spec.lease_duration_seconds, "must be greater than 0")
        yield from non_negative("spec.leaseTransitions", self.spec.lease_transitions)
