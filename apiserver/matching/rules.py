"""Rules by resource and operation. Kubernetes: apiserver/pkg/admission/plugin/webhook/predicates/rules."""

from __future__ import annotations

from collections.abc import Sequence

from apiserver.matching.attributes import Attributes, Names, resource_of
from wherry.api.admission.matching import GROUP, NamedRuleWithOperations, RuleWithOperations
from wherry.machinery.resource import Resource

# Configurations are never subject to themselves: a bad one could not be taken back.
EXEMPT = frozenset(
    (
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
        "mutatingwebhookconfigurations",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
        "validatingwebhookconfigurations",
    )
)


def is_exempt(attributes: Attributes) -> bool:
    """Whether nobody is asked about it, whatever rules say."""
    kind = attributes.write.cls.kind
    return kind.group == GROUP and kind.plural in EXEMPT


def matched(
    rules: Sequence[RuleWithOperations], attributes: Attributes, *, exact: bool = False
) -> type[Resource] | None:
    """As which kind the request is meant: its own, or unless `exact` an equivalent one; None if it is not."""
    own = attributes.write.cls
    if any(matches(rule, attributes, resource_of(own)) for rule in rules):
        return own
    if not exact:
        others = attributes.equivalents()
        for rule in rules:
            for other in others:
                if matches(rule, attributes, resource_of(other)):
                    return other
    return None


def matches(rule: RuleWithOperations, attributes: Attributes, resource: Names) -> bool:
    """Whether one rule is about the request, with its resource seen as this one."""
    return (
        _has(rule.operations, attributes.operation)
        and _has(rule.api_groups, resource.group)
        and _has(rule.api_versions, resource.version)
        and _matches_scope(rule.scope, attributes)
        and any(_matches_resource(each, resource.name, attributes.subresource) for each in rule.resources)
        and _matches_name(rule, attributes.name)
    )


def _has(listed: Sequence[str], wanted: str) -> bool:
    return "*" in listed or wanted in listed


def _matches_scope(scope: str, attributes: Attributes) -> bool:
    if scope not in ("Cluster", "Namespaced"):
        return True
    is_cluster = not attributes.namespace or attributes.write.cls.kind.resource == "namespaces"
    return is_cluster == (scope == "Cluster")


def _matches_resource(pattern: str, plural: str, subresource: str) -> bool:
    resource, _, sub = pattern.partition("/")
    return resource in ("*", plural) and sub in ("*", subresource)


def _matches_name(rule: RuleWithOperations, name: str) -> bool:
    return not isinstance(rule, NamedRuleWithOperations) or not rule.resource_names or name in rule.resource_names
