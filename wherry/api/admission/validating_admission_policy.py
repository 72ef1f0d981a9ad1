"""ValidatingAdmissionPolicy: rules in CEL that a write must keep. In force where a binding says so."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.admission.expressions import check_expression, each_of_few
from wherry.api.admission.matching import DEFINITIONS, GROUP, distinct, supported
from wherry.api.admission.policies import PARAM_KIND, PolicySpec, check_policy
from wherry.api.meta import Conditions
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, invalid, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_name, each, under
from wherry.machinery.view import View

REASONS = ("Forbidden", "Invalid", "RequestEntityTooLarge", "Unauthorized")
MAX_AUDIT_ANNOTATIONS = 20
MAX_AUDIT_EXPRESSION_BYTES = 5 * 1024
_ONE_OF_BOTH = "validations or auditAnnotations must contain at least one item"

defaults.literal(DEFINITIONS + "ValidatingAdmissionPolicySpec", failurePolicy="Fail")


class Validation(View):
    """An expression that must be true, and what is said where it is not."""

    expression: str = ""
    message: str = ""
    message_expression: str = ""
    reason: str | None = None


class AuditAnnotation(View):
    """An expression whose value is written into the audit log."""

    key: str = ""
    value_expression: str = ""


class ValidatingAdmissionPolicySpec(PolicySpec):
    """About which requests, and the rules."""

    validations: tuple[Validation, ...] = ()
    audit_annotations: tuple[AuditAnnotation, ...] = ()


class ExpressionWarning(View):
    """A mistake that checking the types of an expression found."""

    field_ref: str = ""
    warning: str = ""


class TypeChecking(View):
    """What checking the types of all expressions found."""

    expression_warnings: tuple[ExpressionWarning, ...] = ()


class ValidatingAdmissionPolicyStatus(View):
    """Which generation was checked, and what was found."""

    observed_generation: int = 0
    type_checking: TypeChecking | None = None
    conditions: Conditions = ()


class ValidatingAdmissionPolicy(
    Resource,
    group=GROUP,
    version="v1",
    scope="Cluster",
    plural="validatingadmissionpolicies",
    categories=("api-extensions",),
    subresources=("status",),
):
    """Rules in CEL that a write must keep."""

    spec: ValidatingAdmissionPolicySpec = ValidatingAdmissionPolicySpec()
    status: ValidatingAdmissionPolicyStatus = ValidatingAdmissionPolicyStatus()

    counts_generations = True
    unconditional_update = False
    columns = (
        Column("Validations", lambda policy: len(policy.spec.validations), type="integer"),
        PARAM_KIND,
        AGE,
    )

    def validate(self, old: ValidatingAdmissionPolicy | None) -> Iterator[FieldError]:
        """Every broken rule of a policy."""
        yield from under("spec", check_policy(self.spec, old.spec if old else None))
        yield from under("spec", self._check_rules(old.spec.validations if old else ()))

    def validate_status(self, old: ValidatingAdmissionPolicy) -> Iterator[FieldError]:
        """Every broken rule of a report about its expressions."""
        found = self.status.type_checking
        warnings = () if found is None else found.expression_warnings
        return each("status.typeChecking.expressionWarnings", warnings, _check_warning)

    def _check_rules(self, known: tuple[Validation, ...]) -> Iterator[FieldError]:
        spec = self.spec
        if not spec.validations and not spec.audit_annotations:
            yield required("validations", _ONE_OF_BOTH)
            yield required("auditAnnotations", _ONE_OF_BOTH)
        yield from each_of_few("validations", spec.validations, _check_validation, known)
        if len(spec.audit_annotations) > MAX_AUDIT_ANNOTATIONS:
            shown = [annotation.to_wire() for annotation in spec.audit_annotations]
            yield invalid(
                "auditAnnotations", shown, f"must not have more than {MAX_AUDIT_ANNOTATIONS} auditAnnotations"
            )
            return
        yield from each("auditAnnotations", spec.audit_annotations, self._check_annotation)
        yield from distinct("auditAnnotations", "key", (annotation.key for annotation in spec.audit_annotations))

    def _check_annotation(self, annotation: AuditAnnotation) -> Iterator[FieldError]:
        yield from check_name("key", f"{self.metadata.name}/{annotation.key}", names.qualified_name)
        expression = annotation.value_expression.strip()
        if not expression:
            yield required("valueExpression", "valueExpression is not specified")
        elif len(expression) > MAX_AUDIT_EXPRESSION_BYTES:
            yield required("valueExpression", f"must not exceed {MAX_AUDIT_EXPRESSION_BYTES} bytes in length")
        else:
            yield from check_expression("valueExpression", annotation.value_expression, "string", "null")


def _check_validation(validation: Validation) -> Iterator[FieldError]:
    if not validation.expression.strip():
        yield required("expression", "expression is not specified")
    yield from check_expression("expression", validation.expression, "bool")
    yield from check_expression("messageExpression", validation.message_expression, "string")
    if validation.message_expression and not validation.message_expression.strip():
        yield invalid("messageExpression", validation.message_expression, "must be non-empty if specified")
    message = validation.message.strip()
    if validation.message and not message:
        yield invalid("message", validation.message, "message must be non-empty if specified")
    elif "\n" in message or "\r" in message:
        yield invalid("message", validation.message, "message must not contain line breaks")
    yield from supported("reason", validation.reason, REASONS)


def _check_warning(warning: ExpressionWarning) -> Iterator[FieldError]:
    if not warning.warning:
        yield required("warning")
    if not warning.field_ref.strip():
        yield required("fieldRef")
