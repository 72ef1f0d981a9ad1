"""The policy file: how much is written of which request. Kubernetes: audit.k8s.io/v1 Policy.

    apiVersion: audit.k8s.io/v1
    kind: Policy
    omitStages: [RequestReceived]
    rules:
    - level: Metadata
      resources: [{group: "", resources: [secrets, configmaps]}]
    - level: Request
      verbs: [create, update, patch, delete]

The first rule that matches counts; what no rule matches is not written.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from apiserver.file_errors import FileProblem, read_model
from apiserver.request import Target, User

LEVELS = ("None", "Metadata", "Request", "RequestResponse")
NONE, METADATA, REQUEST, REQUEST_RESPONSE = range(4)

_Stage = Literal["RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"]


class PolicyError(ValueError):
    """The file is no policy; says which field, and what is allowed."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class GroupResources(_Part):
    """Resources of one group; none means all of it. `pods/log`, `pods/*` and `*/status` name subresources."""

    group: str = ""
    resources: tuple[str, ...] = ()
    resource_names: tuple[str, ...] = ()


class Rule(_Part):
    """What is empty matches everything."""

    level: Literal["None", "Metadata", "Request", "RequestResponse"]
    users: tuple[str, ...] = ()
    user_groups: tuple[str, ...] = ()
    verbs: tuple[str, ...] = ()
    resources: tuple[GroupResources, ...] = ()
    namespaces: tuple[str, ...] = ()
    non_resource_urls: tuple[str, ...] = Field(default=(), alias="nonResourceURLs")
    omit_stages: tuple[_Stage, ...] = ()
    omit_managed_fields: bool | None = None


class Metadata(_Part):
    """A policy may have a name; it means nothing."""

    name: str = ""


class Policy(_Part):
    """The whole file."""

    api_version: Literal["audit.k8s.io/v1"]
    kind: Literal["Policy"]
    metadata: Metadata = Metadata()
    rules: tuple[Rule, ...] = Field(min_length=1)
    omit_stages: tuple[_Stage, ...] = ()
    omit_managed_fields: bool = False

    def told_of(self, user: User, verb: str, target: Target | None, path: str) -> Told:
        """How much is written of a request."""
        for rule in self.rules:
            if _matches(rule, user, verb, target, path):
                omits = self.omit_managed_fields if rule.omit_managed_fields is None else rule.omit_managed_fields
                return Told(LEVELS.index(rule.level), frozenset((*self.omit_stages, *rule.omit_stages)), omits)
        return NOTHING


class Told(NamedTuple):
    """How much is written of one request."""

    level: int
    omitted_stages: frozenset[str] = frozenset()
    omits_managed_fields: bool = False


NOTHING = Told(NONE)


def load_policy(file: Path) -> Policy:
    """Read the file; raises PolicyError."""
    try:
        return read_model(file, Policy)
    except FileProblem as problem:
        raise PolicyError(f"audit policy {file}: {problem}") from None


def _matches(rule: Rule, user: User, verb: str, target: Target | None, path: str) -> bool:
    if rule.users and user.name not in rule.users:
        return False
    if rule.user_groups and not set(rule.user_groups) & set(user.groups):
        return False
    if rule.verbs and verb not in rule.verbs:
        return False
    if target is None:
        is_about_objects = bool(rule.namespaces or rule.resources)
        return not is_about_objects and _is_path(rule.non_resource_urls, path)
    if rule.non_resource_urls:
        return False
    if rule.namespaces and target.namespace not in rule.namespaces:
        return False
    return not rule.resources or any(_is_resource(each, target) for each in rule.resources)


def _is_path(patterns: Sequence[str], path: str) -> bool:
    if not patterns:
        return True
    return any(
        pattern in ("*", path) or (pattern.endswith("*") and path.startswith(pattern[:-1])) for pattern in patterns
    )


def _is_resource(wanted: GroupResources, target: Target) -> bool:
    if wanted.group != target.group:
        return False
    if wanted.resource_names and target.name not in wanted.resource_names:
        return False
    subresource = target.subresource.partition("/")[0]
    name = f"{target.plural}/{subresource}" if subresource else target.plural
    accepted = {"*", name} | ({f"{target.plural}/*", f"*/{subresource}"} if subresource else set())
    return not wanted.resources or bool(accepted & set(wanted.resources))
