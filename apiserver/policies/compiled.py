"""A policy whose expressions are compiled, and what it knows of one request. Kubernetes: admission/plugin/policy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from apiserver.matching.conditions import Conditions
from apiserver.matching.known import Known
from wherry.api.admission.expressions import compiled, compiled_mutation
from wherry.api.admission.mutating_admission_policy import MutatingAdmissionPolicySpec
from wherry.api.admission.policies import PolicySpec, Variable
from wherry.api.admission.validating_admission_policy import ValidatingAdmissionPolicySpec, Validation
from wherry.machinery.cel import Failure, Program

Source = Program | Failure


class Rule(NamedTuple):
    """One validation."""

    validation: Validation
    program: Source
    message: Source | None


class Change(NamedTuple):
    """One mutation: a patch, or an object to be applied."""

    patch_type: str
    expression: str
    program: Source


class Policy:
    """What both kinds of policy have."""

    def __init__(self, name: str, spec: PolicySpec) -> None:
        self.name, self.spec = name, spec
        self.conditions = Conditions(spec.match_conditions)
        mutating = isinstance(spec, MutatingAdmissionPolicySpec)
        self._variables = [(each.name, _variable(each, is_mutating=mutating)) for each in spec.variables]
        self.rules: list[Rule] = []
        self.annotations: list[tuple[str, Source]] = []
        self.changes: list[Change] = []
        if isinstance(spec, ValidatingAdmissionPolicySpec):
            self.rules = [_rule(each) for each in spec.validations]
            self.annotations = [(each.key, compiled(each.value_expression)) for each in spec.audit_annotations]
        elif isinstance(spec, MutatingAdmissionPolicySpec):
            for each in spec.mutations:
                given = each.json_patch or each.apply_configuration
                expression = given.expression if given else ""
                self.changes.append(Change(each.patch_type, expression, compiled_mutation(expression)))

    @property
    def fails_closed(self) -> bool:
        """Whether what cannot be evaluated is refused."""
        return self.spec.failure_policy != "Ignore"

    def with_variables(self, known: Known) -> Variables:
        """What the expressions know, the policy's own variables included."""
        return Variables(known, self._variables)


class Variables:
    """Evaluates a policy's expressions. Its variables are evaluated in order, since each may use those before it."""

    def __init__(self, known: Known, variables: Sequence[tuple[str, Source]]) -> None:
        self._failed: dict[str, str] = {}
        values: dict[str, Any] = {}
        for name, source in variables:
            known = known.with_more(variables=values)
            value = source if isinstance(source, Failure) else known.evaluate(source)
            if isinstance(value, Failure):
                self._failed[name] = value.message
            else:
                values = {**values, name: value}
        self._known = known.with_more(variables=values) if variables else known

    def evaluate(self, source: Source) -> Any:
        """The result, or a `Failure`; a variable that failed is named only where it is used."""
        result = source if isinstance(source, Failure) else self._known.evaluate(source)
        if isinstance(result, Failure):
            missing = result.message.removeprefix("no such key: ")
            if missing in self._failed:
                return Failure(f'composited variable "{missing}" fails to evaluate: {self._failed[missing]}')
        return result


def _variable(variable: Variable, *, is_mutating: bool) -> Source:
    compile: Callable[[str], Source] = compiled_mutation if is_mutating else compiled
    return compile(variable.expression)


def _rule(validation: Validation) -> Rule:
    message = compiled(validation.message_expression) if validation.message_expression else None
    return Rule(validation, compiled(validation.expression), message)
