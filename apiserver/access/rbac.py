"""Who may do what: RBAC over the watch cache, with every answer kept until a role or binding changes.

Kubernetes: the RBAC authorizer; `system:masters` may do everything, and nodes are judged by `node_authorizer.py` first.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from apiserver.access.node_authorizer import NodeAuthorizer
from apiserver.request import User
from wherry.api.rbac.binding import ClusterRoleBinding, RoleBinding, RoleRef, Subject
from wherry.api.rbac.role import ClusterRole, PolicyRule, Role

if TYPE_CHECKING:
    from apiserver.reading.watch_cache import WatchCache

MASTERS = "system:masters"
# Decisions remembered at a time; one user's working set is a few dozen.
REMEMBERED = 20_000
# Characters of what is wanted: paths and names are the clients' to choose, also of those who may do nothing.
LONGEST_REMEMBERED = 1024


class Attributes(NamedTuple):
    """What somebody wants: a verb on a resource (`pods` or `pods/log`), or on a URL path."""

    verb: str
    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    node: str = ""  # what a field selector on spec.nodeName requires


class Decision(NamedTuple):
    """Whether, and because of what."""

    allowed: bool
    reason: str = ""


class Grant(NamedTuple):
    """Rules that some user has; `namespace` empty means everywhere."""

    namespace: str
    rules: tuple[PolicyRule, ...]
    reason: str


class Authorizer:
    """Answers `decide(user, attributes)`."""

    def __init__(self, cache: WatchCache) -> None:
        self._roles = cache.of(Role)
        self._cluster_roles = cache.of(ClusterRole)
        self._bindings = cache.of(RoleBinding)
        self._cluster_bindings = cache.of(ClusterRoleBinding)
        self.nodes = NodeAuthorizer(cache)
        self._decisions: dict[tuple[User, Attributes], Decision] = {}
        self._grants: dict[User, list[Grant]] = {}
        self._seen = (0, 0, 0, 0)

    def decide(self, user: User, wanted: Attributes) -> Decision:
        """May `user` do this?"""
        if MASTERS in user.groups:
            return Decision(True, "member of system:masters")
        node = self.nodes.node_of(user)
        if node and self.nodes.allows(node, wanted):
            return Decision(True, "node authorizer")
        self._forget_when_changed()
        known = self._decisions.get((user, wanted))
        if known is None:
            known = self._decide(user, wanted)
            if sum(map(len, wanted)) > LONGEST_REMEMBERED:
                return known
            if len(self._decisions) >= REMEMBERED:
                self._decisions.clear()
            self._decisions[user, wanted] = known
        return known

    def _decide(self, user: User, wanted: Attributes) -> Decision:
        for grant in self.grants(user):
            if grant.namespace in ("", wanted.namespace) and any(allows(rule, wanted) for rule in grant.rules):
                if grant.namespace and wanted.path:
                    continue
                return Decision(True, grant.reason)
        return Decision(False)

    def _forget_when_changed(self) -> None:
        caches = (self._roles, self._cluster_roles, self._bindings, self._cluster_bindings)
        seen = tuple(cache.revision for cache in caches)
        if seen != self._seen:
            self._seen = seen  # type: ignore[assignment]
            self._decisions.clear()
            self._grants.clear()

    def grants(self, user: User) -> list[Grant]:
        """Everything the user was given, cluster-wide grants first."""
        self._forget_when_changed()
        if user not in self._grants:
            if len(self._grants) >= REMEMBERED:
                self._grants.clear()
            self._grants[user] = list(self._find_grants(user))
        return self._grants[user]

    def rules_in(self, user: User, namespace: str) -> Iterator[PolicyRule]:
        """The rules a user has in a namespace, or everywhere if that is empty. Only cluster-wide ones reach paths."""
        for grant in self.grants(user):
            if not grant.namespace:
                yield from grant.rules
            elif grant.namespace == namespace:
                yield from (rule for rule in grant.rules if not rule.non_resource_urls)

    def _find_grants(self, user: User) -> Iterator[Grant]:
        for stored in self._cluster_bindings.objects():
            binding = ClusterRoleBinding.read(stored.item)
            subject = _subject_of(binding.subjects, user, "")
            if subject:
                ref = binding.role_ref
                why = f'RBAC: allowed by ClusterRoleBinding "{stored.name}" of {ref.kind} "{ref.name}" to {subject}'
                yield Grant("", self.rules_of(ref, ""), why)
        for stored in self._bindings.objects():
            bound = RoleBinding.read(stored.item)
            subject = _subject_of(bound.subjects, user, stored.namespace)
            if subject:
                ref, place = bound.role_ref, f"{stored.name}/{stored.namespace}"
                why = f'RBAC: allowed by RoleBinding "{place}" of {ref.kind} "{ref.name}" to {subject}'
                yield Grant(stored.namespace, self.rules_of(ref, stored.namespace), why)

    def rules_of(self, ref: RoleRef, namespace: str) -> tuple[PolicyRule, ...]:
        """The rules of the role a binding names; none if it does not exist (yet)."""
        if ref.kind == "ClusterRole":
            stored = self._cluster_roles.get("", ref.name)
            return ClusterRole.read(stored.item).rules if stored else ()
        stored = self._roles.get(namespace, ref.name)
        return Role.read(stored.item).rules if stored else ()


def _subject_of(subjects: Iterable[Subject], user: User, namespace: str) -> str:
    for subject in subjects:
        if subject.kind == "User" and subject.name == user.name:
            return f'User "{user.name}"'
        if subject.kind == "Group" and subject.name in user.groups:
            return f'Group "{subject.name}"'
        if subject.kind == "ServiceAccount":
            place = subject.namespace or namespace
            if user.name == f"system:serviceaccount:{place}:{subject.name}":
                return f'ServiceAccount "{subject.name}/{place}"'
    return ""


def allows(rule: PolicyRule, wanted: Attributes) -> bool:
    """Whether one rule covers the request."""
    if "*" not in rule.verbs and wanted.verb not in rule.verbs:
        return False
    if wanted.path:
        return any(_path_matches(pattern, wanted.path) for pattern in rule.non_resource_urls)
    if "*" not in rule.api_groups and wanted.group not in rule.api_groups:
        return False
    if not any(_resource_matches(pattern, wanted.resource) for pattern in rule.resources):
        return False
    return not rule.resource_names or wanted.name in rule.resource_names


def _path_matches(pattern: str, path: str) -> bool:
    return pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1]))


def _resource_matches(pattern: str, resource: str) -> bool:
    if pattern in ("*", resource):
        return True
    _, slash, subresource = resource.partition("/")
    return bool(slash) and pattern == f"*/{subresource}"


def covers(held: Iterable[PolicyRule], wanted: PolicyRule) -> bool:
    """Whether rules somebody holds include every single permission of another rule (no escalation)."""
    rules = list(held)
    names = wanted.resource_names or ("",)
    for verb in wanted.verbs:
        for path in wanted.non_resource_urls:
            if not any(allows(rule, Attributes(verb, path=path)) for rule in rules):
                return False
        for group in wanted.api_groups:
            for resource in wanted.resources:
                for name in names:
                    asked = Attributes(verb, group, resource, name=name)
                    if not any(allows(rule, asked) for rule in rules):
                        return False
    return True
