"""FlowSchema: which requests belong to which priority level."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from wherry.api.flowcontrol.mandatory import FLOW_SCHEMAS
from wherry.api.meta import Conditions
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, duplicate, forbidden, invalid, not_supported, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_name, each, required_name, under
from wherry.machinery.view import View

GROUP = "flowcontrol.apiserver.k8s.io"
DEFAULT_PRECEDENCE, MAX_PRECEDENCE = 1000, 10_000
METHODS = ("ByNamespace", "ByUser")
VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "proxy", "update", "watch")
_SUBJECTS = {"Group": "group", "ServiceAccount": "serviceAccount", "User": "user"}
_NAMESPACE = "each member of this list must be '*' or a DNS-1123 label; "


@defaults("io.k8s.api.flowcontrol.v1.FlowSchemaSpec")
def _precedence(spec: dict[str, Any]) -> None:
    if not spec.get("matchingPrecedence"):
        spec["matchingPrecedence"] = DEFAULT_PRECEDENCE


class NamedSubject(View):
    """A user, a group, or a service account; `*` stands for all of them."""

    name: str = ""


class ServiceAccountSubject(NamedSubject):
    """A service account of a namespace."""

    namespace: str = ""


class Subject(View):
    """Who asks; `kind` says which of the three is set."""

    kind: str = ""
    user: NamedSubject | None = None
    group: NamedSubject | None = None
    service_account: ServiceAccountSubject | None = None


class ResourcePolicyRule(View):
    """Requests for resources."""

    verbs: tuple[str, ...] = ()
    api_groups: tuple[str, ...] = ()
    resources: tuple[str, ...] = ()
    cluster_scope: bool = False
    namespaces: tuple[str, ...] = ()


class NonResourcePolicyRule(View):
    """Requests for other paths."""

    verbs: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = ()


class PolicyRulesWithSubjects(View):
    """Requests of somebody for something."""

    subjects: tuple[Subject, ...] = ()
    resource_rules: tuple[ResourcePolicyRule, ...] = ()
    non_resource_rules: tuple[NonResourcePolicyRule, ...] = ()


class FlowDistinguisherMethod(View):
    """By what requests are told apart."""

    type: str = ""


class PriorityLevelConfigurationReference(View):
    """The name of a priority level."""

    name: str = ""


class FlowSchemaSpec(View):
    """Which requests, and how they are treated; of several schemas the one with the lowest precedence counts."""

    priority_level_configuration: PriorityLevelConfigurationReference = PriorityLevelConfigurationReference()
    matching_precedence: int = DEFAULT_PRECEDENCE
    distinguisher_method: FlowDistinguisherMethod | None = None
    rules: tuple[PolicyRulesWithSubjects, ...] = ()


class FlowSchemaStatus(View):
    """Whether its priority level is missing (`Dangling`)."""

    conditions: Conditions = ()


def _dangling(schema: FlowSchema) -> str:
    return next((each.status for each in schema.status.conditions if each.type == "Dangling"), "?")


class FlowSchema(Resource, group=GROUP, version="v1", plural="flowschemas", scope="Cluster", subresources=("status",)):
    """Which requests belong to which priority level."""

    spec: FlowSchemaSpec = FlowSchemaSpec()
    status: FlowSchemaStatus = FlowSchemaStatus()

    counts_generations = True
    columns = (
        Column("PriorityLevel", lambda schema: schema.spec.priority_level_configuration.name),
        Column("MatchingPrecedence", lambda schema: schema.spec.matching_precedence, type="integer"),
        Column("DistinguisherMethod", lambda schema: _method(schema.spec)),
        AGE,
        Column("MissingPL", _dangling),
    )

    def validate(self, old: FlowSchema | None) -> Iterator[FieldError]:
        """Every broken rule of a schema; those that every cluster has are fixed."""
        yield from under("spec", self._check_spec())
        fixed = FLOW_SCHEMAS.get(self.metadata.name)
        if fixed is not None and self.spec != FlowSchemaSpec.read(fixed):
            yield invalid("spec", self.spec.to_wire(), f"spec of '{self.metadata.name}' must equal the fixed value")

    def validate_status(self, old: FlowSchema) -> Iterator[FieldError]:
        """Every broken rule of a report."""
        return check_conditions("status.conditions", self.status.conditions)

    def _check_spec(self) -> Iterator[FieldError]:
        precedence = self.spec.matching_precedence
        if precedence <= 0:
            yield invalid("matchingPrecedence", precedence, "must be a positive value")
        if precedence > MAX_PRECEDENCE:
            yield invalid("matchingPrecedence", precedence, f"must not be greater than {MAX_PRECEDENCE}")
        if precedence == 1 and self.metadata.name != "exempt":
            why = "only the schema named 'exempt' may have matchingPrecedence 1"
            yield invalid("matchingPrecedence", precedence, why)
        method = self.spec.distinguisher_method
        if method is not None and method.type not in METHODS:
            yield not_supported("distinguisherMethod.type", method.to_wire(), METHODS)
        level = self.spec.priority_level_configuration.name
        if not level:
            yield required("priorityLevelConfiguration.name", "must reference a priority level")
        else:
            yield from check_name("priorityLevelConfiguration.name", level, names.dns1123_subdomain)
        yield from each("rules", self.spec.rules, _check_rules)


def check_conditions(field: str, conditions: Conditions) -> Iterator[FieldError]:
    """Each type once."""
    seen: set[str] = set()
    for index, condition in enumerate(conditions):
        if condition.type in seen:
            yield duplicate(f"{field}[{index}].type", condition.type)
        seen.add(condition.type)
        if not condition.type:
            yield required(f"{field}[{index}].type", "must not be empty")


def _method(spec: FlowSchemaSpec) -> str:
    return "<none>" if spec.distinguisher_method is None else spec.distinguisher_method.type


def _check_rules(rules: PolicyRulesWithSubjects) -> Iterator[FieldError]:
    if not rules.subjects:
        yield required("subjects", "subjects must contain at least one value")
    yield from each("subjects", rules.subjects, _check_subject)
    if not rules.resource_rules and not rules.non_resource_rules:
        yield required("", "at least one of resourceRules and nonResourceRules has to be non-empty")
    yield from each("resourceRules", rules.resource_rules, _check_resource_rule)
    yield from each("nonResourceRules", rules.non_resource_rules, _check_path_rule)


def _check_subject(subject: Subject) -> Iterator[FieldError]:
    given = {"group": subject.group, "serviceAccount": subject.service_account, "user": subject.user}
    if subject.kind not in _SUBJECTS:
        yield not_supported("kind", subject.kind, _SUBJECTS)
        return
    for kind, field in _SUBJECTS.items():
        named = given[field]
        if kind == subject.kind:
            if named is None:
                yield required(field, f"{field} is required when subject kind is '{kind}'")
            elif not named.name:
                yield required(f"{field}.name")
        elif named is not None:
            yield forbidden(field, f"{field} is forbidden when subject kind is not '{kind}'")
    if subject.kind == "ServiceAccount" and subject.service_account is not None:
        yield from under("serviceAccount", _check_account(subject.service_account))


def _check_account(account: ServiceAccountSubject) -> Iterator[FieldError]:
    if account.name not in ("", "*"):
        yield from check_name("name", account.name, names.dns1123_subdomain)
    if not account.namespace:
        yield required("namespace", "must specify namespace for service account")
    else:
        yield from required_name("namespace", account.namespace, names.dns1123_label)


def _check_list(field: str, values: tuple[str, ...], empty: str, others: str) -> Iterator[FieldError]:
    if not values:
        yield required(field, empty)
    elif len(values) > 1 and "*" in values:
        yield invalid(field, values, f"if '*' is present, must not specify other {others}")


def _check_verbs(verbs: tuple[str, ...]) -> Iterator[FieldError]:
    yield from _check_list("verbs", verbs, "verbs must contain at least one value", "verbs")
    if "*" not in verbs and not set(verbs) <= set(VERBS):
        yield not_supported("verbs", verbs, VERBS)


def _check_resource_rule(rule: ResourcePolicyRule) -> Iterator[FieldError]:
    yield from _check_verbs(rule.verbs)
    empty = "resource rules must supply at least one api group"
    yield from _check_list("apiGroups", rule.api_groups, empty, "api groups")
    empty = "resource rules must supply at least one resource"
    yield from _check_list("resources", rule.resources, empty, "resources")
    if rule.namespaces or not rule.cluster_scope:
        empty = "resource rules that are not cluster scoped must supply at least one namespace"
        yield from _check_list("namespaces", rule.namespaces, empty, "namespaces")
    if "*" not in rule.namespaces:
        yield from _check_namespaces(rule.namespaces)


def _check_namespaces(namespaces: Iterable[str]) -> Iterator[FieldError]:
    for index, namespace in enumerate(namespaces):
        problems = names.dns1123_label(namespace)
        yield from (invalid(f"namespaces[{index}]", namespace, _NAMESPACE + problem) for problem in problems)


def _check_path_rule(rule: NonResourcePolicyRule) -> Iterator[FieldError]:
    yield from _check_verbs(rule.verbs)
    field, empty = "nonResourceURLs", "nonResourceURLs must contain at least one value"
    yield from _check_list(field, rule.non_resource_urls, empty, "non-resource URLs")
    if "*" not in rule.non_resource_urls:
        for index, path in enumerate(rule.non_resource_urls):
            problem = _path_problem(path)
            if problem:
                yield invalid(f"{field}[{index}]", path, problem)


def _path_problem(path: str) -> str:
    if not path:
        return "must not be empty"
    if not path.startswith("/"):
        return "must start with slash"
    if " " in path:
        return "must not contain white-space"
    if "//" in path:
        return "must not contain double slash"
    stars = path.count("*")
    return "wildcard can only do suffix matching" if stars > 1 or (stars and not path.endswith("/*")) else ""
