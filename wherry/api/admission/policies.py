"""What policies in CEL share: parameters, variables, match conditions, and what a binding says.

Kubernetes: ValidatingAdmissionPolicy and MutatingAdmissionPolicy, their bindings and validation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from wherry.api.admission.expressions import check_expression, each_of_few
from wherry.api.admission.matching import (
    FAILURE_POLICIES,
    MatchCondition,
    MatchResources,
    check_conditions,
    check_match_resources,
    needed,
)
from wherry.api.meta import Selector
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, forbidden, invalid, not_supported, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_name, check_selector, required_name, under
from wherry.machinery.view import View

NOT_FOUND_ACTIONS = ("Allow", "Deny")
_EXCLUSIVE = "name and selector are mutually exclusive"
_IDENTIFIER = re.compile("[_a-zA-Z][_a-zA-Z0-9]*")
_RESERVED = frozenset(("true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function"))
_RESERVED |= {"if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while"}


class ParamKind(View):
    """Of which kind a policy's parameters are."""

    api_version: str = ""
    kind: str = ""

    def __str__(self) -> str:
        return f"{self.api_version}/{self.kind}"


class ParamRef(View):
    """Which objects are the parameters: one by name, or those that a selector picks."""

    name: str = ""
    namespace: str = ""
    selector: Selector | None = None
    parameter_not_found_action: str | None = None


class Variable(View):
    """A CEL expression that others may use by its name, as `variables.name`."""

    name: str = ""
    expression: str = ""


class PolicySpec(View):
    """What both kinds of policy say."""

    param_kind: ParamKind | None = None
    match_constraints: MatchResources | None = None
    match_conditions: tuple[MatchCondition, ...] = ()
    variables: tuple[Variable, ...] = ()
    failure_policy: str | None = None


class BindingSpec(View):
    """Where a policy holds, and with which parameters."""

    policy_name: str = ""
    param_ref: ParamRef | None = None
    match_resources: MatchResources | None = None


def _param(binding: Resource) -> str:
    reference: ParamRef | None = binding.spec.param_ref  # type: ignore[attr-defined]
    if reference is not None and reference.name:
        return f"{reference.namespace or '*'}/{reference.name}"
    return "<unset>" if reference is None or reference.selector is None else str(reference.selector)


PARAM_KIND = Column("ParamKind", lambda policy: str(policy.spec.param_kind or "<unset>"))
BINDING_COLUMNS = (Column("PolicyName", lambda binding: binding.spec.policy_name), Column("ParamRef", _param), AGE)


def check_policy(spec: PolicySpec, old: PolicySpec | None) -> Iterator[FieldError]:
    """Every broken rule of what both kinds of policy say."""
    yield from needed("failurePolicy", spec.failure_policy, FAILURE_POLICIES)
    if spec.param_kind is not None:
        yield from under("paramKind", _check_param_kind(spec.param_kind))
    if spec.match_constraints is None:
        yield required("matchConstraints")
    else:
        yield from under("matchConstraints", check_match_resources(spec.match_constraints))
        if not spec.match_constraints.resource_rules:
            yield required("matchConstraints.resourceRules")
    yield from under("matchConditions", check_conditions(spec.match_conditions))
    yield from each_of_few("variables", spec.variables, _check_variable, old.variables if old else ())


def _check_param_kind(kind: ParamKind) -> Iterator[FieldError]:
    if not kind.api_version:
        yield required("apiVersion")
    elif kind.api_version.count("/") > 1:
        yield invalid("apiVersion", kind.api_version, f"unexpected GroupVersion string: {kind.api_version}")
    else:
        yield from _check_group_version(kind.api_version)
    if not kind.kind:
        yield required("kind")
    else:
        problems = names.dns1035_label(kind.kind.lower())
        if problems:
            why = f"may have mixed case, but should otherwise match: {','.join(problems)}"
            yield invalid("kind", kind.kind, why)


def _check_group_version(api_version: str) -> Iterator[FieldError]:
    group, _, version = api_version.rpartition("/")
    if group:
        yield from _joined("apiVersion", group, names.dns1123_subdomain(group))
    if not version:
        yield invalid("apiVersion", api_version, "version must be specified")
    else:
        yield from _joined("apiVersion", version, names.dns1035_label(version))


def _joined(field: str, value: str, problems: list[str]) -> Iterator[FieldError]:
    if problems:
        yield invalid(field, value, ",".join(problems))


def _check_variable(variable: Variable) -> Iterator[FieldError]:
    if not variable.name.strip():
        yield required("name", "name is not specified")
    elif not _IDENTIFIER.fullmatch(variable.name) or variable.name in _RESERVED:
        yield invalid("name", variable.name, "name is not a valid CEL identifier")
    if not variable.expression.strip():
        yield required("expression", "expression is not specified")
    else:
        yield from check_expression("expression", variable.expression, is_mutation=True)


def check_binding(spec: BindingSpec) -> Iterator[FieldError]:
    """Every broken rule of a binding."""
    yield from required_name("policyName", spec.policy_name, names.dns1123_subdomain)
    if spec.param_ref is not None:
        yield from under("paramRef", _check_param_ref(spec.param_ref))
    if spec.match_resources is not None:
        # Kubernetes spells the path like this.
        yield from under("matchResouces", check_match_resources(spec.match_resources))


def _check_param_ref(reference: ParamRef) -> Iterator[FieldError]:
    name, selector = reference.name, reference.selector
    if name:
        yield from check_name("name", name, names.path_segment)
    if selector is not None:
        yield from check_selector("selector", selector.raw)
    if name and selector is not None:
        yield forbidden("name", _EXCLUSIVE)
        yield forbidden("selector", _EXCLUSIVE)
    if not name and selector is None:
        yield required("", "one of name or selector must be specified")
    if not reference.parameter_not_found_action:
        yield required("parameterNotFoundAction")
    elif reference.parameter_not_found_action not in NOT_FOUND_ACTIONS:
        yield not_supported("parameterNotFoundAction", reference.parameter_not_found_action, NOT_FOUND_ACTIONS)
