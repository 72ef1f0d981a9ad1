"""MutatingAdmissionPolicy: changes in CEL that are made to a write. In force where a binding says so."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.admission.expressions import check_expression, each_of_few
from wherry.api.admission.matching import DEFINITIONS, GROUP
from wherry.api.admission.mutating_webhook_configuration import REINVOCATION_POLICIES
from wherry.api.admission.policies import PARAM_KIND, PolicySpec, check_policy
from wherry.machinery.field_errors import FieldError, invalid, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import one_of, under
from wherry.machinery.view import View

PATCH_TYPES = {"ApplyConfiguration": "applyConfiguration", "JSONPatch": "jsonPatch"}

defaults.literal(DEFINITIONS + "MutatingAdmissionPolicySpec", failurePolicy="Fail")


class Expression(View):
    """A CEL expression that gives an apply configuration, or a list of JSON patch operations."""

    expression: str = ""


class Mutation(View):
    """One change: `patch_type` says which of the two is set."""

    patch_type: str = ""
    apply_configuration: Expression | None = None
    json_patch: Expression | None = None


class MutatingAdmissionPolicySpec(PolicySpec):
    """About which requests, and the changes in order."""

    mutations: tuple[Mutation, ...] = ()
    reinvocation_policy: str = ""


class MutatingAdmissionPolicy(
    Resource,
    group=GROUP,
    version="v1",
    scope="Cluster",
    plural="mutatingadmissionpolicies",
    categories=("api-extensions",),
):
    """Changes in CEL that are made to a write."""

    spec: MutatingAdmissionPolicySpec = MutatingAdmissionPolicySpec()

    counts_generations = True
    unconditional_update = False
    columns = (Column("Mutations", lambda policy: len(policy.spec.mutations), type="integer"), PARAM_KIND, AGE)

    def validate(self, old: MutatingAdmissionPolicy | None) -> Iterator[FieldError]:
        """Every broken rule of a policy."""
        spec = self.spec
        yield from under("spec", check_policy(spec, old.spec if old else None))
        if not spec.mutations:
            yield required("spec.mutations", "mutations must contain at least one item")
        yield from each_of_few("spec.mutations", spec.mutations, _check_mutation, old.spec.mutations if old else ())
        yield from one_of("spec.reinvocationPolicy", spec.reinvocation_policy, REINVOCATION_POLICIES)


def _check_mutation(mutation: Mutation) -> Iterator[FieldError]:
    yield from one_of("patchType", mutation.patch_type, PATCH_TYPES)
    given = {"applyConfiguration": mutation.apply_configuration, "jsonPatch": mutation.json_patch}
    for type, field in PATCH_TYPES.items():
        expression = given[field]
        if type == mutation.patch_type:
            if expression is None:
                yield required(field, f"must be specified when patchType is {type}")
            elif not expression.expression.strip():
                yield required(f"{field}.expression", "expression is not specified")
            else:
                yield from check_expression(f"{field}.expression", expression.expression, is_mutation=True)
        elif expression is not None and mutation.patch_type in PATCH_TYPES:
            yield invalid(field, "{}", f"must not be specified when patchType is {mutation.patch_type}")
