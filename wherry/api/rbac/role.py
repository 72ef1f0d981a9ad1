"""Role and ClusterRole: a set of permissions. Evaluated by apiserver/access/rbac.py."""

from __future__ import annotations

from collections.abc import Iterator

from wherry.api.meta import Selector
from wherry.machinery.field_errors import FieldError, invalid, required
from wherry.machinery.resource import Resource
from wherry.machinery.table_cells import CREATED_AT
from wherry.machinery.validation import check_selector, under
from wherry.machinery.view import View


class PolicyRule(View):
    """Verbs on resources, or on URL paths; `*` stands for all."""

    verbs: tuple[str, ...] = ()
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = ()


class AggregationRule(View):
    """Which other cluster roles are added up to make this one."""

    cluster_role_selectors: tuple[Selector, ...] = ()


class Role(Resource, group="rbac.authorization.k8s.io", version="v1"):
    """Permissions within one namespace."""

    rules: tuple[PolicyRule, ...] = ()

    name_rule = "path"
    create_on_update = True
    columns = (CREATED_AT,)

    def validate(self, old: Role | None) -> Iterator[FieldError]:
        """Every broken rule of the rules."""
        return _check_rules(self.rules, is_namespaced=True)


class ClusterRole(Resource, group="rbac.authorization.k8s.io", version="v1", scope="Cluster"):
    """Permissions everywhere, or, through a RoleBinding, in one namespace."""

    rules: tuple[PolicyRule, ...] = ()
    aggregation_rule: AggregationRule | None = None

    name_rule = "path"
    create_on_update = True
    columns = (CREATED_AT,)

    def validate(self, old: ClusterRole | None) -> Iterator[FieldError]:
        """Every broken rule of the rules."""
        yield from _check_rules(self.rules, is_namespaced=False)
        if self.aggregation_rule is not None:
            selectors, field = self.aggregation_rule.cluster_role_selectors, "aggregationRule.clusterRoleSelectors"
            if not selectors:
                yield required(field, "at least one clusterRoleSelector required if aggregationRule is non-nil")
            for index, selector in enumerate(selectors):
                yield from check_selector(f"{field}[{index}]", selector.raw)


def _check_rules(rules: tuple[PolicyRule, ...], is_namespaced: bool) -> Iterator[FieldError]:
    for index, rule in enumerate(rules):
        yield from under(f"rules[{index}]", _check_rule(rule, is_namespaced))


def _check_rule(rule: PolicyRule, is_namespaced: bool) -> Iterator[FieldError]:
    if not rule.verbs:
        yield required("verbs", "verbs must contain at least one value")
    if rule.non_resource_urls:
        if is_namespaced:
            why = "namespaced rules cannot apply to non-resource URLs"
            yield invalid("nonResourceURLs", rule.non_resource_urls, why)
        if rule.api_groups or rule.resources or rule.resource_names:
            why = "rules cannot apply to both regular resources and non-resource URLs"
            yield invalid("nonResourceURLs", rule.non_resource_urls, why)
        return
    if not rule.api_groups:
        yield required("apiGroups", "resource rules must supply at least one api group")
    if not rule.resources:
        yield required("resources", "resource rules must supply at least one resource")
