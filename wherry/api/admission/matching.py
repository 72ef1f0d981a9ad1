"""Which requests are meant: rules, selectors and CEL conditions that webhooks and policies share.

Kubernetes: the rules, matchConditions and MatchResources of admissionregistration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from wherry.api.admission.expressions import check_expression
from wherry.api.meta import Selector
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, duplicate, invalid, not_supported, required, too_many
from wherry.machinery.schema import defaults
from wherry.machinery.validation import check_name, check_selector, each, under
from wherry.machinery.view import View

GROUP = "admissionregistration.k8s.io"
DEFINITIONS = "io.k8s.api.admissionregistration.v1."
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
SCOPES = ("*", "Cluster", "Namespaced")
MATCH_POLICIES = ("Equivalent", "Exact")
FAILURE_POLICIES = ("Fail", "Ignore")
MAX_CONDITIONS = 64

defaults.literal(DEFINITIONS + "RuleWithOperations", scope="*")
defaults.literal(DEFINITIONS + "NamedRuleWithOperations", scope="*")
defaults.literal(DEFINITIONS + "MatchResources", matchPolicy="Equivalent", namespaceSelector={}, objectSelector={})


class RuleWithOperations(View):
    """Operations on resources; `*` stands for all of its list, `pods/*` for every subresource of pods."""

    operations: tuple[str, ...] = ()
    api_groups: tuple[str, ...] = ()
    api_versions: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    scope: str = "*"


class NamedRuleWithOperations(RuleWithOperations):
    """The same, for objects of these names only."""

    resource_names: tuple[str, ...] = ()


class MatchCondition(View):
    """A CEL expression that must be true, and its name."""

    name: str = ""
    expression: str = ""


class MatchResources(View):
    """Which requests a policy or one of its bindings is about."""

    namespace_selector: Selector | None = None
    object_selector: Selector | None = None
    resource_rules: tuple[NamedRuleWithOperations, ...] = ()
    exclude_resource_rules: tuple[NamedRuleWithOperations, ...] = ()
    match_policy: str | None = None


def supported(field: str, value: str | None, choices: Iterable[str]) -> Iterator[FieldError]:
    """The value, if there is one, is one of a few."""
    if value is not None and value not in choices:
        yield not_supported(field, value, choices)


def needed(field: str, value: str | None, choices: Iterable[str]) -> Iterator[FieldError]:
    """The value is there, and one of a few."""
    return iter((required(field),)) if value is None else supported(field, value, choices)


def check_rule(rule: RuleWithOperations) -> Iterator[FieldError]:
    """Every broken rule of a rule."""
    if not rule.operations:
        yield required("operations")
    yield from _alone("operations", rule.operations, "operations")
    for index, operation in enumerate(rule.operations):
        yield from supported(f"operations[{index}]", operation, OPERATIONS)
    if not rule.api_groups:
        yield required("apiGroups")
    yield from _alone("apiGroups", rule.api_groups, "API groups")
    if not rule.api_versions:
        yield required("apiVersions")
    yield from _alone("apiVersions", rule.api_versions, "API versions")
    for index, version in enumerate(rule.api_versions):
        if not version:
            yield required(f"apiVersions[{index}]")
    yield from under("resources", _check_resources(rule.resources))
    yield from supported("scope", rule.scope, SCOPES)


def _alone(field: str, values: tuple[str, ...], what: str) -> Iterator[FieldError]:
    if len(values) > 1 and "*" in values:
        yield invalid(field, values, f"if '*' is present, must not specify other {what}")


def _check_resources(resources: tuple[str, ...]) -> Iterator[FieldError]:
    if not resources:
        yield required("")
    whole: set[str] = set()
    everywhere: set[str] = set()
    for index, text in enumerate(resources):
        if not text:
            yield required(f"[{index}]")
        resource, slash, sub = text.partition("/")
        if not slash:
            continue
        if resource in whole:
            yield invalid(f"[{index}]", text, f"if '{resource}/*' is present, must not specify {text}")
        if sub in everywhere:
            yield invalid(f"[{index}]", text, f"if '*/{sub}' is present, must not specify {text}")
        if sub == "*":
            whole.add(resource)
        if resource == "*":
            everywhere.add(sub)
    if len(resources) > 1 and "*/*" in resources:
        yield invalid("", resources, "if '*/*' is present, must not specify other resources")
    if "*" in resources and any(text and text != "*" and "/" not in text for text in resources):
        yield invalid("", resources, "if '*' is present, must not specify other resources without subresources")


def check_conditions(conditions: tuple[MatchCondition, ...]) -> Iterator[FieldError]:
    """Every broken rule of match conditions."""
    if len(conditions) > MAX_CONDITIONS:
        yield too_many("", len(conditions), MAX_CONDITIONS)
        return
    yield from each("", conditions, _check_condition)
    yield from distinct("", "name", (condition.name for condition in conditions))


def _check_condition(condition: MatchCondition) -> Iterator[FieldError]:
    if not condition.expression.strip():
        yield required("expression")
    else:
        yield from check_expression("expression", condition.expression, "bool")
    if not condition.name:
        yield required("name")
    else:
        yield from check_name("name", condition.name, names.qualified_name)


def distinct(path: str, field: str, values: Iterable[str]) -> Iterator[FieldError]:
    """No two items of a list have the same value in a field; empty ones do not count."""
    seen: set[str] = set()
    for index, value in enumerate(values):
        if value and value in seen:
            yield duplicate(f"{path}[{index}].{field}", value)
        seen.add(value)


def check_match_resources(match: MatchResources) -> Iterator[FieldError]:
    """Every broken rule of which requests a policy is about."""
    yield from needed("matchPolicy", match.match_policy, MATCH_POLICIES)
    yield from check_given_selector("namespaceSelector", match.namespace_selector)
    yield from check_given_selector("objectSelector", match.object_selector)
    yield from each("resourceRules", match.resource_rules, _check_named_rule)
    yield from each("excludeResourceRules", match.exclude_resource_rules, _check_named_rule)


def check_given_selector(field: str, selector: Selector | None) -> Iterator[FieldError]:
    """The selector is there and sound."""
    return iter((required(field),)) if selector is None else check_selector(field, selector.raw)


def _check_named_rule(rule: NamedRuleWithOperations) -> Iterator[FieldError]:
    seen: set[Any] = set()
    for index, name in enumerate(rule.resource_names):
        yield from check_name(f"resourceNames[{index}]", name, names.path_segment)
        if name in seen:
            yield duplicate(f"resourceNames[{index}]", name)
        seen.add(name)
    yield from check_rule(rule)
