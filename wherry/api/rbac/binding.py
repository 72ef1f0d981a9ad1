"""RoleBinding and ClusterRoleBinding: who has a role."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from wherry.api.filling import fill_empty
from wherry.machinery import names
from wherry.machinery.field_errors import FieldError, invalid, not_supported, required
from wherry.machinery.resource import Column, Resource
from wherry.machinery.schema import defaults
from wherry.machinery.table_cells import AGE
from wherry.machinery.validation import check_name, required_name, under
from wherry.machinery.view import View

GROUP = "rbac.authorization.k8s.io"
SUBJECTS = ("Group", "ServiceAccount", "User")

fill_empty("io.k8s.api.rbac.v1.RoleRef", apiGroup=GROUP)


@defaults("io.k8s.api.rbac.v1.Subject")
def _group_of_subject(subject: dict[str, Any]) -> None:
    if subject.get("kind") in ("User", "Group") and not subject.get("apiGroup"):
        subject["apiGroup"] = GROUP


class RoleRef(View):
    """The role that is granted."""

    api_group: str = ""
    kind: str = ""
    name: str = ""


class Subject(View):
    """A User, Group or ServiceAccount."""

    kind: str = ""
    api_group: str = ""
    name: str = ""
    namespace: str = ""


def _named(kind: str) -> Any:
    return lambda binding: ", ".join(subject.name for subject in binding.subjects if subject.kind == kind)


def _accounts(binding: Any) -> str:
    accounts = (subject for subject in binding.subjects if subject.kind == "ServiceAccount")
    return ", ".join(f"{account.namespace}/{account.name}" for account in accounts)


_COLUMNS = (
    Column("Role", lambda binding: f"{binding.role_ref.kind}/{binding.role_ref.name}"),
    AGE,
    Column("Users", _named("User"), priority=1),
    Column("Groups", _named("Group"), priority=1),
    Column("ServiceAccounts", _accounts, priority=1),
)


class RoleBinding(Resource, group=GROUP, version="v1"):
    """A role granted in one namespace."""

    role_ref: RoleRef = RoleRef()
    subjects: tuple[Subject, ...] = ()

    name_rule = "path"
    create_on_update = True
    columns = _COLUMNS

    def validate(self, old: RoleBinding | None) -> Iterator[FieldError]:
        """Every broken rule; a binding never grants a different role."""
        yield from under("roleRef", _check_role(self.role_ref, ("ClusterRole", "Role")))
        yield from _check_subjects(self.subjects, is_namespaced=True)
        if old is not None:
            yield from _check_same_role(self.role_ref, old.role_ref)


class ClusterRoleBinding(Resource, group=GROUP, version="v1", scope="Cluster"):
    """A cluster role granted everywhere."""

    role_ref: RoleRef = RoleRef()
    subjects: tuple[Subject, ...] = ()

    name_rule = "path"
    create_on_update = True
    columns = _COLUMNS

    def validate(self, old: ClusterRoleBinding | None) -> Iterator[FieldError]:
        """Every broken rule; a binding never grants a different role."""
        yield from under("roleRef", _check_role(self.role_ref, ("ClusterRole",)))
        yield from _check_subjects(self.subjects, is_namespaced=False)
        if old is not None:
            yield from _check_same_role(self.role_ref, old.role_ref)


def _check_role(role: RoleRef, kinds: tuple[str, ...]) -> Iterator[FieldError]:
    if role.api_group != GROUP:
        yield not_supported("apiGroup", role.api_group, (GROUP,))
    if role.kind not in kinds:
        yield not_supported("kind", role.kind, kinds)
    yield from required_name("name", role.name, names.path_segment)


def _check_same_role(role: RoleRef, before: RoleRef) -> Iterator[FieldError]:
    if role != before:
        yield invalid("roleRef", role.to_wire(), "cannot change roleRef")


def _check_subjects(subjects: tuple[Subject, ...], is_namespaced: bool) -> Iterator[FieldError]:
    for index, subject in enumerate(subjects):
        yield from under(f"subjects[{index}]", _check_subject(subject, is_namespaced))


def _check_subject(subject: Subject, is_namespaced: bool) -> Iterator[FieldError]:
    if not subject.name:
        yield required("name")
    if subject.kind not in SUBJECTS:
        yield not_supported("kind", subject.kind, SUBJECTS)
    elif subject.kind != "ServiceAccount":
        if subject.api_group != GROUP:
            yield not_supported("apiGroup", subject.api_group, (GROUP,))
    else:
        if subject.name:
            yield from check_name("name", subject.name, names.dns1123_subdomain)
        if subject.api_group:
            yield not_supported("apiGroup", subject.api_group, ("",))
        if not subject.namespace and not is_namespaced:
            yield required("namespace")
