"""MutatingAdmissionPolicyBinding: where a policy's changes are made, and with which parameters."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.admission.matching import GROUP
from wherry.api.admission.policies import BINDING_COLUMNS, BindingSpec, check_binding
from wherry.machinery.field_errors import FieldError
from wherry.machinery.resource import Resource
from wherry.machinery.validation import under


class MutatingAdmissionPolicyBinding(
    Resource, group=GROUP, version="v1", scope="Cluster", categories=("api-extensions",)
):
    """Where a policy's changes are made."""

    spec: BindingSpec = BindingSpec()

    counts_generations = True
    unconditional_update = False
    columns = BINDING_COLUMNS

    def validate(self, old: MutatingAdmissionPolicyBinding | None) -> Iterator[FieldError]:
        """Every broken rule of a binding."""
        return under("spec", check_binding(self.spec))
