"""To which flow schema a request belongs, and to which flow of it. Kubernetes: util/flowcontrol/rule.go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from apiserver.request import Request, Target, User
from wherry.api.flowcontrol.flow_schema import (
    FlowSchema,
    NonResourcePolicyRule,
    PolicyRulesWithSubjects,
    ResourcePolicyRule,
    Subject,
)

_ANY = "*"


class Wanted(NamedTuple):
    """What a request is, as far as rules ask."""

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    path: str = ""


def wanted_of(request: Request) -> Wanted:
    """What rules may ask about a request."""
    target: Target | None = request.target
    if target is None:
        return Wanted(request.verb, path=request.path)
    resource = target.plural
    if target.subresource:
        resource += "/" + target.subresource.partition("/")[0]
    return Wanted(request.verb, target.group, resource, target.namespace)


def matches(schema: FlowSchema, user: User, wanted: Wanted) -> bool:
    """Whether a schema is about this request of this user."""
    return any(_is_about(rules, wanted) and _is_of(rules.subjects, user) for rules in schema.spec.rules)


def flow_of(schema: FlowSchema, user: User, wanted: Wanted) -> str:
    """Whose turn it takes among the requests of a schema."""
    method = schema.spec.distinguisher_method
    if method is None:
        return ""
    return user.name if method.type == "ByUser" else wanted.namespace


def _is_of(subjects: Sequence[Subject], user: User) -> bool:
    return any(_is_subject(subject, user) for subject in subjects)


def _is_subject(subject: Subject, user: User) -> bool:
    if subject.user is not None:
        return subject.user.name in (_ANY, user.name)
    if subject.group is not None:
        return subject.group.name == _ANY or subject.group.name in user.groups
    account = subject.service_account
    if account is None:
        return False
    prefix = f"system:serviceaccount:{account.namespace}:"
    return user.name.startswith(prefix) if account.name == _ANY else user.name == prefix + account.name


def _is_about(rules: PolicyRulesWithSubjects, wanted: Wanted) -> bool:
    if wanted.path:
        return any(_is_path(rule, wanted) for rule in rules.non_resource_rules)
    return any(_is_resource(rule, wanted) for rule in rules.resource_rules)


def _has(listed: Sequence[str], value: str) -> bool:
    return _ANY in listed or value in listed


def _is_resource(rule: ResourcePolicyRule, wanted: Wanted) -> bool:
    if not (_has(rule.verbs, wanted.verb) and _has(rule.api_groups, wanted.group)):
        return False
    place = rule.cluster_scope if not wanted.namespace else _has(rule.namespaces, wanted.namespace)
    return place and _has(rule.resources, wanted.resource)


def _is_path(rule: NonResourcePolicyRule, wanted: Wanted) -> bool:
    if not _has(rule.verbs, wanted.verb):
        return False
    for pattern in rule.non_resource_urls:
        # "/healthz/*" is everything below "/healthz", not "/healthz" itself.
        if pattern in (_ANY, wanted.path) or (pattern.endswith("/*") and wanted.path.startswith(pattern[:-1])):
            return True
    return False
